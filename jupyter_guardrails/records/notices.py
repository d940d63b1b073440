"""Notices: what the person of a running kernel was told about one limit, and when something follows from it.

(none) -> warned -> noticed -> interrupted -> ended
                       \\____________\\-----> off -> (none)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import leases, notices, runs

Cause = Literal["budget", "idle", "lifetime"]
Phase = Literal["warned", "noticed", "interrupted", "ended", "off"]
OF_A_RUN = ("idle", "lifetime")
END_RUN = delete(runs).where(runs.c.lease == bindparam("of_lease"))
BEGIN_RUN = insert(runs)
END_NOTICES = delete(notices).where(notices.c.lease == bindparam("of_lease"), notices.c.cause.in_(OF_A_RUN))


@dataclass(frozen=True, slots=True)
class Notice:
    """One cause on one lease; `interrupt_at` and `end_at` are None where nothing will be done. `enforced` False: it would be."""

    lease: str
    cause: Cause
    principal: str
    phase: Phase
    reason: str
    rule: str
    enforced: bool
    since: datetime
    interrupt_at: datetime | None = None
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """When the present run under a lease began, and when its person last said that it is still needed."""

    started_at: datetime
    kept_at: datetime | None = None


def begin_run(connection: Connection, lease: str, *, now: datetime) -> None:
    """A start or restart: its idle and life time begin at zero; what was said about the budget stays."""
    connection.execute(END_RUN, {"of_lease": lease})
    connection.execute(BEGIN_RUN, {"lease": lease, "started_at": now, "kept_at": None})
    connection.execute(END_NOTICES, {"of_lease": lease})


def keep(connection: Connection, lease: str, *, now: datetime) -> None:
    """Its person still needs it: counts as use now."""
    if connection.execute(update(runs).where(runs.c.lease == lease).values(kept_at=now)).rowcount == 0:
        connection.execute(insert(runs).values(lease=lease, started_at=now, kept_at=now))
    drop(connection, lease, "idle")


def runs_of(connection: Connection, of: Collection[str]) -> dict[str, Run]:
    """Lease -> its present run."""
    rows = connection.execute(select(runs).where(runs.c.lease.in_(list(of)))).mappings()
    return {row["lease"]: Run(row["started_at"], row["kept_at"]) for row in rows}


def of_leases(connection: Connection, of: Collection[str]) -> dict[tuple[str, str], Notice]:
    """(lease, cause) -> its notice."""
    rows = connection.execute(select(notices).where(notices.c.lease.in_(list(of)))).mappings()
    return {(row["lease"], row["cause"]): Notice(**row) for row in rows}


def put(connection: Connection, notice: Notice) -> None:
    """Write it over the one of before."""
    drop(connection, notice.lease, notice.cause)
    row = asdict(notice)
    connection.execute(insert(notices).values(row | {"reason": storable(notice.reason), "rule": storable(notice.rule)}))


def drop(connection: Connection, lease: str, cause: str) -> None:
    """It no longer holds."""
    connection.execute(delete(notices).where(notices.c.lease == lease, notices.c.cause == cause))


def forget(connection: Connection, *, before: datetime) -> None:
    """Remove what was said before a time about leases that have ended."""
    ended = select(leases.c.id).where(leases.c.ended_at < before)
    for table in (notices, runs):
        connection.execute(delete(table).where(table.c.lease.in_(ended)))


def ended(connection: Connection, principal: str, *, since: datetime) -> list[dict[str, Any]]:
    """{kernel_id, notebook, kind, ended_at, reason, rule} of what a limit has ended since a time, newest first."""
    shown = [leases.c[name] for name in ("kernel_id", "notebook", "kind", "kernelspec", "ended_at")]
    shown += [notices.c[name] for name in ("cause", "reason", "rule")]
    joined = select(*shown).join_from(notices, leases, notices.c.lease == leases.c.id)
    mine = joined.where(notices.c.principal == principal, notices.c.phase == "ended", leases.c.ended_at >= since)
    return [dict(row) for row in connection.execute(mine.order_by(leases.c.ended_at.desc())).mappings()]
