"""`jupyter guardrails audit verify|tail|export|new-key`: the audit log, checked without control or read through it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.audit_text import csv_lines, record_line
from jupyter_guardrails.cli.connection import connected, settings_from
from jupyter_guardrails.cli.printing import print_json
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.interface.auditing import AuditExport, AuditFind, AuditNewKey
from jupyter_guardrails.control.interface.machine import database_url
from jupyter_guardrails.control.process import database_of
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.quantities import parse_duration
from jupyter_guardrails.records import offline, witnessed
from jupyter_guardrails.records.chain import line
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.signing import PUBLIC
from jupyter_guardrails.records.verify import Verification

FOLLOW_S = 1.0


def add_parser(subparsers: Any) -> None:
    """`audit` and its four commands."""
    commands = subparsers.add_parser("audit", help="check, read and export the audit log").add_subparsers(dest="what", required=True)
    _add_verify(commands)
    tail = _add(commands, "tail", run_tail, "the newest records: your own, everybody's for admins")
    tail.add_argument("-f", "--follow", action="store_true", help="go on as records come")
    tail.add_argument("-n", "--number", type=int, default=20, help="how many (20)")
    _add_filters(tail)
    export = _add(commands, "export", run_export, "write records, their anchors and a signature into a new file")
    export.add_argument("file", metavar="FILE", type=Path, help="a file that doesn't exist yet")
    export.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="csv is for spreadsheets, and carries no signature")
    export.add_argument("--until", type=moment, help="records before this time")
    _add_filters(export)
    _add(commands, "new-key", run_new_key, "sign the log with a fresh key from now on, announced by the old one (admins)")


def _add_verify(commands: Any) -> None:
    verify = _add(commands, "verify", run_verify, "prove that nothing was edited, deleted, reordered or cut; needs no control")
    place = verify.add_mutually_exclusive_group()
    place.add_argument("file", metavar="FILE", nargs="?", type=Path, help="audit.jsonl, one of its older parts, or an export")
    place.add_argument("--state-dir", type=Path, help="control's state directory: its table, its files, and that both are the same (default: yours)")
    verify.add_argument("--records", metavar="URL", type=database, help="the log's PostgreSQL database (default: the one in settings.yaml)")
    verify.add_argument("--witness", metavar="FILE", type=Path, help="what journalctl -o json, syslog or a collector kept")
    verify.add_argument("--key", type=public_key, action="append", default=[], help="a public key that must vouch for the log, or a file with it")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=moment, help="2h, 30d, or a time like 2025-01-31T12:00")
    parser.add_argument("--principal", metavar="PERSON", help="of this person (others' are for admins)")
    parser.add_argument("--action", action="append", default=[], help="only these actions, like kernel.start; may be repeated")


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)
    return parser


def moment(text: str) -> str:
    """A time for a filter: so long ago, or a date and time (UTC unless it says otherwise)."""
    try:
        return iso(datetime.now(UTC) - timedelta(seconds=parse_duration(text)))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: say 2h, 30d or 2025-01-31T12:00") from None
    return iso(found if found.tzinfo else found.replace(tzinfo=UTC))


def public_key(text: str) -> str:
    """64 hexadecimal digits, or a file that holds them."""
    found = text if PUBLIC.fullmatch(text) else _first_line(Path(text))
    if not PUBLIC.fullmatch(found):
        raise argparse.ArgumentTypeError(f"{text} is no public key: it has 64 hexadecimal digits, as in audit-key.public")
    return found


def database(text: str) -> str:
    """A PostgreSQL database, named without a password, which everybody on the machine could read."""
    try:
        return database_url(text, otherwise="everybody on this machine can read it; put it into ~/.pgpass, mode 600")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _first_line(path: Path) -> str:
    try:
        return path.read_text()[:65].strip()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{path} can't be read: {error}") from None


def run_verify(arguments: argparse.Namespace) -> int:
    """0 nothing was tampered with; 1 something was, with the first bad record."""
    more: dict[str, Any] = {"pinned": tuple(arguments.key), "accepted": tuple(arguments.key)}
    try:
        if arguments.witness:
            more["witnessed"] = witnessed.read(arguments.witness)
        found = _verified(arguments, more)
    except OSError as error:
        raise BadRequest(f"{error.filename} can't be read: {error.strerror}", next_step="run this as the account that control runs as") from error
    if arguments.json:
        print_json(asdict(found) | {"ok": found.ok})
    else:
        print("\n".join(verdict(found)))
    return 0 if found.ok else 1


def _verified(arguments: argparse.Namespace, more: dict[str, Any]) -> Verification:
    """Of a file; of a database that is named without its state directory; else of a state directory with the database that belongs to it."""
    if arguments.file and arguments.records:
        raise BadRequest("a FILE is verified by itself", next_step="leave --records away, or name the state directory of both with --state-dir")
    if arguments.file:
        return offline.verify_file(arguments.file, **more)
    settings = settings_from(os.environ)
    named = _address(replace(settings, records=arguments.records)) if arguments.records else None
    if named and not arguments.state_dir:
        return offline.verify_database(named, **more)
    state_dir = arguments.state_dir or settings.state_dir
    of_settings = _address(settings) if os.path.realpath(state_dir) == os.path.realpath(settings.state_dir) else None
    return offline.verify_state(state_dir, named or of_settings, **more)


def _address(settings: Settings) -> str | None:
    """The PostgreSQL database, with the service's password file for whoever can read that; None: the records are in the state directory."""
    passfile = settings.records_passfile
    readable = passfile if passfile and os.access(passfile, os.R_OK) else None  # others have their own: libpq would not look there
    return str(database_of(replace(settings, records_passfile=readable))) if settings.records else None


def verdict(found: Verification) -> Iterator[str]:
    """What was found, in sentences."""
    for problem in found.problems:
        yield f"NOT WHOLE: {problem}"
        yield f"{found.count} records before that hold"
    if found.ok:
        yield f"{found.count} records hold: {found.first} to {found.last}" if found.count else "the log is empty"
    yield f"anchored up to record {found.anchored_to}" if found.anchored_to else "no anchor was found in it"
    if found.key:
        yield f"its key: {found.key}"
    if found.witnessed_to is None:
        yield "no witness was asked (--witness FILE): that log and anchors were cut back together can't be seen from inside"
    elif found.witnessed_to:
        yield f"complete up to external anchor {found.witnessed_to}"
    yield from found.notes


def run_tail(arguments: argparse.Namespace) -> int:
    """The newest records; with `--follow` until Ctrl-C."""
    wanted = {"since": arguments.since, "person": arguments.principal, "actions": arguments.action}
    with connected(os.environ) as client:
        found = client.call(AuditFind(limit=arguments.number, last=True, **wanted))
        while True:
            for record in found["records"]:
                print(line(record) if arguments.json else record_line(record), flush=True)
            if not arguments.follow:
                return 0
            if not found["records"]:
                time.sleep(FOLLOW_S)
            found = client.call(AuditFind(after=found["next"], **wanted))


def run_export(arguments: argparse.Namespace) -> int:
    """Into a file that is there whole or not at all."""
    request = AuditExport(since=arguments.since, until=arguments.until, person=arguments.principal, actions=arguments.action)
    with _new_file(arguments.file) as file, connected(os.environ) as client:
        with open(os.memfd_create("export"), "w+b") as raw:  # a service writes into no file of its accounts
            found = client.call(request, fds=[raw.fileno()])
            raw.seek(0)
            if arguments.format == "jsonl":
                shutil.copyfileobj(raw, file)
            else:
                file.writelines(text.encode() for text in csv_lines(raw))
        file.flush()
    print(json.dumps(found) if arguments.json else f"wrote {found['count']} records into {arguments.file}")
    return 0


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    """A private file that is new, and gone again when it could not be filled."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}", next_step="name a file that doesn't exist yet, in a folder that you may write") from error
    with open(descriptor, "r+b") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


def run_new_key(arguments: argparse.Namespace) -> int:
    """Says the new public key."""
    with connected(os.environ) as client:
        found = client.call(AuditNewKey())
    print(json.dumps(found) if arguments.json else f"the log is signed with {found['key']} from now on; the old key announced it")
    return 0
