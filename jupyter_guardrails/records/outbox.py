"""Notices on their way out: written in the transaction of what they tell, sent beside it, given up after a number of attempts.

Bounded: with `MOST_WAITING` rows of a target the oldest goes, so that a dead receiver fills no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import outbox

MOST_WAITING = 1000
MOST_ATTEMPTS = 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
KEEP = timedelta(days=7)  # a sent row keeps its event from being told twice


def put(connection: Connection, targets: Sequence[str], event: dict[str, Any], *, now: datetime) -> list[dict[str, Any]]:
    """One row a target, in the caller's transaction; the same event id again changes nothing. Returns the rows that had to go for it."""
    dropped = []
    for target in targets:
        place = (outbox.c.id == event["id"]) & (outbox.c.target == target)
        if connection.execute(select(outbox.c.id).where(place)).first() is None:
            row = {"id": event["id"], "target": target, "event": event, "state": "waiting", "attempts": 0, "error": ""}
            connection.execute(insert(outbox).values(row | {"created_at": now, "next_at": now}))
            dropped += _bounded(connection, target)
    return dropped


def due(connection: Connection, *, now: datetime, limit: int = 20) -> list[dict[str, Any]]:
    """Rows whose turn it is, oldest first."""
    query = select(outbox).where(outbox.c.state == "waiting", outbox.c.next_at <= now).order_by(outbox.c.created_at, outbox.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def sent(connection: Connection, id: str, target: str, *, now: datetime) -> None:
    """It arrived; old rows that arrived go."""
    place = (outbox.c.id == id) & (outbox.c.target == target)
    connection.execute(update(outbox).where(place).values(state="sent", error="", attempts=outbox.c.attempts + 1))
    connection.execute(delete(outbox).where(outbox.c.state != "waiting", outbox.c.created_at < now - KEEP))


def failed(connection: Connection, row: dict[str, Any], error: str, *, now: datetime) -> bool:
    """It did not arrive: again later, twice as late each time; True when it is given up."""
    attempts = row["attempts"] + 1
    over = bool(attempts >= MOST_ATTEMPTS)
    pause_s = min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S)
    values = {"state": "given_up" if over else "waiting", "attempts": attempts, "error": storable(error, limit=500)}
    place = (outbox.c.id == row["id"]) & (outbox.c.target == row["target"])
    connection.execute(update(outbox).where(place).values(values | {"next_at": now + timedelta(seconds=pause_s)}))
    return over


def waiting(connection: Connection) -> dict[str, int]:
    """Target -> how many notices wait for it."""
    query = select(outbox.c.target, func.count()).where(outbox.c.state == "waiting").group_by(outbox.c.target)
    return {target: int(count) for target, count in connection.execute(query)}


def _bounded(connection: Connection, target: str) -> list[dict[str, Any]]:
    """The oldest that wait beyond the bound are given up."""
    query = select(outbox).where(outbox.c.target == target, outbox.c.state == "waiting").order_by(outbox.c.created_at.desc(), outbox.c.id)
    beyond = [dict(row) for row in connection.execute(query.offset(MOST_WAITING)).mappings()]
    for row in beyond:
        place = (outbox.c.id == row["id"]) & (outbox.c.target == target)
        connection.execute(update(outbox).where(place).values(state="given_up", error="too many notices were waiting"))
    return beyond
