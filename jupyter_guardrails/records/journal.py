"""`audit.jsonl`: the audit table as JSON lines for people and log collectors. Derived: the table is the truth, this follows each commit.

A file that is large or old becomes a part of its own at the next anchor, so that whatever is left begins behind a signed statement.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import audit, parts

PAGE = 1000
MAX_BYTES = 64 << 20
MAX_AGE_S = 24 * 3600


class Journal:
    """An append-only file that continues after its last whole line, so a crash between commit and write loses nothing."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
        self.path, self.max_bytes, self.max_age_s = path, max_bytes, max_age_s
        self._anchors = _Lines(path.with_name(parts.ANCHORS))
        self._anchored = int((self._anchors.last() or {"anchor": {"seq": 0}})["anchor"]["seq"])
        self._records = _Lines(path)
        self._first = self._records.first()
        last = self._records.last()
        self.seq = int(last["seq"]) if last else _last_of(parts.parts(path.parent))

    def follow(self, connection: Connection) -> None:
        """Write the lines of all records that are not in the file yet, and their anchors."""
        for anchor in anchoring.read(connection, after=self._anchored):
            self._write_until(connection, anchor.seq)
            self._anchors.append((json.dumps(anchor.to_json(), sort_keys=True) + "\n").encode())
            self._anchored = anchor.seq
            if anchor.seq == self.seq and anchor.key and self._is_due(anchor.time):
                self._rotate()
        self._write_until(connection, None)

    def go_on(self, records: Sequence[dict[str, Any]]) -> bool:
        """Write the newest records without asking for them; False, and nothing is done, where they don't follow what is in the file."""
        if not records or records[0]["seq"] != self.seq + 1:
            return False
        self._write(records)
        return True

    def forget(self, until: int) -> list[Path]:
        """Remove the parts that hold nothing but records up to this one, and the anchors that only they need; returns the parts."""
        old = parts.parts(self.path.parent)
        if not old:
            return []
        starts = [*(part.first for part in old[1:]), int(self._first["seq"]) if self._first else self.seq + 1]
        gone = [part.path for part, following in zip(old, starts, strict=True) if following - 1 <= until]
        for path in gone:
            path.unlink()
        if gone:
            self._keep_anchors(starts[len(gone) - 1] - 1)
        return gone

    def close(self) -> None:
        """Let go of the files."""
        self._records.close()
        self._anchors.close()

    def _write_until(self, connection: Connection, last: int | None) -> None:
        while last is None or self.seq < last:
            limit = PAGE if last is None else min(PAGE, last - self.seq)
            records = audit.following(connection, after=self.seq, limit=limit)
            if not records:
                return
            self._write(records)

    def _write(self, records: Sequence[dict[str, Any]]) -> None:
        self._records.append("".join(audit.line(record) + "\n" for record in records).encode())
        self._first = self._first or records[0]
        self.seq = records[-1]["seq"]

    def _is_due(self, now: str) -> bool:
        if self._first is None:
            return False
        age = datetime.fromisoformat(now) - datetime.fromisoformat(self._first["time"])
        return self._records.size >= self.max_bytes or age.total_seconds() >= self.max_age_s

    def _rotate(self) -> None:
        """The file becomes a part by its new name alone: a crash leaves either the old or the new state."""
        assert self._first is not None, "an empty file is never due"
        self._records.sync()
        self._records.close()
        os.rename(self.path, self.path.with_name(parts.name_of(int(self._first["seq"]))))
        self._records, self._first = _Lines(self.path), None

    def _keep_anchors(self, start: int) -> None:
        kept = [one for one in parts.read_anchors(self.path.parent) if one.seq >= start]
        fresh = self._anchors.path.with_name(parts.ANCHORS + ".new")
        fresh.unlink(missing_ok=True)
        lines = _Lines(fresh)
        lines.append("".join(json.dumps(one.to_json(), sort_keys=True) + "\n" for one in kept).encode())
        lines.sync()
        self._anchors.close()
        os.replace(fresh, self._anchors.path)
        lines.path, self._anchors = self._anchors.path, lines


class _Lines:
    """A private file of JSON lines that only grows; a torn line at its end (a crash while writing) is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        end = _after_last_newline(self._file.fileno(), self.size)
        if end < self.size:
            os.ftruncate(self._file.fileno(), end)
        self.size = end
        self._torn_at: int | None = None  # where a line begins that is not whole

    def append(self, data: bytes) -> None:
        """All of it or nothing: what a full disk took of a line is cut off again, so that the next one begins at its start."""
        fd = self._file.fileno()
        if self._torn_at is not None:
            os.ftruncate(fd, self._torn_at)
        self._torn_at = os.fstat(fd).st_size
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, "the audit file took only a part of a record")
        except OSError:
            with contextlib.suppress(OSError):  # then before the next line
                os.ftruncate(fd, self._torn_at)
            raise
        self.size, self._torn_at = self._torn_at + len(data), None

    def first(self) -> dict[str, Any] | None:
        """The first line's value; None in an empty file."""
        head = os.pread(self._file.fileno(), parts.LONGEST_LINE, 0) if self.size else b""
        return json.loads(head[: head.index(b"\n")]) if head else None

    def last(self) -> dict[str, Any] | None:
        """The last line's value; None in an empty file."""
        if not self.size:
            return None
        start = _after_last_newline(self._file.fileno(), self.size - 1)
        return json.loads(os.pread(self._file.fileno(), self.size - start, start))  # type: ignore[no-any-return]  # we wrote an object

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _last_of(old: list[parts.Part]) -> int:
    """Sequence number of the last record in the newest part; 0 without one."""
    if not old:
        return 0
    with parts.opened(old[-1].path) as file:
        (last,) = deque(file, maxlen=1)
    return int(json.loads(last)["seq"])


def _after_last_newline(fd: int, end: int) -> int:
    """Offset behind the last newline before `end`; 0 when there is none."""
    while end > 0:
        start = max(0, end - 65536)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
