"""`jupyter guardrails data requests|grant|refuse|revoke`: for those who decide who may read what."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.decisions import GrantRevoke, GrantsList, RequestDecide
from jupyter_guardrails.control.interface.messages import RequestsList


def add_parsers(commands: Any) -> None:
    """Below `data`."""
    requests = add_command(commands, "requests", _requests, "what was asked for: your own, and what you may decide; and live grants")
    requests.add_argument("--all", action="store_true", help="also what was decided")
    grant = add_command(commands, "grant", _decide, "grant a request")
    grant.add_argument("--days", type=int, metavar="N", help="fewer than were asked for")
    refuse = add_command(commands, "refuse", _decide, "refuse a request; whoever asked reads the reason")
    revoke = add_command(commands, "revoke", _revoke, "end a grant now: the grant's id, or that of its request")
    for parser, needed in ((grant, False), (refuse, True), (revoke, True)):
        parser.add_argument("id", help="as `data requests` shows it")
        parser.add_argument("--reason", default="", required=needed)


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


def _decide(arguments: argparse.Namespace) -> int:
    request = RequestDecide(id=arguments.id, decision=arguments.data_command, reason=arguments.reason, days=getattr(arguments, "days", None))
    with connected(os.environ) as client:
        found = client.call(request)
    return say(found, arguments, f"{found['id']}: {line(found['dataset'])} is {found['state']} to {line(found['person'])}, {found['days']} days")


def _revoke(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(GrantRevoke(id=arguments.id, reason=arguments.reason))
    gone = f"{found['id']}: {line(found['person'])} may no longer read {line(found['dataset'])} by it; a kernel that runs keeps what it has open"
    return say(found, arguments, gone)
