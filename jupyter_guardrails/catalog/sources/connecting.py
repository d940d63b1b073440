"""A connection to a contract's database: read-only, one, with bounded waits; and what goes wrong there in our own words."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import NullPool

from jupyter_guardrails.catalog.servers import shown
from jupyter_guardrails.errors import Conflict, GuardrailsError, NotFound, SourceAway

CONNECT_S = 10
STATEMENT_S = 300  # of one statement, or of one fetch of rows
DRIVERS = {  # dialect -> SQLAlchemy's name, the package to install, what makes a transaction read-only
    "postgresql": ("postgresql+psycopg", "psycopg[binary]", "SET TRANSACTION READ ONLY"),
    "mysql": ("mysql+pymysql", "pymysql", "SET TRANSACTION READ ONLY"),
    "mssql": ("mssql+pymssql", "pymssql", ""),
    "oracle": ("oracle+oracledb", "oracledb", "SET TRANSACTION READ ONLY"),
}
TIMEOUTS = {"postgresql": {"connect_timeout": CONNECT_S}, "mysql": {"connect_timeout": CONNECT_S, "read_timeout": STATEMENT_S}}
CREDENTIALS = "tell an admin: its entry in credentials.yaml is missing, or no longer right"
LATER = "try again later; tell its owner if that stays so"
# SQLSTATE, or its first two digits -> what it means. What the database says itself may quote values and names of accounts.
STATES = {
    "28": (SourceAway, "lets control not in", CREDENTIALS),
    "42501": (SourceAway, "does not let control's account read this", "tell its owner: the account in credentials.yaml needs SELECT on it"),
    "42P01": (NotFound, "is not there", "tell the dataset's owner"),
    "3D": (NotFound, "is not there", "tell the dataset's owner"),
    "57014": (SourceAway, "took too long", "ask for less, or try again later"),
    "57": (SourceAway, "was shut down", LATER),
    "08": (SourceAway, "can't be reached", LATER),
    "53": (SourceAway, "has no room for another connection", LATER),
    "40": (SourceAway, "was changed while it was read", "read it again"),
    "22": (Conflict, "holds a value that its driver can't read", "tell the dataset's owner"),
}


def connect(place: Mapping[str, Any], credentials: Mapping[str, Any] | None, fds: Sequence[int] = ()) -> sa.Connection:
    """A connection in a transaction that can only read; its end ends the engine too."""
    engine = _sqlite(place, fds) if place["dialect"] == "sqlite" else _engine(place, credentials)
    connection = engine.connect()
    try:
        _only_read(connection, place["dialect"])
    except BaseException:
        connection.close()
        raise
    return connection


def _only_read(connection: sa.Connection, dialect: str) -> None:
    if dialect in DRIVERS and DRIVERS[dialect][2]:
        connection.execute(sa.text(DRIVERS[dialect][2]))
    if dialect == "postgresql":
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {STATEMENT_S * 1000}"))
        connection.execute(sa.text("SET LOCAL TimeZone = 'UTC'"))


def _engine(place: Mapping[str, Any], credentials: Mapping[str, Any] | None) -> sa.Engine:
    dialect = place["dialect"]
    driver, package, _ = DRIVERS[dialect]
    if not credentials or not credentials.get("user"):
        raise SourceAway(f"{shown(place)} has no entry with a user in credentials.yaml", next_step="tell an admin")
    options = {name: str(value) for name, value in dict(credentials.get("options", {})).items()}
    host = {"host": place["host"]} if place["host"].startswith("/") else {}
    server = {"host": None, "port": None} if host else {"host": place["host"].strip("[]"), "port": place["port"]}
    query = options | host | ({"port": str(place["port"])} if host else {})
    database = {"database": None} if dialect == "oracle" else {"database": place["database"]}
    query |= {"service_name": place["database"]} if dialect == "oracle" else {}
    url = sa.URL.create(driver, username=credentials["user"], password=credentials.get("password"), query=query, **server, **database)
    try:
        return sa.create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=dict(TIMEOUTS.get(dialect, {})))
    except (ImportError, exc.NoSuchModuleError):
        raise SourceAway(f"{dialect} can't be read where control is installed", next_step=f"tell an admin: install {package}") from None


def _sqlite(place: Mapping[str, Any], fds: Sequence[int]) -> sa.Engine:
    """One that opens just the file of the contract: no link, no other file put in its place meanwhile, nothing attached."""
    before = _identity(place["path"])
    if fds and (os.fstat(fds[0]).st_dev, os.fstat(fds[0]).st_ino) != before:
        raise _replaced(place)

    def opened() -> sqlite3.Connection:
        found = _open(place["path"])
        if _identity(place["path"]) != before:
            found.close()
            raise _replaced(place)
        return found

    return sa.create_engine("sqlite+pysqlite://", creator=opened, poolclass=NullPool, hide_parameters=True)


def _open(path: str) -> sqlite3.Connection:
    """`mode=ro`; where that can't be, since nobody may write beside it, as a file that nobody changes."""
    last: sqlite3.OperationalError | None = None
    for how in ("mode=ro", "mode=ro&immutable=1"):
        if "immutable" in how and os.path.exists(path + "-wal") and os.path.getsize(path + "-wal"):
            break  # what stands there belongs to the data
        found = sqlite3.connect(f"file:{quote(path)}?{how}", uri=True, timeout=CONNECT_S, isolation_level=None, check_same_thread=False)
        try:
            found.execute("PRAGMA query_only = ON")
            found.execute("PRAGMA trusted_schema = OFF")
            found.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            last = error
            found.close()
            continue
        found.set_authorizer(_allow)
        return found
    raise last or sqlite3.OperationalError("unable to open")


def _allow(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or os.path.realpath(path) != path:
        raise Conflict("the database's file was replaced by something else", next_step="tell the dataset's owner")
    return found.st_dev, found.st_ino


def _replaced(place: Mapping[str, Any]) -> Conflict:
    return Conflict(f"the file of {shown(place)} was replaced while it was opened", next_step="try again; tell its owner if that stays so")


def _state_of(original: object) -> str:
    """SQLSTATE of a driver's error; empty where it has none."""
    known = str(getattr(original, "sqlstate", None) or "")
    return known or ("22000" if type(original).__name__ == "DataError" else "")  # a driver's own: a date after the year 9999


def in_our_words(error: BaseException, place: Mapping[str, Any]) -> GuardrailsError:
    """What went wrong, by kind alone."""
    what = shown(place)
    original = getattr(error, "orig", None) or error
    state = _state_of(original)
    for known in (state, state[:2]):
        if known in STATES:
            kind, message, next_step = STATES[known]
            return kind(f"{what} {message}", next_step=next_step)
    if isinstance(error, (exc.NoSuchTableError, FileNotFoundError)):
        return NotFound(f"{what} is not there", next_step="tell the dataset's owner")
    if isinstance(original, sqlite3.DatabaseError) and not isinstance(original, sqlite3.OperationalError):
        return Conflict(f"{what} is broken, or no SQLite database", next_step="tell the dataset's owner")
    if isinstance(error, exc.OperationalError) and not state:
        return SourceAway(f"{what} can't be reached, or lets control not in", next_step=LATER)
    return SourceAway(f"{what} can't be read now ({state or type(original).__name__})", next_step=LATER)
