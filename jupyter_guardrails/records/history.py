"""How a kernel's processor and memory went: its beats in steps that grow with their age, so that the table stays small."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text

from jupyter_guardrails.records.tables import leases, samples

STEPS = {10: 600, 60: 6 * 3600, 3600: 7 * 86400}  # length of a step -> how long it is kept, seconds: 588 rows a kernel at most
MOST_OF_ONE = 50_000  # rows of one person
MOST_OF_ALL = 1_000_000
NOW = select(leases.c.id, leases.c.kernel_id, leases.c.cpu_percent, leases.c.memory_bytes).where(
    leases.c.id.in_(bindparam("of_leases", expanding=True)), leases.c.principal == bindparam("of_principal"), leases.c.ended_at.is_(None)
)
KEEP = text("""
    INSERT INTO samples (lease, every_s, at, kernel_id, principal, beats, cpu_percent, memory_bytes)
    VALUES (:lease, :every_s, :at, :kernel_id, :principal, 1, :cpu_percent, :memory_bytes)
    ON CONFLICT (lease, every_s, at) DO UPDATE SET
        cpu_percent = (samples.cpu_percent * samples.beats + excluded.cpu_percent) / (samples.beats + 1),
        memory_bytes = CASE WHEN excluded.memory_bytes > samples.memory_bytes THEN excluded.memory_bytes ELSE samples.memory_bytes END,
        beats = samples.beats + 1
""")


def keep(connection: Connection, beaten: list[str], principal: str, *, now: datetime) -> None:
    """Note what these leases use now, after their beat, in the same transaction."""
    rows = connection.execute(NOW, {"of_leases": beaten, "of_principal": principal}).all()
    second = int(now.timestamp())
    noted = [
        {"lease": row.id, "every_s": every_s, "at": second - second % every_s, "kernel_id": row.kernel_id, "principal": principal}
        | {"cpu_percent": row.cpu_percent, "memory_bytes": row.memory_bytes}
        for row in rows
        for every_s in STEPS
    ]
    if noted:
        connection.execute(KEEP, noted)


def of_kernel(connection: Connection, kernel: str, principal: str | None) -> list[dict[str, Any]]:
    """Samples `{at, every_s, cpu_percent, memory_bytes}` of one kernel, oldest first, each time in its finest step; of a person, or (None) anyone."""
    query = select(samples.c.at, samples.c.every_s, samples.c.cpu_percent, samples.c.memory_bytes).where(samples.c.kernel_id == kernel)
    if principal is not None:
        query = query.where(samples.c.principal == principal)
    rows = [dict(row) for row in connection.execute(query.order_by(samples.c.at)).mappings()]
    shown: list[dict[str, Any]] = []
    for every_s in STEPS:  # the finest first: coarser ones only from before it
        begin = shown[0]["at"] if shown else math.inf
        shown = [row for row in rows if row["every_s"] == every_s and row["at"] + every_s <= begin] + shown
    return shown


def prune(connection: Connection, *, now: datetime, most_of_one: int = MOST_OF_ONE, most_of_all: int = MOST_OF_ALL) -> None:
    """Remove what is older than its step is kept, then the oldest beyond what one person, and all together, may have."""
    for every_s, kept_s in STEPS.items():
        connection.execute(delete(samples).where(samples.c.every_s == every_s, samples.c.at < int(now.timestamp()) - kept_s))
    many = select(samples.c.principal).group_by(samples.c.principal).having(func.count() > most_of_one)
    for person in connection.execute(many).scalars().all():
        _cut(connection, most_of_one, samples.c.principal == person)
    _cut(connection, most_of_all, samples.c.principal.is_not(None))


def _cut(connection: Connection, most: int, whose: Any) -> None:
    """Everything at and before the first row that is one too many, from the newest on."""
    too_old = connection.execute(select(samples.c.at).where(whose).order_by(samples.c.at.desc()).offset(most).limit(1)).scalar()
    if too_old is not None:
        connection.execute(delete(samples).where(whose, samples.c.at <= too_old))
