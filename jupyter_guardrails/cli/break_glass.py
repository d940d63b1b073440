"""`jupyter guardrails break-glass`: an admin opens a dataset or a profile to one person for a while, on the record."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table, seconds
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.stops import LONGEST_S, REASON_LENGTH, BreakGlass, BreakGlassEnd, BreakGlassList
from jupyter_guardrails.errors import BadRequest


def add_parser(subparsers: Any) -> None:
    """`break-glass dataset|profile NAME --reason … [--user PERSON] [--for 1h]`, `break-glass end ID`, `break-glass list`."""
    parser = subparsers.add_parser("break-glass", help="open a dataset or a profile to one person for a while, with a reason (admins)")
    commands = parser.add_subparsers(dest="glass_command", required=True, metavar="COMMAND")
    for kind, text in (("dataset", "its files, by guarded.open() in a kernel"), ("profile", "a profile that the policy defines")):
        opening = add_command(commands, kind, _begin, text)
        opening.add_argument("name")
        opening.add_argument("--reason", required=True, help=f"at least {REASON_LENGTH} letters; recorded, and told to every admin")
        opening.add_argument("--user", metavar="PERSON", help="for whom (default: for yourself)")
        opening.add_argument("--for", dest="time", default="1h", metavar="TIME", help="how long, 24h at most (default: 1h)")
        if kind == "dataset":
            opening.add_argument("--unmasked", action="store_true", help="without the policy's masks and row filters")
    add_command(commands, "end", _end, "end one before its time").add_argument("id")
    add_command(commands, "list", _list, "what is open and was open, by whom, for whom and why")


def _begin(arguments: argparse.Namespace) -> int:
    time_s = seconds(arguments.time)
    if not 60 <= time_s <= LONGEST_S:
        raise BadRequest(f"--for is between 1m and {LONGEST_S // 3600}h, not {arguments.time}", next_step="break the glass again when it is over")
    if len(arguments.reason.strip()) < REASON_LENGTH:
        raise BadRequest(f"the reason has fewer than {REASON_LENGTH} letters", next_step="say what happened and what it is needed for")
    said = {"kind": arguments.glass_command, "name": arguments.name, "person": arguments.user, "reason": arguments.reason, "for_s": time_s}
    said["unmasked"] = getattr(arguments, "unmasked", False)
    with connected(os.environ) as client:
        found = client.call(BreakGlass(**said))
    opened = f"{found['id']}: {found['kind']} {line(found['name'])} is open to {line(found['person'])} until {found['ends_at']}"
    end = f"recorded before it was opened, and told; it ends by itself, or with: jupyter guardrails break-glass end {found['id']}"
    return say(found, arguments, opened, end, found["label"])


def _end(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(BreakGlassEnd(id=arguments.id))
    return say(found, arguments, f"{found['kind']} {line(found['name'])} is no longer open to {line(found['person'])}")


def _list(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(BreakGlassList())
    head = ("id", "state", "what", "for", "by", "until", "reason")
    rows = [
        (row["id"], row["state"], f"{row['kind']} {row['name']}", row["person"], row["by"], row["ends_at"][:16], row["reason"])
        for row in found["exemptions"]
    ]
    return say_table(found, arguments, rows=rows, head=head, empty="nothing was opened")
