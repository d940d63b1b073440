"""Who used how much: by day and person from the hourly charges, by profile, notebook and kernelspec from the leases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Table, func, select

from jupyter_guardrails.records.past_use import DAY_S
from jupyter_guardrails.records.tables import charges, leases, past_use
from jupyter_guardrails.records.windows import HOUR_S, SHARED

By = Literal["person", "day", "profile", "notebook", "kernelspec"]
Line = tuple[str, str, Any, Any, Any, Any]


def grouped(connection: Connection, principal: str | None, *, by: By, now: datetime, since: timedelta) -> list[dict[str, Any]]:
    """Lines `{person, key, kernels, cpu_hours, memory_gib_hours, gpu_hours}` of one person, or (None) of all, sorted by person and key.

    `person` and `day` (UTC) count the hours in which something was used; the others count each lease whole that ended, or still ran, since then.
    """
    lines = _charged(connection, principal, by, now - since) if by in ("person", "day") else _leased(connection, principal, by, now - since)
    sums: dict[tuple[str, str], Counter[str]] = {}
    for person, key, kernels, cpu_s, memory_gib_s, gpu_s in lines:
        use = {"kernels": int(kernels), "cpu_hours": float(cpu_s) / HOUR_S, "memory_gib_hours": float(memory_gib_s) / HOUR_S}
        use["gpu_hours"] = float(gpu_s) / HOUR_S
        sums.setdefault((person, key), Counter()).update(use)
    return [{"person": person, "key": key} | dict(use) for (person, key), use in sorted(sums.items())]


def _charged(connection: Connection, principal: str | None, by: By, begin: datetime) -> Iterator[Line]:
    query = select(charges.c.principal, charges.c.hour, charges.c.kernels, charges.c.cpu_s, charges.c.memory_gib_s, charges.c.gpu_s)
    query = query.where(charges.c.hour >= int(begin.timestamp() // HOUR_S))
    query = query.where(charges.c.principal == principal if principal is not None else ~charges.c.principal.startswith(SHARED))
    for person, hour, *use in connection.execute(query):
        day = f"{datetime.fromtimestamp(hour * HOUR_S, UTC):%Y-%m-%d}"
        yield (person, day if by == "day" else person, use[0], use[1], use[2], use[3])


def _leased(connection: Connection, principal: str | None, by: By, begin: datetime) -> Iterator[Line]:
    recent = func.coalesce(leases.c.ended_at, leases.c.beat_at) >= begin
    yield from _summed(connection, leases, principal, by, func.count(leases.c.started_at), recent)
    yield from _summed(connection, past_use, principal, by, func.sum(past_use.c.kernels), past_use.c.day >= int(begin.timestamp() // DAY_S))


def _summed(connection: Connection, table: Table, principal: str | None, by: By, kernels: Any, recent: Any) -> Iterator[Line]:
    key = func.coalesce(table.c[by], "")
    query = select(table.c.principal, key, kernels, *(func.sum(table.c[name]) for name in ("cpu_s", "memory_gib_s", "gpu_s"))).where(recent)
    if principal is not None:
        query = query.where(table.c.principal == principal)
    for line in connection.execute(query.group_by(table.c.principal, key)):
        yield line[0], line[1], line[2], line[3], line[4], line[5]
