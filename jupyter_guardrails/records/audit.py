"""The audit chain: append-only records, each holding the hash of the one before, so that any edit, deletion or reorder shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, event, insert, select
from sqlalchemy.engine import Transaction

from jupyter_guardrails.records import anchors as anchoring
from jupyter_guardrails.records import tables
from jupyter_guardrails.records.anchors import ANCHOR_EVERY, FRESH, anchor, anchors
from jupyter_guardrails.records.chain import GENESIS, hash_of, line
from jupyter_guardrails.records.columns import iso, storable
from jupyter_guardrails.records.verify import Verification, verify, verify_table

__all__ = [
    "ANCHOR_EVERY",
    "GENESIS",
    "Filter",
    "Verification",
    "anchor",
    "anchors",
    "append",
    "append_all",
    "following",
    "fresh",
    "hash_of",
    "head",
    "line",
    "newest",
    "verify",
    "verify_table",
]
HEAD = "guardrails_audit_head"  # in Connection.info
PERMITTED = "guardrails_audit_permitted"  # in Connection.info: how many records allowed something that has yet to happen
# Statements are made once (records/leases.py)
ADD = insert(tables.audit)
FOLLOWING = select(tables.audit).where(tables.audit.c.seq > bindparam("of_seq")).order_by(tables.audit.c.seq).limit(bindparam("most"))
# What is recorded when it is over, or by control of itself: refusing it would undo nothing
AFTERWARDS = ("kernel.end", "kernel.cell", "kernel.limits", "policy.", "audit.", "records.")


def append(
    connection: Connection,
    *,
    now: datetime,
    principal: str,
    action: str,
    resource: str,
    allowed: bool,
    reason: str,
    rule: str,
    policy_digest: str,
    kernel: str | None = None,
    notebook: str | None = None,
    cell_digest: str | None = None,
    code: str | None = None,
    mode: str | None = None,
) -> dict[str, Any]:
    """Add one record in the transaction of what it records; returns it with `seq` and `hash`.

    `mode` says of a refusal whether it was carried out (`enforce`, where nothing is said) or only recorded (`observe`, `warn`).
    """
    texts = {"principal": principal, "action": action, "resource": resource, "reason": reason, "rule": rule, "policy_digest": policy_digest}
    optional = {"kernel": kernel, "notebook": notebook, "cell_digest": cell_digest, "code": code}
    record: dict[str, Any] = {name: storable(value) for name, value in texts.items()}
    record |= {name: None if value is None else storable(value) for name, value in optional.items()}
    record |= {"time": iso(now), "allowed": bool(allowed)}
    record["mode"] = None if allowed else storable(mode or "enforce")
    return without_code(_add(connection, [record], now=now)[0])


def append_all(connection: Connection, records: Iterable[Mapping[str, Any]]) -> None:
    """Add records, each the arguments of `append`."""
    for fields in records:
        append(connection, **fields)


def _add(connection: Connection, records: list[dict[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """Chain records to the head and write them; an anchor follows each thousandth."""
    seq, previous = head(connection)
    for record in records:
        seq += 1
        record |= {"seq": seq, "previous_hash": previous}
        previous = record["hash"] = hash_of(record)
        if record["allowed"] and not record["action"].startswith(AFTERWARDS):
            connection.info[PERMITTED] = connection.info.get(PERMITTED, 0) + 1
    connection.execute(ADD, records)
    connection.info[HEAD] = _Head(connection.get_transaction(), seq, previous)
    known = connection.info.get(FRESH, ())
    connection.info[FRESH] = None if known is None else (*known, *(without_code(dict(record)) for record in records))
    if seq // anchoring.every(connection) > (seq - len(records)) // anchoring.every(connection):
        anchor(connection, now=now)
    return records


@dataclass(frozen=True, slots=True)
class _Head:
    """The newest record as one transaction left it: outside of it, another process may have gone on."""

    transaction: Transaction | None
    seq: int
    hash: str


def head(connection: Connection) -> tuple[int, str]:
    """Sequence number and hash of the newest record; (0, sixty-four zeros) before the first."""
    known = connection.info.get(HEAD)
    if isinstance(known, _Head) and known.transaction is not None and known.transaction is connection.get_transaction():
        return known.seq, known.hash
    return anchoring.head(connection)


def forget_head(connection: Connection) -> None:
    """An operation's changes were undone: its records are none any more."""
    connection.info.pop(HEAD, None)
    connection.info[FRESH] = None


def fresh(connection: Connection) -> Sequence[dict[str, Any]]:
    """Takes the records of this transaction, as `following` gives them; empty where they have to be looked up, if there are any."""
    return connection.info.pop(FRESH, None) or ()


@event.listens_for(Engine, "rollback_savepoint")
def _savepoint_undone(connection: Connection, _name: str, _context: Any) -> None:
    """Called by SQLAlchemy for savepoints that it made itself."""
    forget_head(connection)


def permitted(connection: Connection) -> int:
    """Counts, on this connection, records that allowed something which happens only after its transaction."""
    return int(connection.info.get(PERMITTED, 0))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted; what is left out (None, nothing) wants all. Times are as `iso` writes them."""

    principal: str | None = None
    since: str | None = None
    until: str | None = None
    actions: Collection[str] = ()
    kernel: str | None = None


def newest(
    connection: Connection, *, after: int = 0, limit: int = 200, principal: str | None = None, wanted: Filter | None = None, last: bool = False
) -> list[dict[str, Any]]:
    """Records with a sequence number above `after`, oldest first; of one person, or (None) of all; the `last` ones or the first."""
    only = wanted or Filter()
    query = select(tables.audit).where(tables.audit.c.seq > after).limit(limit)
    for person in (principal, only.principal):
        query = query if person is None else query.where(tables.audit.c.principal == person)
    query = query.where(tables.audit.c.time >= only.since) if only.since else query
    query = query.where(tables.audit.c.time < only.until) if only.until else query
    query = query.where(tables.audit.c.action.in_(only.actions)) if only.actions else query
    query = query.where(tables.audit.c.kernel == only.kernel) if only.kernel else query
    rows = connection.execute(query.order_by(tables.audit.c.seq.desc() if last else tables.audit.c.seq)).mappings()
    found = [without_code(dict(row)) for row in rows]
    return found[::-1] if last else found


def following(connection: Connection, *, after: int, limit: int) -> list[dict[str, Any]]:
    """The `limit` records that come after sequence number `after`, of all people, oldest first: what each sink asks at every commit."""
    return [without_code(dict(row)) for row in connection.execute(FOLLOWING, {"of_seq": after, "most": limit}).mappings()]


def without_code(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it is told: a `code` that nobody keeps isn't in it."""
    if record["code"] is None:
        del record["code"]
    return record
