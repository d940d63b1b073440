"""Why nothing can be written: a full disk, a used up quota, a disk that fails, a database that is away; one sentence for whoever asked."""

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
POSTGRESQL_AWAY = ("08", "53300", "57P")  # connections that break, too many of them, a server that stops or begins; without a code: none stood
MEANWHILE = "everything goes on by itself then, and what runs goes on meanwhile"
AWAY = "their database does not answer, or does not let control in"


class TransactionLost(Exception):
    """The whole transaction was undone in the middle of it: SQLite does that on a full disk, PostgreSQL when a connection breaks."""


def explained(error: BaseException, folder: Path | None) -> BaseException:
    """RecordsUnwritable where the disk is the reason, with the place and its free space, or the database is away; else the error itself."""
    why = _why(error)
    if not why:
        return error
    told, next_step = _away(error) if why == AWAY else _disk(why, folder)
    refusal = RecordsUnwritable(told, next_step=next_step)
    refusal.__cause__ = error
    return refusal


def _away(error: BaseException) -> tuple[str, str]:
    """What is said of a database that is away, with the driver's own first line."""
    source = error.__cause__ if isinstance(error, TransactionLost) else error
    said = str(getattr(source, "orig", None) or source).partition("\n")[0].strip()
    return f"the records can't be reached: {AWAY} ({said})", f"ask your admin to see that it runs: {MEANWHILE}"


def _disk(why: str, folder: Path | None) -> tuple[str, str]:
    """What is said of a disk: whose it is, why it takes nothing, and what helps."""
    place = f"the disk of {folder}{_free(folder)}" if folder else "the disk of the database server"
    told = f"{why} on {place}" if why in ("no space left", "the quota is used up") else f"{place}: {why}"
    return f"the records can't be written: {told}", _next_step(folder)


def lost(connection: Connection) -> bool:
    """Whether a transaction that was begun is gone, by itself or with its connection; else PostgreSQL says so at the next statement."""
    if connection.invalidated:
        return True
    raw = connection.connection.dbapi_connection
    return isinstance(raw, sqlite3.Connection) and not raw.in_transaction


def _why(error: BaseException | None) -> str:
    """In words, looking through what an error was raised from; "" when the disk has nothing to do with it."""
    while error is not None:
        if isinstance(error, TransactionLost):
            return _why(error.__cause__) or SQLITE_FAILURES[sqlite3.SQLITE_FULL]
        if isinstance(error, OSError) and error.errno in FILE_FAILURES:
            return FILE_FAILURES[error.errno]
        if isinstance(error, sqlite3.Error) or hasattr(error, "sqlstate"):  # of a statement that went past SQLAlchemy
            return _why_of_driver(error)
        if isinstance(error, DBAPIError) and error.orig is not None:
            return _why_of_driver(error.orig)
        error = error.__cause__
    return ""


def _why_of_driver(error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        return SQLITE_FAILURES.get(getattr(error, "sqlite_errorcode", 0) & PRIMARY, "")
    code = getattr(error, "sqlstate", "") or ""
    if code == POSTGRESQL_DISK_FULL:
        return "no space left"
    no_answer = code.startswith(POSTGRESQL_AWAY) or (not code and type(error).__name__ == "OperationalError")  # psycopg may not be installed
    return AWAY if no_answer else ""


def _free(folder: Path) -> str:
    try:
        found = os.statvfs(folder)
    except OSError:
        return ""
    return f" ({found.f_bavail * found.f_frsize >> 20} MiB free)"


def _next_step(folder: Path | None) -> str:
    where = f"free some space there (`df {folder}`)" if folder else "ask your admin to free some space there"
    return f"{where}: {MEANWHILE}"
