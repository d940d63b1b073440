"""The audit chain: append-only records, each holding the hash of the one before, so that any edit, deletion or reorder shows.

A hash is SHA-256 over the canonical JSON of a record without its own hash (RFC 8785 in spirit: sorted keys, no spaces, ASCII).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from jupyter_guardrails.records import tables
from jupyter_guardrails.records.columns import iso, storable

GENESIS = "0" * 64
ANCHOR_EVERY = 1000


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
    mode: str | None = None,
) -> dict[str, Any]:
    """Add one record in the transaction of what it records; returns it with `seq` and `hash`.

    `mode` says of a refusal whether it was carried out (`enforce`, where nothing is said) or only recorded (`observe`, `warn`).
    """
    seq, previous_hash = head(connection)
    texts = {"principal": principal, "action": action, "resource": resource, "reason": reason, "rule": rule, "policy_digest": policy_digest}
    optional = {"kernel": kernel, "notebook": notebook, "cell_digest": cell_digest}
    record: dict[str, Any] = {name: storable(value) for name, value in texts.items()}
    record |= {name: None if value is None else storable(value) for name, value in optional.items()}
    record |= {"seq": seq + 1, "time": iso(now), "allowed": bool(allowed), "previous_hash": previous_hash}
    record["mode"] = None if allowed else storable(mode or "enforce")
    record["hash"] = hash_of(record)
    connection.execute(insert(tables.audit).values(record))
    if record["seq"] % ANCHOR_EVERY == 0:
        anchor(connection, now=now)
    return record


def head(connection: Connection) -> tuple[int, str]:
    """Sequence number and hash of the newest record; (0, sixty-four zeros) before the first."""
    row = connection.execute(select(tables.audit.c.seq, tables.audit.c.hash).order_by(tables.audit.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def hash_of(record: Mapping[str, Any]) -> str:
    """The hash that `record` must carry; a mode that isn't there is not in it, as in records from before there were modes."""
    left_out = {"hash"} | ({"mode"} if record.get("mode") is None else set())
    return hashlib.sha256(line({key: value for key, value in record.items() if key not in left_out}).encode()).hexdigest()


def line(record: Mapping[str, Any]) -> str:
    """One record as canonical JSON: never a raw control character, so never a second line."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def newest(connection: Connection, *, after: int = 0, limit: int = 200, principal: str | None = None) -> list[dict[str, Any]]:
    """Records with a sequence number above `after`, oldest first; of one person, or (None) of all."""
    query = select(tables.audit).where(tables.audit.c.seq > after).order_by(tables.audit.c.seq).limit(limit)
    if principal is not None:
        query = query.where(tables.audit.c.principal == principal)
    return [dict(row) for row in connection.execute(query).mappings()]


def anchor(connection: Connection, *, now: datetime) -> int:
    """Note the head of the chain beside it: a log that is cut back behind this point no longer verifies. Returns its sequence number."""
    seq, digest = head(connection)
    known = connection.execute(select(func.max(tables.anchors.c.seq))).scalar() or 0
    if seq > known:
        connection.execute(insert(tables.anchors).values(seq=seq, hash=digest, time=iso(now)))
    return seq


def anchors(connection: Connection) -> dict[int, str]:
    """Sequence number -> hash of every anchor."""
    return {row.seq: row.hash for row in connection.execute(select(tables.anchors.c.seq, tables.anchors.c.hash))}


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking a chain found: how many records, the head, every problem, and up to where anchors vouch."""

    count: int
    head: str
    anchored_to: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was edited, deleted, reordered or cut."""
        return not self.problems


def verify(records: Iterable[Mapping[str, Any]], anchored: Mapping[int, str] | None = None) -> Verification:
    """Check a chain in the order given, offline; `anchored` is what `anchors` returned, or an outside witness kept."""
    waiting = dict(anchored or {})
    count, previous, problems = 0, GENESIS, []
    for record in records:
        problems += _problems(record, count + 1, previous)
        expected = waiting.pop(record["seq"], None)
        if expected is not None and expected != record["hash"]:
            problems.append(f"record {record['seq']} is not the one that was anchored")
        count, previous = record["seq"], record["hash"]
    problems += [f"the log ends at {count}, but record {seq} was anchored: it was cut" for seq in sorted(waiting)]
    return Verification(count, previous, max(anchored or {}, default=0), tuple(problems))


def verify_table(connection: Connection) -> Verification:
    """Check the whole table against its anchors."""
    rows = connection.execution_options(yield_per=1000).execute(select(tables.audit).order_by(tables.audit.c.seq)).mappings()
    return verify((dict(row) for row in rows), anchors(connection))


def _problems(record: Mapping[str, Any], seq: int, previous: str) -> list[str]:
    """What is wrong with one record at place `seq` after the hash `previous`."""
    found = []
    if record["seq"] != seq:
        found.append(f"record {record['seq']} stands where {seq} should: records are missing or out of order")
    if record["previous_hash"] != previous:
        found.append(f"record {record['seq']} does not follow the one before it")
    if record["hash"] != hash_of(record):
        found.append(f"record {record['seq']} was altered")
    return found
