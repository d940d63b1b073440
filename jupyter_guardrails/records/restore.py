"""Reading a backup back: every part against its digest, the rows at the revision they were written with, the audit chain, then one swap."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Text, func, insert, inspect, literal, update
from sqlalchemy.exc import OperationalError, StatementError

from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError
from jupyter_guardrails.records import audit, tables
from jupyter_guardrails.records.backup import DIGESTS, FILES, FORMAT, HEAD, ROWS
from jupyter_guardrails.records.database import _engine
from jupyter_guardrails.records.upgrade import upgrade

RENAME_EXCHANGE = 2
AT_FDCWD = -100
PART = re.compile(rf"{re.escape(HEAD)}|{re.escape(DIGESTS)}|{ROWS}[a-z_]+/[0-9]+\.jsonl|{FILES}.+")
NEXT = "take another backup; nothing was changed here"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back."""

    head: dict[str, Any]
    rows: dict[str, int]
    files: int


def unpack(backup: Path, staging: Path) -> dict[str, Any]:
    """Every part of the backup below `staging`, checked against its digest; what `backup.json` says. BadRequest for anything else."""
    try:
        digests = _extract(backup, staging)
        listed = json.loads((staging / DIGESTS).read_text())
        head = json.loads((staging / HEAD).read_text())
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, FileNotFoundError):
            raise
        raise BadRequest(f"{backup} is no whole backup: {error}", next_step=NEXT) from error
    digests.pop(DIGESTS)
    wrong = sorted(name for name in digests.keys() | listed.keys() if digests.get(name) != listed.get(name))
    if wrong:
        raise BadRequest(f"{backup} was altered: {', '.join(wrong[:3])} is not what its digest says", next_step=NEXT)
    if head.get("format") != FORMAT:
        raise Conflict(f"{backup} has format {head.get('format')}, which this version does not know", next_step="install the version that made it")
    return dict(head)


def load(connection: Connection, staging: Path, head: dict[str, Any], *, state_dir: Path, replace: bool = False) -> Restored:
    """The rows into an empty database, in the caller's transaction, then up to this version's tables; raises unless the audit chain holds."""
    _empty(connection, replace=replace)
    upgrade(connection, to=head["revision"])
    found = MetaData()
    found.reflect(connection)
    rows = {table.name: _load_table(connection, table, staging) for table in found.sorted_tables if table.name != "alembic_version"}
    unknown = {path.name for path in (staging / ROWS).iterdir()} - rows.keys() if (staging / ROWS).exists() else set()
    if unknown:
        raise BadRequest(f"the backup has rows of tables that its revision lacks: {', '.join(sorted(unknown))}", next_step=NEXT)
    upgrade(connection)
    _move_paths(connection, str(head["state_dir"]), str(state_dir))
    _check_chain(connection, head)
    return Restored(head, rows, sum(path.is_file() for path in (staging / FILES).rglob("*")) if (staging / FILES).exists() else 0)


def into_sqlite(backup: Path, fresh: Path, *, state_dir: Path) -> Restored:
    """A whole new state directory in the empty folder `fresh`, ready to be swapped in at `state_dir`."""
    staging = fresh / ".backup"
    staging.mkdir(mode=0o700)
    head = unpack(backup, staging)
    engine = _engine(f"sqlite:///{fresh / 'records.sqlite'}", writer=True)
    with engine.begin() as connection:
        restored = load(connection, staging, head, state_dir=state_dir)
    engine.dispose()
    place_files(staging, fresh)
    return restored


def into_postgresql(backup: Path, url: str, fresh: Path, *, state_dir: Path, swapped: Callable[[], None], replace: bool = False) -> Restored:
    """The rows into the database at `url`, all or nothing; the files into the empty folder `fresh`; `swapped` is called just before the commit."""
    staging = fresh / ".backup"
    staging.mkdir(mode=0o700)
    head = unpack(backup, staging)
    engine = _engine(url, writer=True)
    try:
        with engine.begin() as connection:
            restored = load(connection, staging, head, state_dir=state_dir, replace=replace)
            place_files(staging, fresh)
            swapped()
    finally:
        engine.dispose()
    return restored


def place_files(staging: Path, fresh: Path) -> None:
    """The files where they belong, and everything on the disk for good."""
    for entry in (staging / FILES).iterdir() if (staging / FILES).exists() else ():
        os.rename(entry, fresh / entry.name)
    shutil.rmtree(staging)
    for path in [*fresh.rglob("*"), fresh]:
        _sync(path)


def set_aside(old: Path, state_dir: Path, *, now: datetime) -> Path | None:
    """Give the old state directory, exchanged already, a name beside the new one; None when it was empty, and is gone now."""
    if not holds_something(old):
        shutil.rmtree(old)
        return None
    aside = state_dir.with_name(f"{state_dir.name}.before-{now:%Y%m%dT%H%M%SZ}")
    os.rename(old, aside)
    _sync(state_dir.parent)
    return aside


def holds_something(folder: Path) -> bool:
    """Whether there is more in it than the lock of a control."""
    return any(entry.name != "control.lock" for entry in folder.iterdir())


def _extract(backup: Path, staging: Path) -> dict[str, str]:
    """Name -> digest of what was really there."""
    found: dict[str, str] = {}
    with tarfile.open(backup, mode="r:gz") as tar:
        for part in tar:
            if not part.isfile() or part.name in found or not _is_ours(part.name):
                raise ValueError(f"it holds {part.name!r}, which no backup does")
            source = tar.extractfile(part)
            assert source is not None
            found[part.name] = _copy(source, staging / part.name)
    if DIGESTS not in found or HEAD not in found:
        raise ValueError("its end is missing")
    return found


def _is_ours(name: str) -> bool:
    """A plain path below the folders that a backup has: nothing absolute, no `..`, no byte that a file name can't have."""
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and "\0" not in name and str(path) == name
    first = path.parts[1] if name.startswith(FILES) and len(path.parts) > 1 else ""
    return plain and PART.fullmatch(name) is not None and not first.startswith(("records.sqlite", "control.", ".backup"))


def _copy(source: Any, target: Path) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as sink:
        while data := source.read(1 << 20):
            digest.update(data)
            sink.write(data)
    return digest.hexdigest()


def _empty(connection: Connection, *, replace: bool) -> None:
    names = inspect(connection).get_table_names()
    if not names:
        return
    if not replace:
        raise Conflict("the database holds tables already", next_step="name an empty one, or let --replace drop them")
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)


def _load_table(connection: Connection, table: Any, staging: Path) -> int:
    for column in table.columns:
        if isinstance(column.type, JSON):
            column.type = JSON(none_as_null=True)
    count, names = 0, set(table.columns.keys())
    for rows in _parts(staging / ROWS / table.name):
        if any(row.keys() != names for row in rows):
            raise BadRequest(f"the rows of {table.name} don't fit their table", next_step=NEXT)
        try:
            connection.execute(insert(table), rows)
        except OperationalError:  # the disk or the connection, not the rows
            raise
        except (KeyError, TypeError, StatementError) as error:
            raise BadRequest(f"the rows of {table.name} don't fit their table: {str(error).splitlines()[0]}", next_step=NEXT) from error
        count += len(rows)
    return count


def _parts(folder: Path) -> Iterator[list[dict[str, Any]]]:
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: int(path.stem)):
        if rows := [json.loads(line) for line in path.read_text().splitlines()]:
            yield rows


def _check_chain(connection: Connection, head: dict[str, Any]) -> None:
    verified = audit.verify_table(connection)
    if not verified.ok:
        raise BadRequest(f"the audit log in the backup does not verify: {verified.problems[0]}", next_step=NEXT)
    last, digest = audit.head(connection)
    if (last, digest) != (head["seq"], head["hash"]):
        raise BadRequest(f"the audit log in the backup ends at record {last}, and {head['seq']} was its last", next_step=NEXT)


def _move_paths(connection: Connection, before: str, after: str) -> None:
    """Submissions name their files by whole paths."""
    for column in (tables.submissions.c.package_path, tables.submissions.c.frozen):
        inside = func.substr(column, 1, len(before) + 1) == before + "/"
        moved = literal(after, Text).concat(func.substr(column, len(before) + 1))
        connection.execute(update(tables.submissions).where(inside).values({column: moved}))


def exchange(one: Path, other: Path) -> None:
    """Two folders of one disk take each other's place in one step of the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise GuardrailsError(
            f"{one} could not take the place of {other}: {reason}", next_step="nothing was changed; end control, rename them by hand"
        )


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
