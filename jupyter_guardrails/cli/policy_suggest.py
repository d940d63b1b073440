"""`jupyter guardrails policy suggest`: what was refused, or would have been, as rules to read and take over."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.cli.past import add_since, ask
from jupyter_guardrails.cli.policy_explain import places
from jupyter_guardrails.cli.printing import print_json
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import load
from jupyter_guardrails.policy.suggest import Evidence, Suggested, suggest
from jupyter_guardrails.policy.suggest_yaml import as_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Over how much of the past, and beside which policy."""
    add_since(parser, "14d")
    parser.add_argument("--policy", type=Path, metavar="FILE|DIR", help="what it allows needs no suggestion (default: the policy in force here)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write it there (never over a file that exists) instead of printing it")
    parser.set_defaults(catalog=None)


def run(arguments: argparse.Namespace) -> int:
    """0 and a policy file, printed or written; nothing is put in place."""
    policy = load(places(arguments)[0])
    past = ask(arguments.since, refused_only=True)
    shut = (str(settings_from(os.environ).state_dir), str(policy.path))
    found = suggest(policy, past.facts, past.groups, datetime.now(UTC), shut=shut)
    if arguments.to:
        _write(arguments.to, as_yaml(found, since=past.since))
    elif arguments.json:
        print_json(_as_json(found) | {"since": past.since, "facts_left_out": past.left_out})
    else:
        print(as_yaml(found, since=past.since), end="")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadRequest(f"{path} can't be written: {error.strerror}", next_step="name a file that doesn't exist yet") from error
    print(f"written to {path}: read it, then `jupyter guardrails policy check {path}`")


def _as_json(found: Suggested) -> dict[str, Any]:
    suggestions = [
        {"kind": one.kind, "value": one.value, "groups": one.groups, "users": one.users, "note": one.note} | _evidence(one.evidence)
        for one in found.suggestions
    ]
    left_out = [{"action": one.action, "resource": one.resource, "why": one.why} | _evidence(one.evidence) for one in found.left_out]
    return {"suggestions": suggestions, "left_out": left_out}


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {"count": evidence.count, "people": sorted(evidence.people), "last": evidence.last}
