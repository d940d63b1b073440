"""Removing old records: whole stretches that end at a signed anchor, and only after a signed record says that they were removed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from jupyter_guardrails.records import audit, tables
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.keys import CONTROL
from jupyter_guardrails.records.verify import REMOVE_ACTION


def removable(connection: Connection, *, before: datetime) -> int:
    """The newest signed anchor behind which every record is older than `before`; 0 when there is nothing to remove."""
    record, table = tables.audit.c, tables.anchors.c
    young = connection.execute(select(func.min(record.seq)).where(record.time >= iso(before))).scalar()
    first = connection.execute(select(func.min(record.seq))).scalar()
    if young is None or first is None:  # the newest record stays in any case: the chain goes on from it
        young = audit.head(connection)[0]
    chosen = select(func.max(table.seq)).where(table.seq < young, table.seq >= (first or 0), table.key.is_not(None))
    return connection.execute(chosen).scalar() or 0


def remove(connection: Connection, *, now: datetime, keep_s: int, rule: str, policy_digest: str) -> int:
    """Remove what is older than `keep_s`, in the transaction in which a signed record says so; returns the last that is gone, 0 for none."""
    last = removable(connection, before=now - timedelta(seconds=keep_s))
    if not last:
        return 0
    first, count = connection.execute(select(func.min(tables.audit.c.seq), func.count()).where(tables.audit.c.seq <= last)).one()
    digest = connection.execute(select(tables.anchors.c.hash).where(tables.anchors.c.seq == last)).scalar_one()
    audit.append(
        connection,
        now=now,
        principal=CONTROL,
        action=REMOVE_ACTION,
        resource=f"{first}-{last}",
        allowed=True,
        reason=f"{count} records were older than {keep_s // 86400} days and are removed; the chain goes on from {digest}",
        rule=rule,
        policy_digest=policy_digest,
    )
    audit.anchor(connection, now=now)
    connection.execute(delete(tables.audit).where(tables.audit.c.seq <= last))
    connection.execute(delete(tables.anchors).where(tables.anchors.c.seq < last))
    return last


def removed_to(connection: Connection) -> int:
    """The last record that is gone from the table; 0 while the first is there."""
    first = connection.execute(select(func.min(tables.audit.c.seq))).scalar()
    return (first or 1) - 1
