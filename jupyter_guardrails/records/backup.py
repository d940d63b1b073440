"""A backup: all tables as of one moment and the files beside them, in one gzipped tar with a digest of each part.

backup.json                  format, revision of the tables, when, where, the audit chain's head
records/<table>/<n>.jsonl    rows, one JSON object a line, as the database keeps them: SQLite and PostgreSQL read each other's
files/<path>                 what lies in the state directory
digests.json                 SHA-256 of every part; last, so that a backup that was cut off has none
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, select

from jupyter_guardrails.records import audit
from jupyter_guardrails.records.columns import iso

FORMAT = 1
ROWS_A_PART = 10_000
HEAD, ROWS, FILES, DIGESTS = "backup.json", "records/", "files/", "digests.json"
LEFT_OUT = ("records.sqlite", "control.", "environments")  # the database itself, what belongs to one process, what is made again
PUBLIC_KEYS = (".public.json", ".public")
JOURNAL = re.compile(rf"{FILES}audit(-[a-z0-9]+)?\.jsonl")  # also its anchors, and a part that was closed a moment ago


@dataclass
class Written:
    """What a backup holds; `left_out` are files that were no plain files, or went while it was made."""

    seq: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    left_out: list[str] = field(default_factory=list)


class _Parts:
    """The tar, part by part, with the digest of each."""

    def __init__(self, sink: BinaryIO, now: datetime) -> None:
        self.tar = tarfile.open(fileobj=sink, mode="w:gz", compresslevel=3)  # noqa: SIM115 - `finish` closes it
        self.digests: dict[str, str] = {}
        self._mtime = int(now.timestamp())

    def add(self, name: str, data: bytes) -> None:
        """One part from memory."""
        part = tarfile.TarInfo(name)
        part.size, part.mtime, part.mode = len(data), self._mtime, 0o600
        self.digests[name] = hashlib.sha256(data).hexdigest()
        self.tar.addfile(part, io.BytesIO(data))

    def add_file(self, name: str, file: BinaryIO, size: int) -> None:
        """The first `size` bytes of an open file; OSError when it has less."""
        part = tarfile.TarInfo(name)
        part.size, part.mtime, part.mode = size, self._mtime, 0o600
        reader = _Hashed(file)
        self.tar.addfile(part, reader)  # type: ignore[arg-type]  # it only reads
        self.digests[name] = reader.digest.hexdigest()

    def finish(self) -> None:
        """The digests, then the tar's end."""
        self.add(DIGESTS, json.dumps(self.digests, indent=0).encode())
        self.tar.close()


class _Hashed:
    """A file whose digest is taken while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Called by tarfile."""
        data = self._file.read(size)
        self.digest.update(data)
        return data


def write(connection: Connection, sink: BinaryIO, state_dir: Path, *, now: datetime, with_keys: bool) -> Written:
    """The whole backup, from a connection whose reads are one snapshot: tables first, so that no row lacks its file."""
    parts, written = _Parts(sink, now), Written()
    tables = MetaData()
    tables.reflect(connection)
    written.seq, head = audit.head(connection)
    said: dict[str, Any] = {"format": FORMAT, "revision": MigrationContext.configure(connection).get_current_revision(), "made": iso(now)}
    said |= {"state_dir": str(state_dir), "seq": written.seq, "hash": head, "with_keys": with_keys}
    parts.add(HEAD, json.dumps(said, indent=1).encode())
    for table in tables.sorted_tables:
        if table.name != "alembic_version":
            written.rows[table.name] = _add_rows(connection, parts, table)
    _add_files(parts, state_dir, written, with_keys=with_keys)
    parts.finish()
    return written


def _add_rows(connection: Connection, parts: _Parts, table: Any) -> int:
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_A_PART)
    rows = connection.execute(query).mappings()
    count = 0
    for number, chunk in enumerate(rows.partitions(ROWS_A_PART)):
        lines = "".join(json.dumps(dict(row), ensure_ascii=True, allow_nan=False) + "\n" for row in chunk)
        parts.add(f"{ROWS}{table.name}/{number}.jsonl", lines.encode())
        count += len(chunk)
    return count


def _add_files(parts: _Parts, state_dir: Path, written: Written, *, with_keys: bool) -> None:
    for path in _found(state_dir, state_dir):
        place = path.relative_to(state_dir)
        if not with_keys and _is_private(place):
            continue
        try:
            _add_one(parts, path, f"{FILES}{place.as_posix()}", written.seq)
        except FileNotFoundError:
            written.left_out.append(str(place))
            continue
        except _NoPlainFile:
            written.left_out.append(str(place))
            continue
        written.files += 1


def _is_private(place: Path) -> bool:
    """Whether this may be a private key: of what lies among keys, or is called like the audit log's, only what is public by name isn't."""
    among_keys = place.parts[0] == "keys" or place.name.startswith("audit-key")
    return place.suffix == ".pem" or (among_keys and not place.name.endswith(PUBLIC_KEYS))


class _NoPlainFile(Exception):
    """A link, socket, pipe or device."""


def _found(folder: Path, top: Path) -> Iterator[Path]:
    """Everything below that is no folder, in order; links are not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if folder == top and entry.name.startswith(LEFT_OUT):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _found(Path(entry.path), top)
        else:
            yield Path(entry.path)


def _add_one(parts: _Parts, path: Path, name: str, seq: int) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link (ELOOP), a socket (ENXIO)
        raise _NoPlainFile from error
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise _NoPlainFile
        size = _until(file, seq) if JOURNAL.fullmatch(name) else found.st_size
        parts.add_file(name, file, size)


def _until(file: BinaryIO, seq: int) -> int:
    """How much of the audit file the snapshot knows: it may have grown since, and a later part would stand in the way of what comes next."""
    size = 0
    for line in file:
        if not line.endswith(b"\n") or _seq_of(json.loads(line)) > seq:
            break
        size += len(line)
    file.seek(0)
    return size


def _seq_of(line: dict[str, Any]) -> int:
    """Of a record, or of an anchor."""
    return int(line.get("anchor", line)["seq"])
