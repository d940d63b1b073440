"""`jupyter guardrails data requests|grant|refuse|revoke`: for those who decide who may read what."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import GrantRevoke, GrantsList, RequestDecide
from jupyter_guardrails.control.interface.grants import GrantGive
from jupyter_guardrails.control.interface.messages import RequestsList
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound


def add_parsers(commands: Any) -> None:
    """Below `data`."""
    requests = add_command(commands, "requests", _requests, "what was asked for: your own, and what you may decide; and live grants")
    requests.add_argument("--all", action="store_true", help="also what was decided")
    grant = add_command(commands, "grant", _grant, "grant a request (ID), or a dataset to somebody who has not asked (PERSON DATASET)")
    grant.add_argument("--days", type=int, metavar="N", help="of a request: fewer than were asked for")
    refuse = add_command(commands, "refuse", _decide, "refuse a request; whoever asked reads the reason")
    revoke = add_command(commands, "revoke", _revoke, "end a grant now: the grant's id or that of its request (ID), or PERSON DATASET")
    for parser, needed in ((grant, False), (revoke, True)):
        parser.add_argument("id", nargs="+", metavar="ID | PERSON DATASET", help="as `data requests` shows it")
        parser.add_argument("--reason", default="", required=needed)
    refuse.add_argument("id", nargs=1, metavar="ID", help="as `data requests` shows it")
    refuse.add_argument("--reason", default="", required=True)


def _requests(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(RequestsList())["requests"]
        grants = client.call(GrantsList())["grants"]
    shown = [row for row in found if arguments.all or row["state"] == "open"]
    rows = [(row["id"], row["state"], row["person"], row["dataset"], f"{row['days']}d", row["purpose"]) for row in shown]
    rows += [(row["id"], "live", row["person"], row["dataset"], f"-> {row['expires_at'][:10]}", f"by {row['granted_by']}") for row in grants]
    head = ("id", "state", "person", "dataset", "days", "purpose")
    answer = {"requests": shown, "grants": grants}
    return say_table(answer, arguments, rows=rows, head=head, empty="nobody asks for anything that you may decide")


def _grant(arguments: argparse.Namespace) -> int:
    """Of a request, or without one."""
    if len(_named(arguments)) == 1:
        return _decide(arguments)
    person, dataset = arguments.id
    if arguments.days is None or not arguments.reason.strip():
        raise BadRequest("a grant that nobody asked for needs --days and --reason", next_step="--days 30 --reason 'the audit of May'")
    with connected(os.environ) as client:
        found = client.call(GrantGive(person=person, dataset=dataset, days=arguments.days, reason=arguments.reason))
    return say(found, arguments, f"{found['id']}: {line(found['person'])} may read {line(found['dataset'])} until {found['expires_at'][:16]} UTC")


def _named(arguments: argparse.Namespace) -> list[str]:
    """An id, or a person and a dataset."""
    given: list[str] = arguments.id
    if len(given) > 2:
        raise BadRequest(f"{' '.join(given)}: neither an id nor a person and a dataset", next_step="quote names with blanks in them")
    return given


def _decide(arguments: argparse.Namespace) -> int:
    request = RequestDecide(id=arguments.id[0], decision=arguments.data_command, reason=arguments.reason, days=getattr(arguments, "days", None))
    with connected(os.environ) as client:
        found = client.call(request)
    return say(found, arguments, f"{found['id']}: {line(found['dataset'])} is {found['state']} to {line(found['person'])}, {found['days']} days")


def _revoke(arguments: argparse.Namespace) -> int:
    given = _named(arguments)
    with connected(os.environ) as client:
        id = given[0] if len(given) == 1 else _id_of(client, *given)
        found = client.call(GrantRevoke(id=id, reason=arguments.reason))
    gone = f"{found['id']}: {line(found['person'])} may no longer read {line(found['dataset'])} by it; a kernel that runs keeps what it has open"
    return say(found, arguments, gone)


def _id_of(client: ControlClient, person: str, dataset: str) -> str:
    """The live grant of a person for a dataset."""
    rows = client.call(GrantsList())["grants"]
    found = [row["id"] for row in rows if (row["person"], row["dataset"]) == (person, dataset)]
    if not found:
        raise NotFound(f"{person} has no live grant of {dataset} that you may revoke", next_step="`jupyter guardrails data requests` shows them")
    if len(found) > 1:
        raise Conflict(f"{person} has several live grants of {dataset}", next_step=f"name one of them: {', '.join(found)}")
    return str(found[0])
