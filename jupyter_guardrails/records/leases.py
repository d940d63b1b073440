"""Leases: the promise that one kernel, terminal, clean run or `exec` may run, what it used, and when the promise ends.

    starting -> active -> closing -> settled
        \\_________\\__________\\____-> expired    (no beats for the lease's time to live: charged up to the last beat)

Reserving is one conditional INSERT after one conditional UPDATE of the budget: a SELECT before an INSERT let 102 starts through where 71 fitted
(measured on PostgreSQL). Statements are made once: building one anew costs more than the database takes to carry it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Text, Update, bindparam, func, insert, literal_column, select, union_all, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import budgets
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import LIVE, leases
from jupyter_guardrails.records.windows import GIB, RESERVE_S, Amounts, Limit, amounts_of

TRANSITIONS: dict[str, frozenset[str]] = {
    "starting": frozenset({"active", "closing", "settled", "expired"}),
    "active": frozenset({"active", "closing", "settled", "expired"}),  # active again: a restart
    "closing": frozenset({"closing", "settled", "expired"}),
    "settled": frozenset(),
    "expired": frozenset(),
}
KINDS = ("kernel", "terminal", "clean_run", "exec")
NOTHING_YET = dict.fromkeys(("cpu_s", "cpu_counter_s", "cpu_claimed_s", "cpu_percent", "memory_gib_s", "gpu_s", "idle_s"), 0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lease is asked for; `key` makes asking again harmless. `holder`: whose budget it is of, empty for the principal's own."""

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
    gpus: int = 0
    holder: str = ""

    def reservation(self) -> Amounts:
        """Five minutes of what its profile gives at most."""
        return Amounts(self.cpus * RESERVE_S, self.memory_limit_bytes / GIB * RESERVE_S, float(self.gpus * RESERVE_S))


@dataclass(frozen=True, slots=True)
class Use:
    """One beat: processor time in sum since the lease began, memory now. `seen_cpu_s`: the same time as control itself saw it, 0 if it can't."""

    cpu_s: float
    memory_bytes: int
    memory_peak_bytes: int
    idle_s: float = 0.0
    seen_cpu_s: float = 0.0


def _literally(words: Iterable[str]) -> list[ColumnElement[str]]:
    """Our own words inside a statement: as parameters they would be put into it again each time."""
    return [literal_column(f"'{word}'", Text) for word in words]


def _leaving_to(state: str) -> tuple[str, ...]:
    """The states from which the table lets a lease go to this one."""
    return tuple(before for before, following in TRANSITIONS.items() if state in following)


def _move(state: str, *columns: str) -> Update:
    """An UPDATE of one lease into that state, and of columns named; it meets no row that the table holds back."""
    mine = (leases.c.id == bindparam("of_lease")) & leases.c.state.in_(_literally(_leaving_to(state)))
    return update(leases).where(mine).values({"state": state} | {name: bindparam(f"new_{name}") for name in columns})


ASKED = tuple(field.name for field in fields(Wanted))
COLUMNS = tuple(column.name for column in leases.columns)
IS_LIVE = leases.c.state.in_(_literally(LIVE))
# naming every kind lets SQLite use the whole index (principal, kind, state): else it looks at all leases that the person ever had
MINE = (leases.c.principal == bindparam("of_principal")) & leases.c.kind.in_(_literally(KINDS)) & IS_LIVE
OF_KEY = select(leases).where(leases.c.principal == bindparam("of_principal"), leases.c.key == bindparam("of_key"))
OF_ID = select(leases).where(leases.c.id == bindparam("of_lease"), leases.c.principal == bindparam("of_principal"))
OF_IDS = select(leases).where(leases.c.id.in_(bindparam("of_leases", expanding=True)), leases.c.principal == bindparam("of_principal"), IS_LIVE)
LATE = select(leases).where(IS_LIVE, leases.c.expires_at <= bindparam("of_now"))
STRAYS = select(leases).where(MINE, leases.c.holder != bindparam("of_holder"))
KNOWN_OR_STRAYS = union_all(OF_KEY, STRAYS)
KERNELS = select(func.count()).where(leases.c.principal == bindparam("principal"), leases.c.kind == "kernel", IS_LIVE)
ROW = select(*(bindparam(column.name, type_=column.type) for column in leases.columns))
ADD = insert(leases)
ADD_KERNEL = (  # SQLAlchemy keeps the row count of UPDATE and DELETE only
    insert(leases).from_select(COLUMNS, ROW.where(KERNELS.scalar_subquery() < bindparam("of_most"))).execution_options(preserve_rowcount=True)
)
CHARGED = ("cpu_s", "cpu_counter_s", "cpu_claimed_s", "cpu_percent", "memory_gib_s", "gpu_s", "memory_bytes", "memory_peak_bytes")
START = _move("active", "pid", "pid_started", "report", "listeners", "started_at", "beat_at", "expires_at")
CLOSE = _move("closing")
SETTLE = _move("settled", *CHARGED, "ended_at", "reason")
EXPIRE = _move("expired", "ended_at", "reason", "memory_bytes", "cpu_percent")
BEAT_COLUMNS = (*CHARGED, "idle_s", "beat_at", "expires_at")
BEAT = update(leases).where(leases.c.id == bindparam("of_lease")).values({name: bindparam(f"new_{name}") for name in BEAT_COLUMNS})
KEEP = update(leases).where(leases.c.id == bindparam("of_lease")).values(admission=bindparam("new_admission"))
RENEWED = ("profile", "rule", "policy_digest", "memory_limit_bytes", "cpus", "idle_limit_s", "gpus", "holder")
PROMISED = ("reserved_cpu_s", "reserved_memory_gib_s", "reserved_gpu_s")
RENEW = update(leases).where(leases.c.id == bindparam("of_lease")).values({name: bindparam(f"new_{name}") for name in (*RENEWED, *PROMISED)})


def reserve(
    connection: Connection, wanted: Wanted, *, now: datetime, ttl_s: float, max_kernels: int, limit: Limit | None = None
) -> dict[str, Any] | None:
    """The lease in state `starting`, the same one for the same key, or None when `max_kernels` live kernels exist.

    Only kind `kernel` counts and is counted. A key's second time is a retry or a restart: its lease takes the profile as it is now.
    Conflict when the key's lease has ended; DoesNotFit when the budget (`limit`, of the holder wanted) has not as much left as it must promise.
    """
    holder = wanted.holder or wanted.principal
    reserved = wanted.reservation() if limit is None else limit.at_most(wanted.reservation())
    same = _known(connection, wanted, holder)
    more = reserved if same is None else reserved - amounts_of(_still_live(same), "reserved_")
    if limit is not None and more.grows():
        budgets.take(connection, limit, more, now=now)
    else:
        budgets.promise(connection, holder, more)
    if same is not None:
        return _renewed(connection, same, wanted, reserved)
    row = _new_row(wanted, reserved, now=now, ttl_s=ttl_s)
    if not _added(connection, row, max_kernels):
        budgets.promise(connection, holder, Amounts() - more)
        return None
    return row


def _known(connection: Connection, wanted: Wanted, holder: str) -> dict[str, Any] | None:
    """The lease that this key has already; what the person's leases hold of a budget that is no longer theirs follows on the way."""
    asked = {"of_principal": wanted.principal, "of_key": storable(wanted.key), "of_holder": holder}
    rows = _all(connection, KNOWN_OR_STRAYS, asked)
    if any(row["state"] in LIVE and row["holder"] != holder for row in rows):
        follow(connection, wanted.principal, holder)
    return next((row for row in rows if row["key"] == asked["of_key"]), None)


def _new_row(wanted: Wanted, reserved: Amounts, *, now: datetime, ttl_s: float) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS) | {
        name: storable(value) if isinstance(value, str) else value for name in ASKED for value in (getattr(wanted, name),)
    }
    row |= {"state": "starting", "created_at": now, "beat_at": now, "expires_at": now + timedelta(seconds=ttl_s), "reason": ""}
    row |= NOTHING_YET | {"memory_bytes": 0, "memory_peak_bytes": 0, "holder": wanted.holder or wanted.principal}
    return row | dict(zip(PROMISED, reserved.each(), strict=True))


def _added(connection: Connection, row: dict[str, Any], max_kernels: int) -> bool:
    if row["kind"] != "kernel":
        connection.execute(ADD, row)
        return True
    return connection.execute(ADD_KERNEL, row | {"of_most": max_kernels}).rowcount == 1


def of_key(connection: Connection, principal: str, key: str) -> dict[str, Any] | None:
    """The lease that was asked for with this key, ended or not."""
    row = connection.execute(OF_KEY, {"of_principal": principal, "of_key": storable(key)}).mappings().first()
    return None if row is None else dict(row)


def get(connection: Connection, lease: str, principal: str) -> dict[str, Any]:
    """The principal's lease, or NotFound."""
    row = connection.execute(OF_ID, {"of_lease": lease, "of_principal": principal}).mappings().first()
    if row is None:
        raise NotFound(f"there is no lease {storable(lease, limit=100)} of yours", next_step="start the kernel again")
    return dict(row)


def live(connection: Connection, principal: str | None) -> list[dict[str, Any]]:
    """Leases that have not ended, oldest first; of one person, or (None) of all."""
    query = select(leases).where(IS_LIVE if principal is None else MINE).order_by(leases.c.created_at)
    return [dict(row) for row in connection.execute(query, {"of_principal": principal} if principal is not None else {}).mappings()]


def start(
    connection: Connection,
    lease: str,
    principal: str,
    *,
    now: datetime,
    ttl_s: float,
    pid: int,
    report: dict[str, Any],
    pid_started: int | None = None,
    listeners: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`starting` -> `active`; for an active one a restart: the lease, its reservation and its sums stay. Conflict when it has ended."""
    row = _still_live(get(connection, lease, principal))
    values = {"pid": pid, "pid_started": pid_started, "report": report, "started_at": row["started_at"] or now}
    values |= {"listeners": None if listeners is None else list(listeners)}
    values |= {"beat_at": now, "expires_at": now + timedelta(seconds=ttl_s)}
    if connection.execute(START, _named(row, values)).rowcount != 1:
        raise Conflict(f"lease {lease} is being closed", next_step="start the kernel again")
    if row["started_at"] is None:
        budgets.charge(connection, principal, Amounts(), now=now, kernels=1)
    return row | values | {"state": "active"}


def beat(connection: Connection, uses: Mapping[str, Use], principal: str, *, now: datetime, ttl_s: float, holder: str = "") -> list[str]:
    """Charge what was used since the last beat and extend the leases; returns those that have ended and must not go on.

    However many beats: a fixed number of statements. `holder`: who holds the principal's budget now, if that may have changed.
    """
    found = _all(connection, OF_IDS, {"of_leases": list(uses), "of_principal": principal})
    charged: dict[str, Amounts] = {}
    changes = []
    for row in found:
        use = uses[row["id"]]
        values, used = _charged(row, use, now=now, ttl_s=ttl_s)
        values |= {"memory_bytes": use.memory_bytes, "idle_s": use.idle_s, "beat_at": now, "expires_at": now + timedelta(seconds=ttl_s)}
        changes.append(_named(row, values))
        charged[row["holder"]] = charged.get(row["holder"], Amounts()) + used
    if changes:
        connection.execute(BEAT, changes)
    for name, used in charged.items():
        budgets.charge(connection, principal, used, now=now, holder=name)
    if holder and any(row["holder"] != holder for row in found):
        follow(connection, principal, holder)
    return sorted(set(uses) - {row["id"] for row in found})


def follow(connection: Connection, principal: str, holder: str) -> None:
    """The policy gives the person's budget to somebody else than before: what their live leases hold of it goes along. What was used stays."""
    strays = _all(connection, STRAYS, {"of_principal": principal, "of_holder": holder})
    if not strays:
        return
    connection.execute(update(leases).where(leases.c.id.in_([row["id"] for row in strays])).values(holder=holder))
    _give_back(connection, strays)
    budgets.promise(connection, holder, _promised(strays))


def reasons(connection: Connection, ids: list[str], principal: str) -> dict[str, str]:
    """Lease -> why it ended, of those that were ended for a reason other than silence."""
    ended = leases.c.id.in_(ids) & (leases.c.principal == principal) & (leases.c.state == "settled")
    return {row.id: row.reason for row in connection.execute(select(leases.c.id, leases.c.reason).where(ended))}


def adjust(connection: Connection, lease: str, principal: str, **values: Any) -> None:
    """New limits of a live lease (`memory_limit_bytes`, `cpus`, `idle_limit_s`, `rule`, `policy_digest`); an ended one stays as it is."""
    mine = (leases.c.id == lease) & (leases.c.principal == principal) & IS_LIVE
    connection.execute(update(leases).where(mine).values(values))


def keep(connection: Connection, lease: str, admission: dict[str, Any]) -> None:
    """What a lease admits, for a control that is started again."""
    connection.execute(KEEP, {"of_lease": lease, "new_admission": admission})


def close(connection: Connection, lease: str, principal: str) -> dict[str, Any]:
    """`closing`, while its channel and proxy are ended; an ended lease stays as it is."""
    row = get(connection, lease, principal)
    return row | {"state": "closing"} if connection.execute(CLOSE, {"of_lease": lease}).rowcount else row


def settle(
    connection: Connection,
    lease: str,
    principal: str,
    *,
    now: datetime,
    ttl_s: float,
    reason: str,
    cpu_s: float = 0.0,
    memory_peak_bytes: int = 0,
    seen_cpu_s: float = 0.0,
) -> dict[str, Any] | None:
    """Charge the rest, give back what was reserved and end the lease; None when it had ended before (settling twice charges once)."""
    row = get(connection, lease, principal)
    claimed_s = max(cpu_s, row["cpu_counter_s"])  # a settlement without numbers says nothing
    values, used = _charged(row, Use(claimed_s, 0, memory_peak_bytes, seen_cpu_s=seen_cpu_s), now=now, ttl_s=ttl_s)
    values |= {"ended_at": now, "reason": storable(reason), "memory_bytes": 0, "cpu_percent": 0.0}
    if connection.execute(SETTLE, _named(row, values)).rowcount != 1:
        return None
    budgets.charge(connection, principal, used, now=now, holder=row["holder"], given_back=amounts_of(row, "reserved_"))
    return row | values | {"state": "settled"}


def sweep(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """End the leases whose beats stopped; what they used until the last beat is already charged. Returns them."""
    late = _all(connection, LATE, {"of_now": now})
    if not late:
        return []
    ended = [{"ended_at": row["beat_at"], "reason": "no beats", "memory_bytes": 0, "cpu_percent": 0.0} for row in late]
    connection.execute(EXPIRE, [_named(row, values) for row, values in zip(late, ended, strict=True)])
    _give_back(connection, late)
    return [row | values | {"state": "expired"} for row, values in zip(late, ended, strict=True)]


def reprieve(connection: Connection, *, now: datetime, ttl_s: float) -> None:
    """Give every live lease its whole time again: control, or the machine, was away, and beats could not arrive."""
    until = now + timedelta(seconds=ttl_s)
    connection.execute(update(leases).where(IS_LIVE, leases.c.expires_at < until).values(expires_at=until))


def _all(connection: Connection, query: Executable, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query, values).mappings()]


def _named(row: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of one of the statements above."""
    return {"of_lease": row["id"]} | {f"new_{name}": value for name, value in values.items()}


def _promised(rows: Iterable[Mapping[str, Any]]) -> Amounts:
    return sum((amounts_of(row, "reserved_") for row in rows), Amounts())


def _give_back(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """What leases hold of their budgets is free again, one UPDATE for each holder."""
    by_holder: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_holder.setdefault(row["holder"], []).append(row)
    for holder, mine in by_holder.items():
        budgets.promise(connection, holder, Amounts() - _promised(mine))


def _renewed(connection: Connection, row: dict[str, Any], wanted: Wanted, reserved: Amounts) -> dict[str, Any]:
    values = {name: getattr(wanted, name) for name in RENEWED} | {"holder": wanted.holder or wanted.principal}
    values |= dict(zip(PROMISED, reserved.each(), strict=True))
    connection.execute(RENEW, _named(row, values))
    return row | values


def _still_live(row: dict[str, Any]) -> dict[str, Any]:
    if row["state"] not in LIVE:
        raise Conflict(f"lease {row['id']} is {row['state']}: {row['reason']}", next_step="start the kernel again")
    return row


def _charged(row: Mapping[str, Any], use: Use, *, now: datetime, ttl_s: float) -> tuple[dict[str, Any], Amounts]:
    """The columns that change, and what to charge since the last beat: of the server's sum and of what control saw, whichever is more.

    Memory and GPUs are charged for `ttl_s` at most: nobody saw what a longer gap held.
    """
    elapsed_s = max(0.0, (now - row["beat_at"]).total_seconds())
    began_again = use.cpu_s < row["cpu_counter_s"]  # a server that was started again counts from nothing
    claimed_s = row["cpu_claimed_s"] + (use.cpu_s if began_again else use.cpu_s - row["cpu_counter_s"])
    cpu_s = max(row["cpu_s"], claimed_s, use.seen_cpu_s) - row["cpu_s"]
    watched_s = min(elapsed_s, ttl_s)
    running = row["state"] != "starting"
    used = Amounts(cpu_s, row["memory_bytes"] / GIB * watched_s, row["gpus"] * watched_s if running else 0.0)
    values = {"cpu_s": row["cpu_s"] + cpu_s, "cpu_counter_s": use.cpu_s, "cpu_claimed_s": claimed_s}
    values |= {"memory_gib_s": row["memory_gib_s"] + used.memory_gib_s, "gpu_s": row["gpu_s"] + used.gpu_s}
    values |= {"memory_peak_bytes": max(row["memory_peak_bytes"], use.memory_peak_bytes, use.memory_bytes)}
    return values | {"cpu_percent": 100 * cpu_s / elapsed_s if elapsed_s > 0 else row["cpu_percent"]}, used
