"""Resource-hours: what was used, in hourly buckets, summed over a rolling window by the records' own clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from jupyter_guardrails.records.tables import charges

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Spent:
    """Use over some time."""

    cpu_hours: float = 0.0
    memory_gib_hours: float = 0.0
    kernels: int = 0


@dataclass(frozen=True, slots=True)
class Amount:
    """One amount of a budget, in hours: `name` is cpu_hours, memory_gib_hours or gpu_hours; `limit` None: not limited."""

    name: str
    used: float
    reserved: float
    limit: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands. `holder` is the person, or the group that shares it; `share` the largest part of an amount that is used."""

    holder: str
    amounts: tuple[Amount, ...]
    share: float
    per_s: int | None
    frees_at: datetime | None = None


def charge(connection: Connection, principal: str, *, now: datetime, cpu_s: float, memory_gib_s: float, kernels: int = 0) -> None:
    """Add to this hour's bucket."""
    place = (charges.c.principal == principal) & (charges.c.hour == _hour(now))
    more = {"cpu_s": charges.c.cpu_s + cpu_s, "memory_gib_s": charges.c.memory_gib_s + memory_gib_s, "kernels": charges.c.kernels + kernels}
    if connection.execute(update(charges).where(place).values(more)).rowcount == 0:
        row = {"principal": principal, "hour": _hour(now), "cpu_s": cpu_s, "memory_gib_s": memory_gib_s, "kernels": kernels}
        connection.execute(insert(charges).values(row))


def spent(connection: Connection, principal: str, *, now: datetime, per_s: int) -> Spent:
    """What one person used in the last `per_s` seconds; the bucket at the window's edge counts whole."""
    return people(connection, principal, now=now, per_s=per_s).get(principal, Spent())


def people(connection: Connection, principal: str | None, *, now: datetime, per_s: int | None) -> dict[str, Spent]:
    """Person -> use in the last `per_s` seconds (None: ever); of one person, or (None) of all."""
    sums = (func.sum(charges.c.cpu_s), func.sum(charges.c.memory_gib_s), func.sum(charges.c.kernels))
    query = select(charges.c.principal, *sums).group_by(charges.c.principal).order_by(charges.c.principal)
    if principal is not None:
        query = query.where(charges.c.principal == principal)
    if per_s is not None:
        query = query.where(charges.c.hour >= _first_hour(now, per_s))
    return {person: Spent(cpu / HOUR_S, memory / HOUR_S, int(kernels)) for person, cpu, memory, kernels in connection.execute(query)}


def frees_at(
    connection: Connection, principal: str, *, now: datetime, per_s: int, cpu_hours: float | None, memory_gib_hours: float | None
) -> datetime | None:
    """When enough old use has left the window for a kernel to start again, if nothing more is used meanwhile; None: never."""
    query = select(charges.c.hour, charges.c.cpu_s, charges.c.memory_gib_s).order_by(charges.c.hour)
    mine = query.where(charges.c.principal == principal, charges.c.hour >= _first_hour(now, per_s))
    buckets = [(int(hour), (float(cpu), float(memory))) for hour, cpu, memory in connection.execute(mine)]
    limits = tuple(math.inf if limit is None else limit * HOUR_S for limit in (cpu_hours, memory_gib_hours))
    left = [sum(amounts[place] for _, amounts in buckets) for place in range(len(limits))]
    for hour, amounts in buckets:
        if _below(left, limits):
            break
        left = [rest - amount for rest, amount in zip(left, amounts, strict=True)]
        now = datetime.fromtimestamp((hour + 1) * HOUR_S + per_s, UTC)
    return now if _below(left, limits) else None


def _below(amounts: Sequence[float], limits: Sequence[float]) -> bool:
    """Whether every amount is under its limit, as a kernel start asks."""
    return all(amount < limit for amount, limit in zip(amounts, limits, strict=True))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // HOUR_S)


def _first_hour(now: datetime, per_s: int) -> int:
    """The oldest bucket of which a part lies in the window."""
    return int((now.timestamp() - per_s) // HOUR_S)
