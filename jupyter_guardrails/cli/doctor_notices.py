"""`jupyter guardrails doctor --notices`: whether those who are told by webhook and mail would hear it now."""

from __future__ import annotations

import argparse
import os

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface.oversight import NotifyCheck


def run(arguments: argparse.Namespace) -> int:
    """0 when every target of the policy answers, 1 when one does not. Connects, and sends nothing."""
    with connected(os.environ) as client:
        found = client.call(NotifyCheck())
    if arguments.json:
        print_json(found)
        return 0 if all(target["ok"] for target in found["targets"]) else 1
    for target in found["targets"]:
        waiting = found["waiting"].get(target["target"], 0)
        state = "answers" if target["ok"] else f"DOES NOT ANSWER: {line(target['error'])}"
        print(f"{target['target']:8} {state}{f'; {waiting} wait' if waiting else ''}")
    if not found["targets"]:
        print("the policy names nobody who is told: notify: {webhook: …, smtp: …}")
    return 0 if all(target["ok"] for target in found["targets"]) else 1
