"""What was decided in the past, counted: the same decision about the same person and thing is one row."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.tables import audit, grants, leases


def counted(
    connection: Connection, since: datetime, actions: Collection[str], *, most: int, refused_only: bool = False
) -> tuple[list[dict[str, Any]], int]:
    """Rows {person, action, resource, allowed, mode, rule, kind, count, last}, most frequent first, `most` of them; and how many there are in all.

    `kind` is that of the kernel (its lease), null where that is no longer known.
    """
    kinds = select(leases.c.kernel_id, func.max(leases.c.kind).label("kind")).group_by(leases.c.kernel_id).subquery()
    same = (audit.c.principal, audit.c.action, audit.c.resource, audit.c.allowed, audit.c.mode, audit.c.rule, kinds.c.kind)
    source = audit.outerjoin(kinds, kinds.c.kernel_id == audit.c.kernel)
    found = select(*same, func.count().label("count"), func.max(audit.c.time).label("last")).select_from(source)
    found = found.where(audit.c.time >= iso(since), audit.c.action.in_(list(actions))).group_by(*same)
    if refused_only:
        found = found.where(~audit.c.allowed)
    total = connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    ordered = found.order_by(func.count().desc(), audit.c.principal, audit.c.action, audit.c.resource).limit(most)
    rows = [dict(row) for row in connection.execute(ordered).mappings()]
    return [{"person": row.pop("principal")} | row | {"count": int(row["count"])} for row in rows], int(total)


def granted(connection: Connection, since: datetime) -> set[tuple[str, str]]:
    """Person and dataset of every grant that was live at some time since then."""
    rows = connection.execute(select(grants.c.principal, grants.c.dataset).where(grants.c.expires_at >= since))
    return {(row.principal, row.dataset) for row in rows}
