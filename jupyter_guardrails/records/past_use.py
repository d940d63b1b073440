"""Leases that ended long ago become sums by day, so that their table can't grow for ever; the hourly charges know them already."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from jupyter_guardrails.records.tables import leases, past_use

KEEP = timedelta(days=90)
AT_ONCE = 500
DAY_S = 86400
ENDED = ("settled", "expired")
Place = tuple[str, int, str, str, str, str]


def compact(connection: Connection, *, now: datetime, keep: timedelta = KEEP, at_once: int = AT_ONCE) -> int:
    """Move the use of up to `at_once` leases that ended before `now - keep` into sums by day and remove them; how many there were.

    A key's second start is refused only as long as its lease is here: keys are random, and a start is not tried again after months.
    """
    old = select(leases).where(leases.c.state.in_(ENDED), leases.c.ended_at < now - keep).order_by(leases.c.ended_at).limit(at_once)
    rows = connection.execute(old).mappings().all()
    sums: dict[Place, Counter[str]] = {}
    for row in rows:
        use = {"kernels": int(row["started_at"] is not None), "cpu_s": row["cpu_s"], "memory_gib_s": row["memory_gib_s"], "gpu_s": row["gpu_s"]}
        sums.setdefault(_place(row), Counter()).update(use)
    for place, use in sums.items():
        _add(connection, place, use)
    connection.execute(delete(leases).where(leases.c.id.in_([row["id"] for row in rows])))
    return len(rows)


def _place(row: Any) -> Place:
    return (row["principal"], int(row["ended_at"].timestamp() // DAY_S), row["kind"], row["profile"], row["kernelspec"], row["notebook"] or "")


def _add(connection: Connection, place: Place, use: Counter[str]) -> None:
    key = list(past_use.primary_key.columns)
    here = [column == value for column, value in zip(key, place, strict=True)]
    more = {name: past_use.c[name] + amount for name, amount in use.items()}
    if connection.execute(update(past_use).where(*here).values(more)).rowcount == 0:
        connection.execute(insert(past_use).values({column.name: value for column, value in zip(key, place, strict=True)} | dict(use)))
