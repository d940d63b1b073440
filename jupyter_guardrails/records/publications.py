"""What people publish.

private -> proposed -> published -> superseded    (a newer version is published)
    \\_______ / \\__________\\____-> withdrawn        (proposed -> private: sent back)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.tables import publications

TRANSITIONS: dict[str, frozenset[str]] = {
    "private": frozenset({"proposed", "published", "withdrawn"}),  # published at once where the policy asks for no review
    "proposed": frozenset({"proposed", "private", "published", "withdrawn"}),  # proposed again: one of several reviewers agreed
    "published": frozenset({"superseded", "withdrawn"}),
    "superseded": frozenset(),
    "withdrawn": frozenset(),
}
LIVE = ("private", "proposed", "published")
Row = dict[str, Any]


def create(connection: Connection, row: Row, fields: dict[str, Any]) -> Row:
    """A new private version, audited; Conflict when the name is another's. Versions of one's own that were not published yet go."""
    for other in of_name(connection, row["name"]):
        if other["author"] != row["author"]:
            raise Conflict(f"the name {row['name']} is taken", next_step="choose another name")
    version = connection.execute(select(func.max(publications.c.version)).where(publications.c.name == row["name"])).scalar() or 0
    if row["version"] != version + 1:
        raise Conflict(f"another version of {row['name']} was published meanwhile", next_step="publish it again")
    connection.execute(insert(publications).values(row | {"revision": 1}))
    audit.append(connection, **fields)
    return get(connection, row["id"])


def get(connection: Connection, id: str) -> Row:
    """The publication, or NotFound."""
    row = connection.execute(select(publications).where(publications.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no publication {id}")
    return dict(row)


def live(connection: Connection) -> list[Row]:
    """All that can be read by anybody, by name and version, the newest version first."""
    query = select(publications).where(publications.c.state.in_(LIVE)).order_by(publications.c.name, publications.c.version.desc())
    return [dict(row) for row in connection.execute(query).mappings()]


def proposed(connection: Connection) -> list[Row]:
    """All that waits for somebody's word, by name and version, the newest version first."""
    query = select(publications).where(publications.c.state == "proposed").order_by(publications.c.name, publications.c.version.desc())
    return [dict(row) for row in connection.execute(query).mappings()]


def of_name(connection: Connection, name: str) -> list[Row]:
    """The live versions of a name, the newest first."""
    query = select(publications).where(publications.c.name == name, publications.c.state.in_(LIVE)).order_by(publications.c.version.desc())
    return [dict(row) for row in connection.execute(query).mappings()]


def of_author(connection: Connection, author: str, *, limit: int = 1000) -> list[Row]:
    """Everything of one person, newest first."""
    query = select(publications).where(publications.c.author == author).order_by(publications.c.created_at.desc(), publications.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def next_version(connection: Connection, name: str) -> int:
    """The number after all that were ever given to a name."""
    return int(connection.execute(select(func.max(publications.c.version)).where(publications.c.name == name)).scalar() or 0) + 1


def move(connection: Connection, row: Row, to_state: str, *, fields: dict[str, Any], now: datetime, **values: Any) -> Row:
    """Along `TRANSITIONS`, audited with `fields`; Conflict where somebody was quicker. What is published takes the place of the version before."""
    if to_state not in TRANSITIONS[row["state"]]:
        raise Conflict(f"{row['name']} version {row['version']} is {row['state']} and can't become {to_state}")
    changes = {"state": to_state, "updated_at": now, "revision": row["revision"] + 1} | values
    found = (publications.c.id == row["id"]) & (publications.c.revision == row["revision"])
    if connection.execute(update(publications).where(found).values(changes)).rowcount != 1:
        raise Conflict(f"{row['name']} was changed meanwhile", next_step="look at it again")
    if to_state == "published":
        before = (publications.c.name == row["name"]) & (publications.c.state == "published") & (publications.c.id != row["id"])
        connection.execute(update(publications).where(before).values(state="superseded", updated_at=now))
    audit.append(connection, **fields)
    return get(connection, row["id"])
