"""`jupyter guardrails data import|publications|propose|approve|send-back|withdraw`: data that people publish, and who looks at it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.publishing import (
    DataImport,
    PublicationDecide,
    PublicationPropose,
    PublicationShow,
    PublicationsList,
    PublicationWithdraw,
    format_of,
)
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound

SHORTEST = 12  # digits of a digest that name one


def add_parsers(commands: Any) -> None:
    """Below `data`."""
    bring = add_command(commands, "import", _import, "bring a file of your own along, private to you until you propose it")
    bring.add_argument("file", type=Path, metavar="FILE", help="Parquet, CSV, JSON lines or Arrow")
    bring.add_argument("name", metavar="NAME", help="like team/churn")
    bring.add_argument("--description", required=True, help="what it is and where it comes from")
    listing = add_command(commands, "publications", _list, "what you published, or one of it in full")
    listing.add_argument("name", nargs="?", metavar="NAME", help="one of them, in full")
    listing.add_argument("--review", action="store_true", help="what waits for your word instead")
    propose = add_command(commands, "propose", _propose, "ask for a publication of yours to become a group's")
    propose.add_argument("--to", required=True, metavar="GROUP")
    approve = add_command(commands, "approve", _decide, "agree to what you looked at")
    approve.add_argument("--classification", metavar="CLASS", help="another label than the inherited one; a lower one needs a reason")
    back = add_command(commands, "send-back", _decide, "send it back; its author reads the reason")
    for parser in (approve, back):
        parser.add_argument("--digest", required=True, help=f"of what you looked at, {SHORTEST} digits or more")
    withdraw = add_command(commands, "withdraw", _withdraw, "take a publication back: nobody opens it any more")
    for parser in (propose, approve, back, withdraw):
        parser.add_argument("name", metavar="NAME")
    for parser in (approve, back, withdraw):
        parser.add_argument("--reason", default="", required=parser is back, help="your words, for the record")


def _import(arguments: argparse.Namespace) -> int:
    try:
        fd = os.open(arguments.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"{arguments.file} can't be opened: {error.strerror}", next_step="name a file of yours") from error
    try:
        request = DataImport(name=arguments.name, description=arguments.description, format=format_of(arguments.file))
        with connected(os.environ) as client:
            found = client.call(request, fds=[fd])
    finally:
        os.close(fd)
    return say(found, arguments, described(found))


def _list(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        if arguments.name:
            return say(found := client.call(PublicationShow(name=arguments.name)), arguments, described(found))
        found = client.call(PublicationsList(review=arguments.review))
    rows = [_row(row) for row in found["publications"]]
    empty = "nothing waits for your word" if arguments.review else "nothing published yet: guarded.publish(df, 'team/name', description='…')"
    return say_table(found, arguments, rows=rows, head=("name", "version", "state", "author", "group", "classification", "digest"), empty=empty)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (row["name"], str(row["version"]), row["state"], row["author"], row["group"] or "-", row["classification"], row["digest"][:SHORTEST])


def _propose(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(PublicationPropose(name=arguments.name, group=arguments.to))
    return say(found, arguments, described(found))


def _decide(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        digest = _named(client, arguments.name, arguments.digest.lower())
        said: dict[str, Any] = {"name": arguments.name, "decision": arguments.data_command.replace("-", "_"), "digest": digest}
        said |= {"reason": arguments.reason, "classification": getattr(arguments, "classification", None)}
        found = client.call(PublicationDecide.model_validate(said))
    return say(found, arguments, described(found))


def _named(client: ControlClient, name: str, digits: str) -> str:
    """The whole digest of what is proposed, if it is what the reviewer names."""
    if len(digits) < SHORTEST:
        raise BadRequest(f"a digest is named by {SHORTEST} digits or more", next_step=f"jupyter guardrails data publications {name}")
    digest = str(client.call(PublicationShow(name=name))["digest"])
    if not digest.startswith(digits):
        raise Conflict(f"what is proposed now is {digest[:SHORTEST]}…, not {digits}", next_step="look at it again, then decide")
    return digest


def _withdraw(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(PublicationWithdraw(name=arguments.name, reason=arguments.reason))
    return say(found, arguments, f"{line(found['name'])} version {found['version']} is withdrawn; what is open stays readable until it is closed")


def described(found: dict[str, Any]) -> str:
    """A publication in full: what it is, what it inherits, what was found in it, who said what."""
    lines = [f"{found['name']} version {found['version']} of {found['author']}: {found['description']}"]
    lines += [f"  {key + ':':<15}{value}" for key, value in _facts(found).items() if value]
    lines += [f"  {one['at'][:16]}  {one['reviewer']}: {one['decision'].replace('_', ' ')} {one['reason']}".rstrip() for one in found["decisions"]]
    return "\n".join(map(line, lines))


def _facts(found: dict[str, Any]) -> dict[str, str]:
    inputs = ", ".join(f"{item['name']} {item['version']} ({item['classification']})" for item in found["inputs"]) or "nothing"
    lowered = "" if found["classification"] == found["inherited"] else f" (inherited: {found['inherited']})"
    facts = {"state": found["state"] + (f", group {found['group']}" if found["group"] else ""), "label": found["classification"] + lowered}
    facts |= {
        "made by": (found["produced_by"] or {}).get("text", ""),
        "made of": inputs,
        "purposes": ", ".join(found["purposes"]),
        "until": (found["expires_at"] or "")[:10],
    }
    facts |= {"rows": "not counted" if found["rows"] is None else str(found["rows"]), "personal data": _scanned(found["scan"])}
    facts |= {"digest": found["digest"], "waits for": ", ".join(found["waits_for"]), "next": found["next_step"]}
    columns = ", ".join(f"{c['name']} {c['type']}{' [' + c['classification'] + ']' if c['classification'] else ''}" for c in found["columns"])
    return facts | {"columns": columns}


def _scanned(scan: dict[str, Any]) -> str:
    if not scan["by"]:
        return "not scanned: presidio-analyzer is not installed where control runs"
    found = "; ".join(f"{item['kind']} in {item['count']} cells of {item['column']}" for item in scan["findings"])
    return f"{found or 'none found'} (first {scan['rows']} rows, {scan['by']}; names of people are not looked for)"
