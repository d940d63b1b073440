"""Leases: the promise that one kernel, terminal, clean run or `exec` may run, what it used, and when the promise ends.

    starting -> active -> closing -> settled
        \\_________\\__________\\____-> expired    (no beats for the lease's time to live: charged up to the last beat)

Reserving is one conditional INSERT: a SELECT before an INSERT let 102 starts through where 71 fitted (measured on PostgreSQL).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, literal, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import budgets
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import leases

LIVE = ("starting", "active", "closing")
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lease is asked for; `key` makes asking again harmless."""

    id: str
    key: str
    principal: str
    kind: str
    kernel_id: str
    kernelspec: str
    workspace: str
    profile: str
    rule: str
    policy_digest: str
    memory_limit_bytes: int
    cpus: float
    idle_limit_s: int | None = None
    notebook: str | None = None
    submission: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One beat: the kernel's counters since it started, its memory now."""

    cpu_s: float
    memory_bytes: int
    memory_peak_bytes: int
    idle_s: float = 0.0


def reserve(connection: Connection, wanted: Wanted, *, now: datetime, ttl_s: float, max_kernels: int) -> dict[str, Any] | None:
    """The lease in state `starting`, the same one for the same key, or None when `max_kernels` live kernels exist.

    Only kind `kernel` counts and is counted. A key's second time is a retry or a restart: its lease takes the profile as it is now.
    Conflict when the key's lease has ended.
    """
    same = of_key(connection, wanted.principal, wanted.key)
    if same is not None:
        return _renewed(connection, _still_live(same), wanted)
    row = {name: storable(value) if isinstance(value, str) else value for name, value in asdict(wanted).items()}
    row |= {"state": "starting", "created_at": now, "beat_at": now, "expires_at": now + timedelta(seconds=ttl_s), "reason": ""}
    row |= {"cpu_s": 0.0, "cpu_counter_s": 0.0, "cpu_percent": 0.0, "memory_bytes": 0, "memory_peak_bytes": 0, "memory_gib_s": 0.0, "idle_s": 0.0}
    source = select(*(bindparam(name, value, type_=leases.c[name].type) for name, value in row.items()))
    if wanted.kind == "kernel":
        source = source.where(_live_kernels(wanted.principal).scalar_subquery() < literal(max_kernels))
    statement = insert(leases).from_select(list(row), source).execution_options(preserve_rowcount=True)  # kept for UPDATE and DELETE only
    if connection.execute(statement).rowcount != 1:
        return None
    return get(connection, wanted.id, wanted.principal)


def of_key(connection: Connection, principal: str, key: str) -> dict[str, Any] | None:
    """The lease that was asked for with this key, ended or not."""
    row = connection.execute(select(leases).where(leases.c.principal == principal, leases.c.key == storable(key))).mappings().first()
    return None if row is None else dict(row)


def get(connection: Connection, lease: str, principal: str) -> dict[str, Any]:
    """The principal's lease, or NotFound."""
    row = connection.execute(select(leases).where(leases.c.id == lease, leases.c.principal == principal)).mappings().first()
    if row is None:
        raise NotFound(f"there is no lease {storable(lease, limit=100)} of yours", next_step="start the kernel again")
    return dict(row)


def live(connection: Connection, principal: str | None) -> list[dict[str, Any]]:
    """Leases that have not ended, oldest first; of one person, or (None) of all."""
    query = select(leases).where(leases.c.state.in_(LIVE)).order_by(leases.c.created_at)
    if principal is not None:
        query = query.where(leases.c.principal == principal)
    return [dict(row) for row in connection.execute(query).mappings()]


def start(connection: Connection, lease: str, principal: str, *, now: datetime, ttl_s: float, pid: int, report: dict[str, Any]) -> dict[str, Any]:
    """`starting` -> `active`; for an active one a restart: the lease stays, its counters begin again at zero. Conflict when it has ended."""
    row = _still_live(get(connection, lease, principal))
    if row["state"] == "closing":
        raise Conflict(f"lease {lease} is being closed", next_step="start the kernel again")
    values = {"state": "active", "pid": pid, "report": report, "started_at": row["started_at"] or now}
    values |= {"cpu_counter_s": 0.0, "beat_at": now, "expires_at": now + timedelta(seconds=ttl_s)}
    connection.execute(update(leases).where(leases.c.id == lease).values(values))
    if row["started_at"] is None:
        budgets.charge(connection, principal, now=now, cpu_s=0.0, memory_gib_s=0.0, kernels=1)
    return get(connection, lease, principal)


def beat(connection: Connection, uses: dict[str, Use], principal: str, *, now: datetime, ttl_s: float) -> list[str]:
    """Charge what was used since the last beat and extend the leases; returns those that have ended and must not go on."""
    mine = select(leases).where(leases.c.id.in_(list(uses)), leases.c.principal == principal, leases.c.state.in_(LIVE))
    rows = connection.execute(mine).mappings().all()
    for row in rows:
        use = uses[row["id"]]
        values = _charged(connection, dict(row), use.cpu_s, now=now, ttl_s=ttl_s)
        values |= {"memory_bytes": use.memory_bytes, "memory_peak_bytes": max(row["memory_peak_bytes"], use.memory_peak_bytes, use.memory_bytes)}
        values |= {"idle_s": use.idle_s, "beat_at": now, "expires_at": now + timedelta(seconds=ttl_s)}
        connection.execute(update(leases).where(leases.c.id == row["id"]).values(values))
    return sorted(set(uses) - {row["id"] for row in rows})


def reasons(connection: Connection, ids: list[str], principal: str) -> dict[str, str]:
    """Lease -> why it ended, of those that were ended for a reason other than silence."""
    ended = leases.c.id.in_(ids) & (leases.c.principal == principal) & (leases.c.state == "settled")
    return {row.id: row.reason for row in connection.execute(select(leases.c.id, leases.c.reason).where(ended))}


def adjust(connection: Connection, lease: str, principal: str, **values: Any) -> None:
    """New limits of a live lease (`memory_limit_bytes`, `cpus`, `idle_limit_s`, `rule`, `policy_digest`); an ended one stays as it is."""
    mine = (leases.c.id == lease) & (leases.c.principal == principal) & leases.c.state.in_(LIVE)
    connection.execute(update(leases).where(mine).values(values))


def close(connection: Connection, lease: str, principal: str) -> dict[str, Any]:
    """`closing`, while its channel and proxy are ended; an ended lease stays as it is."""
    statement = update(leases).where(leases.c.id == lease, leases.c.principal == principal, leases.c.state.in_(LIVE))
    connection.execute(statement.values(state="closing"))
    return get(connection, lease, principal)


def settle(
    connection: Connection, lease: str, principal: str, *, now: datetime, ttl_s: float, reason: str, cpu_s: float = 0.0, memory_peak_bytes: int = 0
) -> dict[str, Any] | None:
    """Charge the rest and end the lease; None when it had ended before (settling twice charges once)."""
    row = get(connection, lease, principal)
    if row["state"] not in LIVE:
        return None
    values = _charged(connection, row, max(cpu_s, row["cpu_counter_s"]), now=now, ttl_s=ttl_s)
    values |= {"state": "settled", "ended_at": now, "reason": storable(reason), "memory_bytes": 0, "cpu_percent": 0.0}
    values |= {"memory_peak_bytes": max(row["memory_peak_bytes"], memory_peak_bytes)}
    connection.execute(update(leases).where(leases.c.id == lease).values(values))
    return get(connection, lease, principal)


def sweep(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """End the leases whose beats stopped; what they used until the last beat is already charged. Returns them."""
    late = leases.c.state.in_(LIVE) & (leases.c.expires_at <= now)
    found = connection.execute(select(leases.c.id, leases.c.principal).where(late)).all()
    values = {"state": "expired", "ended_at": leases.c.beat_at, "reason": "no beats", "memory_bytes": 0, "cpu_percent": 0.0}
    connection.execute(update(leases).where(late).values(values))
    return [get(connection, row.id, row.principal) for row in found]


def reprieve(connection: Connection, *, now: datetime, ttl_s: float) -> None:
    """Give every live lease its whole time again: control, or the machine, was away, and beats could not arrive."""
    until = now + timedelta(seconds=ttl_s)
    connection.execute(update(leases).where(leases.c.state.in_(LIVE), leases.c.expires_at < until).values(expires_at=until))


def _live_kernels(principal: str) -> Select[int]:
    return select(func.count()).select_from(leases).where(leases.c.principal == principal, leases.c.kind == "kernel", leases.c.state.in_(LIVE))


def _renewed(connection: Connection, row: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    names = ("profile", "rule", "policy_digest", "memory_limit_bytes", "cpus", "idle_limit_s")
    values = {name: getattr(wanted, name) for name in names}
    connection.execute(update(leases).where(leases.c.id == row["id"]).values(values))
    return row | values


def _still_live(row: dict[str, Any]) -> dict[str, Any]:
    if row["state"] not in LIVE:
        raise Conflict(f"lease {row['id']} is {row['state']}: {row['reason']}", next_step="start the kernel again")
    return row


def _charged(connection: Connection, row: dict[str, Any], counter_s: float, *, now: datetime, ttl_s: float) -> dict[str, Any]:
    """Charge since the last beat; the columns that change. Memory is charged for `ttl_s` at most: nobody saw what a longer gap held."""
    elapsed_s = max(0.0, (now - row["beat_at"]).total_seconds())
    began_again = counter_s < row["cpu_counter_s"]  # a kernel that restarted between two beats
    cpu_s = counter_s if began_again else counter_s - row["cpu_counter_s"]
    memory_gib_s = row["memory_bytes"] / GIB * min(elapsed_s, ttl_s)
    budgets.charge(connection, row["principal"], now=now, cpu_s=cpu_s, memory_gib_s=memory_gib_s)
    values = {"cpu_s": row["cpu_s"] + cpu_s, "memory_gib_s": row["memory_gib_s"] + memory_gib_s, "cpu_counter_s": counter_s}
    return values | {"cpu_percent": 100 * cpu_s / elapsed_s if elapsed_s > 0 else row["cpu_percent"]}
