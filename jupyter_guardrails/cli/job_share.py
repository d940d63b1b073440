"""`jupyter guardrails job share ID`: have those who review look at a draft, before it is submitted."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface.sharing import SubmissionShare


def add_parser(commands: Any) -> None:
    """Below `job`."""
    text = "let reviewers look at a draft, or at what failed its checks"
    parser = commands.add_parser("share", help=text, description=text)
    parser.add_argument("id", help="as `job list` shows it")
    parser.add_argument("--stop", action="store_true", help="no longer")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is said."""
    with connected(os.environ) as client:
        found = client.call(SubmissionShare(id=arguments.id, shared=not arguments.stop))
    if arguments.json:
        print_json(found)
        return 0
    job = f"{line(found['name'])}-{found['version']}"
    print(f"{job}: reviewers can look at it with `jupyter guardrails job show {found['id']}`" if found["shared"] else f"{job}: shown to nobody else")
    return 0
