"""`jupyter guardrails job trust add|list|remove|export`: whose signatures on packages count here."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.commands import add_command, say, say_table
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.trust import TrustAdd, TrustList, TrustRemove
from jupyter_guardrails.errors import BadRequest, NotFound
from jupyter_guardrails.package.trust import MAX_KEY_BYTES

SHORTEST = 12  # digits of a key's id that name one


def add_parser(commands: Any) -> None:
    """Below `job`."""
    parser = commands.add_parser("trust", help="whose signatures on packages count here, beside control's own")
    ours = parser.add_subparsers(dest="trust_command", required=True, metavar="COMMAND")
    adding = add_command(ours, "add", _add, "trust a key: packages that it signed verify here (admins, where control is a service)")
    adding.add_argument("file", type=Path, help="a *.public.json, as `job trust export` writes it")
    adding.add_argument("--name", required=True, help="whose key it is")
    add_command(ours, "list", _list, "the keys that count")
    removing = add_command(ours, "remove", _remove, "trust a key no longer")
    removing.add_argument("keyid", help=f"{SHORTEST} digits or more")
    removing.add_argument("--reason", required=True)
    exporting = add_command(ours, "export", _export, "control's own public key, for the trust store of somebody else")
    exporting.add_argument("--to", type=Path, metavar="FILE", help="a new file (default: it is printed)")


def _add(arguments: argparse.Namespace) -> int:
    try:
        with arguments.file.open("rb") as file:
            text = file.read(MAX_KEY_BYTES + 1)[:MAX_KEY_BYTES].decode("utf-8")
    except (OSError, ValueError) as error:
        raise BadRequest(f"{arguments.file} can't be read: {error}", next_step="name a *.public.json file") from error
    with connected(os.environ) as client:
        found = client.call(TrustAdd(key=text, name=arguments.name))
    return say(found, arguments, f"trusted from now on: {found['keyid']} ({line(found['name'])})")


def _list(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(TrustList())
    rows = [(key["keyid"], key["name"]) for key in found["keys"]]
    return say_table(found, arguments, rows=rows, head=("key", "whose"), empty="no key is trusted")


def _remove(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(TrustRemove(keyid=_whole(client, arguments.keyid), reason=arguments.reason))
    return say(found, arguments, f"no longer trusted: {found['keyid']} ({line(found['name'])})")


def _whole(client: ControlClient, digits: str) -> str:
    """The id that begins with these digits."""
    found = [key["keyid"] for key in client.call(TrustList())["keys"] if key["keyid"].startswith(digits.lower())]
    if len(digits) < SHORTEST or len(found) != 1:
        raise NotFound(f"{digits!r} names {len(found)} trusted keys", next_step=f"`jupyter guardrails job trust list`; {SHORTEST} digits or more")
    return str(found[0])


def _export(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = next(key for key in client.call(TrustList())["keys"] if key["own"])
    if not arguments.to:
        return say(found, arguments, found["public"].rstrip("\n"))
    with arguments.to.open("x", encoding="utf-8") as sink:
        sink.write(found["public"])
    return say(found, arguments, str(arguments.to))
