"""`audit.jsonl`: the audit table as JSON lines for people and log collectors. Derived: the table is the truth, this follows each commit."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

from sqlalchemy import Connection

from jupyter_guardrails.records import audit

PAGE = 1000


class Journal:
    """An append-only file that continues after its last whole line, so a crash between commit and write loses nothing."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        self._seq = _last_seq(self._file.fileno())
        self._torn_at: int | None = None  # where a line begins that is not whole

    def follow(self, connection: Connection) -> None:
        """Write the lines of all records that are not in the file yet."""
        while records := audit.newest(connection, after=self._seq, limit=PAGE):
            data = "".join(audit.line(record) + "\n" for record in records).encode()
            self._append(data)
            self._seq = records[-1]["seq"]

    def _append(self, data: bytes) -> None:
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
        self._torn_at = None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _last_seq(fd: int) -> int:
    """Sequence number of the last whole line; a torn line behind it (a crash while writing) is cut off first."""
    size = os.fstat(fd).st_size
    end = _after_last_newline(fd, size)
    if end < size:
        os.ftruncate(fd, end)
    if end == 0:
        return 0
    start = _after_last_newline(fd, end - 1)
    seq = json.loads(os.pread(fd, end - start, start))["seq"]
    return int(seq)


def _after_last_newline(fd: int, end: int) -> int:
    """Offset behind the last newline before `end`; 0 when there is none."""
    while end > 0:
        start = max(0, end - 65536)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
