"""`jupyter guardrails requests …`: who asks for more of a limit, and the decision about it."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.messages import RequestsList
from jupyter_guardrails.control.interface.notices import MoreDecide, MoreRevoke


def add_parser(subparsers: Any) -> None:
    """`requests list|approve|refuse|revoke`."""
    parser = subparsers.add_parser("requests", help="who asks for more of a limit for a while, and the decision about it")
    commands = parser.add_subparsers(dest="requests_command", required=True, metavar="COMMAND")
    add_command(commands, "list", run_list, "own requests; everybody's for admins")
    approve = _deciding(commands, "approve", run_decide, "grant what a request asks for")
    approve.add_argument("--until", type=datetime.fromisoformat, help="an earlier end than what was asked for, like 2026-01-31T18:00:00Z")
    approve.set_defaults(grant=True)
    _deciding(commands, "refuse", run_decide, "refuse a request").set_defaults(grant=False, until=None)
    _deciding(commands, "revoke", run_revoke, "end what a request was granted before its time")


def _deciding(commands: Any, name: str, run: Any, what: str) -> argparse.ArgumentParser:
    parser = add_command(commands, name, run, f"{what}, with a reason that its person reads")
    parser.add_argument("id", help="as `requests list` shows it")
    parser.add_argument("--reason", required=True, help="words for its person and for the record")
    return parser


def run_list(arguments: argparse.Namespace) -> int:
    """Print a table, or JSON."""
    with connected(os.environ) as client:
        found = client.call(RequestsList())["requests"]
    rows, head = map(_row, found), ("id", "person", "asks for", "until", "state", "purpose")
    return say_table(found, arguments, rows=rows, head=head, empty="nobody asks for more")


def run_decide(arguments: argparse.Namespace) -> int:
    """Say what became of it."""
    until = arguments.until.astimezone() if arguments.until else None
    with connected(os.environ) as client:
        decided = client.call(MoreDecide(id=arguments.id, grant=arguments.grant, reason=arguments.reason, until=until))
    return _say(decided, arguments)


def run_revoke(arguments: argparse.Namespace) -> int:
    """Say that it is over."""
    with connected(os.environ) as client:
        taken = client.call(MoreRevoke(id=arguments.id, reason=arguments.reason))
    return _say(taken, arguments)


def _say(decided: dict[str, Any], arguments: argparse.Namespace) -> int:
    return say(decided, arguments, f"{decided['id']} of {line(decided['person'])}: {_what(decided)} {decided['state']} ({line(decided['reason'])})")


def _row(request: dict[str, Any]) -> tuple[str, ...]:
    until = request["until"][:16].replace("T", " ") + " UTC" if request["until"] else f"{request['days']} days"
    return (request["id"], line(request["person"]), _what(request), until, request["state"], line(request["purpose"]))


def _what(request: dict[str, Any]) -> str:
    if request["kind"] != "more":
        return f"data {line(request['dataset'])}"
    return str(request["resource"]) if request["amount"] is None else f"{request['resource']} {request['amount']:g}"
