"""`jupyter guardrails backup|restore`: everything that control keeps, in one file and back."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.cli.connection import connected, refuse_inside, settings_from
from jupyter_guardrails.cli.printing import print_json
from jupyter_guardrails.control.hardening import hold_lock
from jupyter_guardrails.control.interface.backup import RecordsBackup
from jupyter_guardrails.control.interface.machine import database_url
from jupyter_guardrails.control.process import database_of
from jupyter_guardrails.records import restore as restoring
from jupyter_guardrails.records.places import private_directory

WITH_KEYS = (
    "It holds control's private keys: whoever has the file can sign packages and the audit log in control's name. Keep it as you would keep them."
)
WITHOUT_KEYS = (
    "The private keys are not in it: after a restore control makes new ones. Packages signed before are still trusted by their public key, but "
    "`audit verify` will say that the audit log's key was exchanged. To go on as before after a disaster, make one --with-keys, and guard it."
)


def add_parser(subparsers: Any) -> None:
    """`backup FILE [--with-keys]`, `restore FILE [--replace] [--database URL]`."""
    parser = subparsers.add_parser("backup", help="everything that control keeps, into one file, while it works")
    parser.add_argument("file", type=Path)
    parser.add_argument("--with-keys", action="store_true", help="also the private key that signs packages")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run_backup)
    parser = subparsers.add_parser("restore", help="a backup into an empty state directory, while no control runs there")
    parser.add_argument("file", type=Path)
    parser.add_argument("--replace", action="store_true", help="also where records are: the old state directory is kept beside the new one")
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL database for the rows (password in ~/.pgpass, never here)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run_restore)


def run_backup(arguments: argparse.Namespace) -> int:
    """Write the file, whole or not at all."""
    with connected(os.environ) as client, _new_file(arguments.file) as fd:
        written = client.call(RecordsBackup(with_keys=arguments.with_keys), fds=[fd])
    if arguments.json:
        print_json(written | {"file": str(arguments.file)})
        return 0
    print(f"wrote {arguments.file}: {sum(written['rows'].values())} rows, {written['files']} files, the audit log up to record {written['seq']}")
    if written["left_out"]:
        print(f"left out, since they are no plain files or went meanwhile: {', '.join(map(repr, written['left_out'][:5]))}")
    print(WITH_KEYS if arguments.with_keys else WITHOUT_KEYS)
    return 0


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """A file of mode 0600 that wasn't there; gone again when the block fails."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise errors.BadRequest(f"{path}: {error.strerror}", next_step="name a file that is not there yet, in a folder that you may write") from error
    try:
        yield fd
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(fd)


def _check_database(url: str) -> None:
    """BadRequest unless it is a PostgreSQL database, named without a password."""
    try:
        database_url(url, otherwise="everybody on this machine can read it; put it into ~/.pgpass, mode 600")
    except ValueError as error:
        raise errors.BadRequest(f"--database {error}", next_step="postgresql://user@host/database, and the password in ~/.pgpass") from None


def run_restore(arguments: argparse.Namespace) -> int:
    """Check everything, then swap it in."""
    refuse_inside(os.environ)
    if arguments.database:
        _check_database(arguments.database)
    settings = settings_from(os.environ)
    state_dir, database = settings.state_dir, arguments.database or (str(database_of(settings)) if settings.records else None)
    restored, aside = restore(arguments.file.absolute(), state_dir, replace=arguments.replace, database=database)
    if arguments.json:
        print_json(
            {"state_dir": str(state_dir), "rows": restored.rows, "files": restored.files, "backup": restored.head, "aside": aside and str(aside)}
        )
        return 0
    print(f"restored into {state_dir}: {sum(restored.rows.values())} rows, {restored.files} files of {restored.head['made']}")
    print(f"the audit log verifies up to record {restored.head['seq']}")
    if aside:
        print(f"what was there before is in {aside}")
    return 0


def restore(backup: Path, state_dir: Path, *, replace: bool = False, database: str | None = None) -> tuple[restoring.Restored, Path | None]:
    """What came back, and where the old state directory is now. Until the last step nothing of it is touched."""
    owner = _owner(state_dir)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, hold_lock(state_dir))
        if restoring.holds_something(state_dir) and not replace:
            raise errors.Conflict(f"{state_dir} holds records already", next_step="--replace keeps them beside the restored ones, under another name")
        fresh = Path(tempfile.mkdtemp(prefix=f".{state_dir.name}.restore-", dir=state_dir.parent))
        stack.callback(os.close, hold_lock(fresh))  # nobody starts control there before this is done
        restored = _build(backup, fresh, state_dir, owner, replace=replace, database=database)
        return restored, restoring.set_aside(fresh, state_dir, now=datetime.now(UTC))


def _build(backup: Path, fresh: Path, state_dir: Path, owner: tuple[int, int], *, replace: bool, database: str | None) -> restoring.Restored:
    """Fill `fresh` and exchange it for the state directory; when anything fails, the old one is in its place and `fresh` is gone."""
    exchanged = False

    def exchange() -> None:
        nonlocal exchanged
        _give(fresh, owner)
        restoring.exchange(fresh, state_dir)
        exchanged = True

    try:
        if database:
            return restoring.into_postgresql(backup, database, fresh, state_dir=state_dir, swapped=exchange, replace=replace)
        restored = restoring.into_sqlite(backup, fresh, state_dir=state_dir)
        exchange()
        return restored
    except BaseException:
        if exchanged:  # the database did not take its rows after all
            restoring.exchange(fresh, state_dir)
        shutil.rmtree(fresh)
        raise


def _owner(state_dir: Path) -> tuple[int, int]:
    """Whose the state directory is; made when there is none. Root restores for the account of a service, everybody else for themselves."""
    if os.geteuid() != 0 or not state_dir.exists():
        private_directory(state_dir)
    found = state_dir.stat(follow_symlinks=False)
    return found.st_uid, found.st_gid


def _give(folder: Path, owner: tuple[int, int]) -> None:
    if owner == (os.geteuid(), os.getegid()):
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, *owner, follow_symlinks=False)
