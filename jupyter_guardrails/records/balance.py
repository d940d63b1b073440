"""Whether the books balance: what budgets were charged is what leases used, and no lease outlives its time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from jupyter_guardrails.records.tables import LIVE, budgets, charges, leases
from jupyter_guardrails.records.windows import SHARED

AMOUNTS = ("cpu_s", "memory_gib_s", "gpu_s")
LATE_S = 10.0  # the sweep comes every twelfth of a lease's time to live


def problems(connection: Connection, *, now: datetime, late_s: float = LATE_S) -> list[str]:
    """A sentence for each thing that does not add up; `late_s`: how long after its time a lease may still wait for the sweep."""
    return [*_unequal(connection), *_wrong_sums(connection), *_overdue(connection, now - timedelta(seconds=late_s))]


def _unequal(connection: Connection) -> Iterator[str]:
    """Person by person: processor time, memory over time, and kernels that started."""
    used = select(leases.c.principal, func.sum(leases.c.cpu_s), func.sum(leases.c.memory_gib_s), func.count(leases.c.started_at))
    charged = select(charges.c.principal, func.sum(charges.c.cpu_s), func.sum(charges.c.memory_gib_s), func.sum(charges.c.kernels))
    by_lease = _by_person(connection, used.group_by(leases.c.principal))
    by_charge = _by_person(connection, charged.where(~charges.c.principal.startswith(SHARED)).group_by(charges.c.principal))
    for person in sorted({*by_lease, *by_charge}):
        sums = zip(("processor seconds", "GiB seconds", "kernels"), by_lease.get(person, (0, 0, 0)), by_charge.get(person, (0, 0, 0)), strict=True)
        for what, leased, paid in sums:
            if not _same(leased, paid):
                yield f"{person}: leases used {leased:g} {what}, and {paid:g} were charged"


def _by_person(connection: Connection, query: Any) -> dict[str, tuple[float, ...]]:
    return {row[0]: tuple(float(value or 0) for value in row[1:]) for row in connection.execute(query)}


def _wrong_sums(connection: Connection) -> Iterator[str]:
    """Budget by budget: what is cached as used in its window, and as promised to what lives."""
    for row in connection.execute(select(budgets)).mappings():
        mine = (charges.c.principal == row["holder"]) & (charges.c.hour >= row["first_hour"])
        used = connection.execute(select(*(func.sum(charges.c[name]) for name in AMOUNTS)).where(mine)).one()
        live = (leases.c.holder == row["holder"]) & leases.c.state.in_(LIVE)
        promised = connection.execute(select(*(func.sum(leases.c[f"reserved_{name}"]) for name in AMOUNTS)).where(live)).one()
        for name, spent, held in zip(AMOUNTS, used, promised, strict=True):
            if not _same(spent or 0.0, row[f"used_{name}"]):
                yield f"{row['holder']}: {spent or 0.0:g} {name} in the window's hours, {row[f'used_{name}']:g} in the budget of {row['per']}"
            if not _same(held or 0.0, row[f"reserved_{name}"]):
                yield f"{row['holder']}: {held or 0.0:g} {name} promised to leases, {row[f'reserved_{name}']:g} in the budget of {row['per']}"


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


def _overdue(connection: Connection, since: datetime) -> Iterator[str]:
    query = select(leases.c.id, leases.c.expires_at).where(leases.c.state.in_(LIVE), leases.c.expires_at < since)
    for row in connection.execute(query):
        yield f"lease {row.id} should have ended at {row.expires_at:%Y-%m-%d %H:%M:%S}"
