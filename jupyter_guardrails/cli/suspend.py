"""`jupyter guardrails suspend user|dataset|package|job|lift|list`: what an admin stops at once."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table, seconds
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.stops import Suspend, SuspensionLift, SuspensionsList

KINDS = {
    "user": "nothing new starts, nothing is read, and what runs ends after the notice",
    "dataset": "nobody reads it, and its grants are frozen",
    "package": "no job with this Python package is approved or run",
    "job": "not approved and not run: NAME (all versions), NAME-VERSION, a content digest, or a submission's id",
}


def add_parser(subparsers: Any) -> None:
    """`suspend KIND NAME --reason …`, `suspend lift KIND NAME --reason …`, `suspend list`."""
    parser = subparsers.add_parser("suspend", help="stop a person, a dataset, a Python package or a job at once (admins)")
    commands = parser.add_subparsers(dest="suspend_command", required=True, metavar="COMMAND")
    for kind, text in KINDS.items():
        _add_kind(commands, kind, text)
    lift = add_command(commands, "lift", _lift, "end a suspension")
    lift.add_argument("kind", choices=list(KINDS))
    lift.add_argument("name")
    lift.add_argument("--reason", required=True)
    listing = add_command(commands, "list", _list, "what is suspended, by whom, since when and why")
    listing.add_argument("--all", action="store_true", help="also what was lifted")


def _add_kind(commands: Any, kind: str, text: str) -> None:
    parser = add_command(commands, kind, _suspend, text)
    parser.add_argument("name")
    parser.add_argument("--reason", required=True, help="whom it concerns reads it")
    if kind in ("user", "dataset"):
        parser.add_argument("--grace", default="1m", metavar="TIME", help="from the notice to the end of what runs (default: 1m; 0 ends it now)")
    if kind == "dataset":
        parser.add_argument("--end-kernels", action="store_true", help="also end the kernels that were started with it, which read it until then")


def _suspend(arguments: argparse.Namespace) -> int:
    kind = arguments.suspend_command
    grace_s, end_kernels = seconds(getattr(arguments, "grace", "0"), zero=True), getattr(arguments, "end_kernels", False)
    with connected(os.environ) as client:
        found = client.call(Suspend(kind=kind, name=arguments.name, reason=arguments.reason, grace_s=grace_s, end_kernels=end_kernels))
    return say(found, arguments, f"{kind} {line(found['name'])} is suspended: {line(found['reason'])}", *_consequences(found))


def _consequences(found: dict[str, Any]) -> list[str]:
    """What happens to what runs."""
    if not found["kernels"]:
        return []
    if found["ends_kernels_at"]:
        return [f"what runs of it ({found['kernels']}) ends at {found['ends_kernels_at']}"]
    return [
        f"{found['kernels']} running were started with it: where the server was launched it is gone for them within seconds, but for what they have",
        "open; elsewhere they read it until they end; `--end-kernels` ends them",
    ]


def _lift(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(SuspensionLift(kind=arguments.kind, name=arguments.name, reason=arguments.reason))
    return say(found, arguments, f"{found['kind']} {line(found['name'])} is no longer suspended")


def _list(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(SuspensionsList(all=arguments.all))
    head = ("kind", "name", "since", "by", "lifted", "reason")
    rows = [(row["kind"], row["name"], row["since"][:16], row["by"], (row["lifted_at"] or "")[:16], row["reason"]) for row in found["suspensions"]]
    return say_table(found, arguments, rows=rows, head=head, empty="nothing is suspended")
