"""What was given to which workspace. A place is a real path; a mark on a folder counts for what lies in it and for what it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from jupyter_guardrails.records.tables import marks

KEYS = ("place", "principal", "dataset", "version", "classification")
RENEWED = ("purposes", "expires_at", "kernel")
BY_KEYS = select(marks.c.purposes, marks.c.expires_at).where(*(marks.c[key] == bindparam(f"of_{key}") for key in KEYS))  # made once: leases.py
Row = dict[str, Any]


def put(connection: Connection, rows: Iterable[Row], *, now: datetime) -> None:
    """Remember what was given: rows with KEYS and RENEWED. The same once more keeps its first time, and has the end of its newest grant."""
    fresh = [row for row in rows if not _is_there(connection, row)]
    if not fresh:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(marks)
    statement = statement.on_conflict_do_update(index_elements=list(KEYS), set_={key: statement.excluded[key] for key in RENEWED})
    connection.execute(statement, [row | {"since": now} for row in fresh])


def _is_there(connection: Connection, row: Row) -> bool:
    """Whether nothing would change: a dataset that is read a thousand times is written once."""
    found = connection.execute(BY_KEYS, {f"of_{key}": row[key] for key in KEYS}).first()
    return found is not None and (list(found.purposes), found.expires_at) == (list(row["purposes"]), row["expires_at"])


def overlapping(connection: Connection, places: Iterable[str]) -> list[Row]:
    """Every mark on one of these folders, on a folder in it, or on one that it lies in; whoever it was given to."""
    conditions = []
    for place in dict.fromkeys(places):
        above = [str(folder) for folder in (PurePosixPath(place), *PurePosixPath(place).parents)]
        conditions += [marks.c.place.in_(above), marks.c.place.startswith(place.rstrip("/") + "/", autoescape=True)]
    if not conditions:
        return []
    return [dict(row) for row in connection.execute(select(marks).where(or_(*conditions)).order_by(*(marks.c[key] for key in KEYS))).mappings()]


def of_person(connection: Connection, principal: str) -> list[Row]:
    """Every mark of one person."""
    query = select(marks).where(marks.c.principal == principal).order_by(*(marks.c[key] for key in KEYS))
    return [dict(row) for row in connection.execute(query).mappings()]
