"""`jupyter guardrails requests …`: who asks for more of a limit or for a package, and the decision about it."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from typing import Any

from jupyter_guardrails.cli import package_lines
from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import RequestsList
from jupyter_guardrails.control.interface.notices import MoreDecide, MoreRevoke
from jupyter_guardrails.control.interface.package_requests import PackageDecide, PackageRevoke, RequestShow
from jupyter_guardrails.errors import BadRequest, NotFound


def add_parser(subparsers: Any) -> None:
    """`requests list|show|approve|refuse|revoke`."""
    parser = subparsers.add_parser("requests", help="who asks for more of a limit or for a package, and the decision about it")
    commands = parser.add_subparsers(dest="requests_command", required=True, metavar="COMMAND")
    add_command(commands, "list", run_list, "own requests; everybody's for admins")
    show = add_command(commands, "show", run_show, "one request: who asks for what, why, and for whom it could be granted")
    show.add_argument("id", help="as `requests list` shows it")
    show.add_argument("--offline", action="store_true", help="of a package: don't ask the package index what it needs, and what is known of that")
    approve = _deciding(commands, "approve", run_decide, "grant what a request asks for")
    approve.add_argument("--until", type=datetime.fromisoformat, help="its end, like 2026-01-31T18:00:00Z; of a limit: earlier than was asked for")
    approve.add_argument("--group", default="", help="of a package: for everybody in a group of whoever asked; left out: for that person alone")
    approve.add_argument("--with", dest="also", nargs="+", default=[], metavar="PACKAGE", help="of a package: also these, which it needs")
    approve.set_defaults(grant=True)
    _deciding(commands, "refuse", run_decide, "refuse a request").set_defaults(grant=False, until=None, group="", also=[])
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
    return say_table(found, arguments, rows=rows, head=head, empty="nobody asks for anything")


def run_show(arguments: argparse.Namespace) -> int:
    """Everything that is known of one request."""
    with connected(os.environ) as client:
        found = client.call(RequestShow(id=arguments.id))
        if found["request"]["kind"] == "package" and not arguments.offline:
            found |= package_lines.gathered(client, found)
    request = found["request"]
    head = f"{request['id']}: {line(request['person'])} asks for {_what(request)}, {_until(request)}"
    lines = [head, f"what for: {line(request['purpose'])}", f"state: {_state(request)}"]
    groups = ", ".join(map(line, found["groups"]))
    lines.append(f"groups of {line(request['person'])}: {groups}" if groups else "")
    return say(found, arguments, *lines, *package_lines.described(found))


def run_decide(arguments: argparse.Namespace) -> int:
    """Say what became of it."""
    until = arguments.until.astimezone() if arguments.until else None
    said = {"id": arguments.id, "grant": arguments.grant, "reason": arguments.reason, "until": until}
    with connected(os.environ) as client:
        if _is_package(client, arguments.id):
            return _say(client.call(PackageDecide(**said, group=arguments.group, also=tuple(arguments.also))), arguments)
        if arguments.group or arguments.also:
            raise BadRequest("a limit is raised for whoever asked, not for a group, and alone", next_step="leave --group and --with out")
        return _say(client.call(MoreDecide(**said)), arguments)


def run_revoke(arguments: argparse.Namespace) -> int:
    """Say that it is over."""
    with connected(os.environ) as client:
        revoke = PackageRevoke if _is_package(client, arguments.id) else MoreRevoke
        return _say(client.call(revoke(id=arguments.id, reason=arguments.reason)), arguments)


def _is_package(client: ControlClient, id: str) -> bool:
    """What kind a request is of; one that this person may not see is control's to refuse."""
    try:
        return bool(client.call(RequestShow(id=id))["request"]["kind"] == "package")
    except NotFound:
        return False


def _say(decided: dict[str, Any], arguments: argparse.Namespace) -> int:
    return say(decided, arguments, f"{decided['id']} of {line(decided['person'])}: {_what(decided)} {decided['state']} ({line(decided['reason'])})")


def _row(request: dict[str, Any]) -> tuple[str, ...]:
    return (request["id"], line(request["person"]), _what(request), _until(request), request["state"], line(request["purpose"]))


def _until(request: dict[str, Any]) -> str:
    return request["until"][:16].replace("T", " ") + " UTC" if request["until"] else f"{request['days']} days"


def _state(request: dict[str, Any]) -> str:
    by = f", by {line(request['decided_by'])}: {line(request['reason'])}" if request["decided_by"] else ""
    return f"{request['state']}{by}"


def _what(request: dict[str, Any]) -> str:
    if request["kind"] == "access":
        return f"data {line(request['dataset'])}"
    if request["kind"] == "package":
        others = f" (with {', '.join(map(line, request['also']))})" if request["also"] else ""
        return f"package {line(request['package'])}{others}" + (f" for group {line(request['group'])}" if request["group"] else "")
    return str(request["resource"]) if request["amount"] is None else f"{request['resource']} {request['amount']:g}"
