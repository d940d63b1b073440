"""Why nothing can be written: a full disk, a used up quota, a disk that fails; one sentence for whoever asked."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jupyter_guardrails.errors import RecordsUnwritable

PRIMARY = 0xFF  # SQLite: the low byte of an extended result code
SQLITE_FAILURES = {
    sqlite3.SQLITE_FULL: "no space left",
    sqlite3.SQLITE_IOERR: "the disk gave an error, as it does for a used up quota",
    sqlite3.SQLITE_READONLY: "it is mounted read-only, or belongs to somebody else",
    sqlite3.SQLITE_CANTOPEN: "a file could not be made",
}
FILE_FAILURES = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file may not grow any more",
    errno.EIO: "the disk gave an error",
    errno.EROFS: "it is mounted read-only",
}
POSTGRESQL_DISK_FULL = "53100"


class TransactionLost(Exception):
    """SQLite undid the whole transaction in the middle of it, as it does on a full disk."""


def explained(error: BaseException, folder: Path | None) -> BaseException:
    """RecordsUnwritable where the disk is the reason, with the place and its free space; else the error itself."""
    why = _why(error)
    if not why:
        return error
    place = f"the disk of {folder}{_free(folder)}" if folder else "the disk of the database server"
    told = f"{why} on {place}" if why in ("no space left", "the quota is used up") else f"{place}: {why}"
    refusal = RecordsUnwritable(f"the records can't be written: {told}", next_step=_next_step(folder))
    refusal.__cause__ = error
    return refusal


def lost(connection: Connection) -> bool:
    """Whether a transaction that was begun is gone; PostgreSQL says so itself at the next statement."""
    raw = connection.connection.dbapi_connection
    return isinstance(raw, sqlite3.Connection) and not raw.in_transaction


def _why(error: BaseException | None) -> str:
    """In words, looking through what an error was raised from; "" when the disk has nothing to do with it."""
    while error is not None:
        if isinstance(error, TransactionLost):
            return SQLITE_FAILURES[sqlite3.SQLITE_FULL]
        if isinstance(error, OSError) and error.errno in FILE_FAILURES:
            return FILE_FAILURES[error.errno]
        if isinstance(error, sqlite3.Error):  # of a statement that went past SQLAlchemy
            return _why_of_driver(error)
        if isinstance(error, DBAPIError) and error.orig is not None:
            return _why_of_driver(error.orig)
        error = error.__cause__
    return ""


def _why_of_driver(error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        return SQLITE_FAILURES.get(getattr(error, "sqlite_errorcode", 0) & PRIMARY, "")
    return "no space left" if getattr(error, "sqlstate", None) == POSTGRESQL_DISK_FULL else ""


def _free(folder: Path) -> str:
    try:
        found = os.statvfs(folder)
    except OSError:
        return ""
    return f" ({found.f_bavail * found.f_frsize >> 20} MiB free)"


def _next_step(folder: Path | None) -> str:
    where = f"free some space there (`df {folder}`)" if folder else "ask your admin to free some space there"
    return f"{where}: everything goes on by itself then, and what runs goes on meanwhile"
