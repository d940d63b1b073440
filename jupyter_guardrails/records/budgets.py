"""Resource-hours: what was used, in hourly buckets, and for each holder and window the sum of its buckets and of what live leases are promised.

Both sums lie in one row and change in the same transaction as the buckets and the leases, so that a start is one conditional UPDATE: a SELECT
before it granted 714 of a budget of 500 (measured on PostgreSQL). The row is made anew from buckets and leases when its window moves on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, case, func, insert, select, update

from jupyter_guardrails.records.tables import LIVE, budgets, charges, leases
from jupyter_guardrails.records.windows import HOUR_S, NAMES, SHARED, Amounts, Limit, Window, hour_of

HAIR_S = 1e-6  # sums of floats: a start that fits exactly must fit
UNLIMITED = 1e300


@dataclass(frozen=True, slots=True)
class Spent:
    """Use over some time."""

    cpu_hours: float = 0.0
    memory_gib_hours: float = 0.0
    kernels: int = 0
    gpu_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Amount:
    """One limited amount (`cpu_hours`, `memory_gib_hours` or `gpu_hours`) of a budget, in hours."""

    name: str
    used: float
    reserved: float
    limit: float

    @property
    def share(self) -> float:
        """Used of limit; 1.0 is all of it."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands: its limited amounts, and when (if nothing more is used) use is below all limits again: None = it is, or never."""

    holder: str
    amounts: tuple[Amount, ...]
    per_s: int | None  # None: the calendar month, in UTC
    frees_at: datetime | None

    @property
    def share(self) -> float:
        """The largest used of limit: at 1.0 nothing new starts."""
        return max((amount.share for amount in self.amounts), default=0.0)

    @property
    def is_shared(self) -> bool:
        """Whether several people have it together."""
        return self.holder.startswith(SHARED)


class DoesNotFit(Exception):
    """What a start must be promised is not left in the budget; nothing was changed."""


def _new(name: str) -> BindParameter[float]:
    return bindparam(f"more_{name}")


def _room(name: str) -> ColumnElement[bool]:
    wanted = budgets.c[f"used_{name}_s"] + budgets.c[f"reserved_{name}_s"] + _new(f"reserved_{name}_s")
    return wanted <= bindparam(f"most_{name}")


def _counted_from(name: str) -> ColumnElement[float]:
    """Use of an hour that a window doesn't have (the clock was put back) is in its bucket alone."""
    more = case((budgets.c.first_hour <= bindparam("of_hour"), _new(f"used_{name}_s")), else_=0.0)
    return budgets.c[f"used_{name}_s"] + more


ADDED = {f"{name}_s": charges.c[f"{name}_s"] + _new(f"{name}_s") for name in NAMES} | {"kernels": charges.c.kernels + bindparam("more_kernels")}
CHARGE = update(charges).where(charges.c.principal == bindparam("of_holder"), charges.c.hour == bindparam("of_hour")).values(ADDED)
PROMISED_MORE = {f"reserved_{name}_s": budgets.c[f"reserved_{name}_s"] + _new(f"reserved_{name}_s") for name in NAMES}
PROMISE = update(budgets).where(budgets.c.holder == bindparam("of_holder")).values(PROMISED_MORE)
BOOK = PROMISE.values({f"used_{name}_s": _counted_from(name) for name in NAMES})
PROMISE_ELSEWHERE = PROMISE.where(budgets.c.per != bindparam("of_per"))
TAKE = PROMISE.where(budgets.c.per == bindparam("of_per"), *(_room(name) for name in NAMES))
OF_HOLDER = budgets.alias("of_holder_rows")
ALONE = select(func.count()).select_from(OF_HOLDER).where(OF_HOLDER.c.holder == bindparam("of_holder")).scalar_subquery() == 1
TAKE_AT_ONCE = TAKE.where(budgets.c.first_hour == bindparam("of_hour"), ALONE)
ROWS = select(budgets).where(budgets.c.holder == bindparam("of_holder"))
BUCKETS = select(*(func.coalesce(func.sum(charges.c[f"{name}_s"]), 0.0) for name in NAMES)).where(
    charges.c.principal == bindparam("of_holder"), charges.c.hour >= bindparam("of_hour")
)
PROMISED = select(*(func.coalesce(func.sum(leases.c[f"reserved_{name}_s"]), 0.0) for name in NAMES)).where(
    leases.c.holder == bindparam("of_holder"), leases.c.state.in_(LIVE)
)


def charge(
    connection: Connection, principal: str, used: Amounts, *, now: datetime, kernels: int = 0, holder: str = "", given_back: Amounts | None = None
) -> None:
    """Add use to this hour's bucket and to every sum that has it, of the person and of whoever else holds the budget (`holder`), which gets
    back what was reserved."""
    for name in dict.fromkeys((principal, holder or principal)):
        back = given_back if given_back and name == (holder or principal) else Amounts()
        if used or kernels:
            _into_bucket(connection, name, used, hour=hour_of(now), kernels=kernels)
        if used or back:
            values = {"of_holder": name, "of_hour": hour_of(now)} | _more("used_", used) | _more("reserved_", Amounts() - back)
            connection.execute(BOOK, values)


def promise(connection: Connection, holder: str, reserved: Amounts) -> None:
    """Add to (or, below nothing, take from) what is reserved, whatever the limit is."""
    if reserved:
        connection.execute(PROMISE, {"of_holder": holder} | _more("reserved_", reserved))


def take(connection: Connection, limit: Limit, reserved: Amounts, *, now: datetime) -> None:
    """Reserve so much, or DoesNotFit: decided by one conditional UPDATE. An amount of which nothing is wanted keeps nobody out."""
    limits, wanted = limit.seconds(), _by_name(reserved)
    most = {f"most_{name}": limits[name] + HAIR_S if name in limits and wanted[name] > 0 else UNLIMITED for name in NAMES}
    values = {"of_holder": limit.holder, "of_per": limit.window.key} | _more("reserved_", reserved)
    if connection.execute(TAKE_AT_ONCE, values | most | {"of_hour": limit.window.first_hour(now)}).rowcount == 1:
        return  # nearly always: the row is as it must be, and the only one of this holder
    others = _current(connection, limit.holder, limit.window, now=now)
    if connection.execute(TAKE, values | most).rowcount != 1:
        raise DoesNotFit
    if others:
        connection.execute(PROMISE_ELSEWHERE, values)


def standing(connection: Connection, limit: Limit, *, now: datetime) -> Standing:
    """How the budget stands now; changes nothing."""
    used, reserved = sums(connection, limit.holder, limit.window, now=now)
    limits = limit.seconds()
    each = zip(NAMES, used.each(), reserved.each(), strict=True)
    amounts = tuple(Amount(f"{n}_hours", u / HOUR_S, max(0.0, r) / HOUR_S, limits[n] / HOUR_S) for n, u, r in each if n in limits)
    over = any(amount.used >= amount.limit for amount in amounts)
    return Standing(limit.holder, amounts, limit.window.per_s, frees_at(connection, limit, Amounts(), now=now) if over else None)


def sums(connection: Connection, holder: str, window: Window, *, now: datetime) -> tuple[Amounts, Amounts]:
    """What is used and what is reserved; from the buckets and leases where there is no row for the window as it is now."""
    row = next((row for row in _rows(connection, holder) if row.per == window.key and row.first_hour == window.first_hour(now)), None)
    if row is None:
        return _counted(connection, holder, window.first_hour(now))
    return tuple(Amounts(*(getattr(row, f"{part}_{name}_s") for name in NAMES)) for part in ("used", "reserved"))  # type: ignore[return-value]  # two


def frees_at(connection: Connection, limit: Limit, room: Amounts, *, now: datetime) -> datetime | None:
    """When enough old use has left the window for `room` (for none: to be under every limit), if nothing more is used; None: never."""
    needed = _by_name(room)
    limits = {name: most - needed[name] for name, most in limit.seconds().items() if needed[name] > 0 or not room}
    buckets = _buckets(connection, limit.holder, limit.window.first_hour(now))
    left = {name: sum(amounts[name] for _, amounts in buckets) for name in limits}
    for hour, amounts in buckets:
        if _below(left, limits, strictly=not room):
            break
        left = {name: rest - amounts[name] for name, rest in left.items()}
        now = limit.window.leaves_at(hour)
    return now if _below(left, limits, strictly=not room) else None


def spent(connection: Connection, principal: str, *, now: datetime, per_s: int) -> Spent:
    """What one person used in the last `per_s` seconds; the bucket at the window's edge counts whole."""
    return people(connection, principal, now=now, per_s=per_s).get(principal, Spent())


def people(connection: Connection, principal: str | None, *, now: datetime, per_s: int | None) -> dict[str, Spent]:
    """Person -> use in the last `per_s` seconds (None: ever); of one person, or (None) of all."""
    sums_of = [func.sum(charges.c[name]) for name in ("cpu_s", "memory_gib_s", "gpu_s", "kernels")]
    query = select(charges.c.principal, *sums_of).group_by(charges.c.principal).order_by(charges.c.principal)
    query = query.where(charges.c.principal == principal) if principal is not None else query.where(~charges.c.principal.startswith(SHARED))
    if per_s is not None:
        query = query.where(charges.c.hour >= Window(per_s).first_hour(now))
    found = connection.execute(query)
    return {person: Spent(cpu / HOUR_S, memory / HOUR_S, int(kernels), gpu / HOUR_S) for person, cpu, memory, gpu, kernels in found}


def _into_bucket(connection: Connection, holder: str, used: Amounts, *, hour: int, kernels: int) -> None:
    values = {"of_holder": holder, "of_hour": hour, "more_kernels": kernels} | _more("", used)
    if connection.execute(CHARGE, values).rowcount == 0:
        row = {"principal": holder, "hour": hour, "kernels": kernels} | {f"{name}_s": amount for name, amount in _by_name(used).items()}
        connection.execute(insert(charges), row)


def _current(connection: Connection, holder: str, window: Window, *, now: datetime) -> bool:
    """See to it that the holder's row of this window is there and counts from the hour that it must; True if it has other windows too."""
    rows, first_hour = _rows(connection, holder), window.first_hour(now)
    mine = next((row for row in rows if row.per == window.key), None)
    if mine is None or mine.first_hour != first_hour:
        _make_anew(connection, holder, window.key, first_hour, is_there=mine is not None)
    return len(rows) > (mine is not None)


def _make_anew(connection: Connection, holder: str, per: str, first_hour: int, *, is_there: bool) -> None:
    used, reserved = _counted(connection, holder, first_hour)
    parts = (("used", used), ("reserved", reserved))
    values = {f"{part}_{name}_s": amount for part, amounts in parts for name, amount in _by_name(amounts).items()}
    if is_there:
        place = (budgets.c.holder == holder) & (budgets.c.per == per)
        connection.execute(update(budgets).where(place).values(values | {"first_hour": first_hour}))
    else:
        connection.execute(insert(budgets).values(values | {"holder": holder, "per": per, "first_hour": first_hour}))


def _counted(connection: Connection, holder: str, first_hour: int) -> tuple[Amounts, Amounts]:
    used = connection.execute(BUCKETS, {"of_holder": holder, "of_hour": first_hour}).one()
    reserved = connection.execute(PROMISED, {"of_holder": holder}).one()
    return Amounts(*map(float, used)), Amounts(*map(float, reserved))


def _rows(connection: Connection, holder: str) -> Sequence[Row[tuple[object, ...]]]:
    return connection.execute(ROWS, {"of_holder": holder}).all()


def _buckets(connection: Connection, holder: str, first_hour: int) -> list[tuple[int, dict[str, float]]]:
    query = select(charges.c.hour, *(charges.c[f"{name}_s"] for name in NAMES)).order_by(charges.c.hour)
    found = connection.execute(query.where(charges.c.principal == holder, charges.c.hour >= first_hour))
    return [(int(hour), dict(zip(NAMES, map(float, amounts), strict=True))) for hour, *amounts in found]


def _below(amounts: Mapping[str, float], limits: Mapping[str, float], *, strictly: bool) -> bool:
    """Whether every amount keeps to its limit; strictly: is under it."""
    return all(amount < limits[name] if strictly else amount <= limits[name] + HAIR_S for name, amount in amounts.items())


def _by_name(amounts: Amounts) -> dict[str, float]:
    return dict(zip(NAMES, amounts.each(), strict=True))


def _more(prefix: str, amounts: Amounts) -> dict[str, float]:
    return {f"more_{prefix}{name}_s": amount for name, amount in _by_name(amounts).items()}
