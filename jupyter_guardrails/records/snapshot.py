"""Records of which somebody else is the writer, as of one moment and read-only: a SQLite file, or a PostgreSQL database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from jupyter_guardrails.errors import BadRequest

CONNECT_S = 10  # of PostgreSQL, for each of its addresses; `connect_timeout` in the URL says otherwise
NOT_GRANTED = "42501"  # SQLSTATE insufficient_privilege
UPGRADE = "start control of this version once, which upgrades it"
LET_IN = "see that it runs; run this as the account that control runs as, or as one whose ~/.pgpass (mode 600) lets it in"
GRANT = "run this as the account that control runs as, or GRANT SELECT ON audit, anchors to this one"


@contextlib.contextmanager
def snapshot(place: Path | str) -> Iterator[Connection]:
    """One view of a file (SQLite) or URL (PostgreSQL) that can't change anything; BadRequest when it isn't there or can't be read."""
    try:
        engine = _of_file(place) if isinstance(place, Path) else _of_url(place)
    except ModuleNotFoundError as error:
        raise BadRequest(f"{named(place)} needs {error.name}", next_step="install jupyter_guardrails[postgres]") from error
    try:
        with engine.connect() as connection:
            if isinstance(place, Path):
                connection.exec_driver_sql("BEGIN")
            yield connection
    except SQLAlchemyError as error:
        raise BadRequest(f"{named(place)} can't be read: {_reason(error)}", next_step=_next_step(place, error)) from error
    finally:
        engine.dispose()


def named(place: Path | str) -> str:
    """The place for a sentence: no password, and nothing of what stands behind a `?`."""
    return str(place) if isinstance(place, Path) else make_url(place).set(query={}).render_as_string(hide_password=True)


def _of_file(path: Path) -> Engine:
    if not path.exists():
        raise BadRequest(f"there is no {path}", next_step="name a state directory, a file of the log, or its PostgreSQL database with --records")
    return create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true")


def _of_url(url: str) -> Engine:
    made = make_url(url).set(drivername="postgresql+psycopg")
    bounds = {} if "connect_timeout" in made.query else {"connect_timeout": CONNECT_S}
    engine = create_engine(made, connect_args=bounds)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _reason(error: SQLAlchemyError) -> str:
    """What the database said, without the statement that it was said about."""
    return str(getattr(error, "orig", None) or error).strip()


def _next_step(place: Path | str, error: SQLAlchemyError) -> str:
    if getattr(getattr(error, "orig", None), "sqlstate", None) == NOT_GRANTED:
        return GRANT
    return LET_IN if isinstance(place, str) and isinstance(error, OperationalError) else UPGRADE
