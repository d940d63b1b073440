"""What an admin has stopped at once: people, datasets, Python packages, jobs; until it is lifted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import suspensions

KINDS = ("user", "dataset", "package", "job")
ACTIVE = select(suspensions).where(suspensions.c.lifted_at.is_(None)).order_by(suspensions.c.since)
OF_KIND = ACTIVE.where(suspensions.c.kind == bindparam("of_kind"))
OF_NAMES = OF_KIND.where(suspensions.c.name.in_(bindparam("of_names", expanding=True)))


def suspend(
    connection: Connection, *, id: str, kind: str, name: str, reason: str, ends_kernels_at: datetime | None, fields: dict[str, Any]
) -> dict[str, Any]:
    """The new suspension, audited; Conflict when that is suspended already. `fields`: of its audit record (who, when, by which rule)."""
    if (before := active(connection, kind, [name])) and (row := next(iter(before.values()))):
        raise Conflict(f"{kind} {name} is suspended already, by {row['suspended_by']}: {row['reason']}", next_step="lift it first")
    row = {"id": id, "kind": kind, "name": name, "reason": storable(reason), "suspended_by": fields["principal"], "rule": fields["rule"]}
    row |= {"since": fields["now"], "ends_kernels_at": ends_kernels_at, "lifted_at": None, "lifted_by": "", "lifted_reason": ""}
    connection.execute(insert(suspensions).values(row))
    audit.append(connection, **fields)
    return row


def lift(connection: Connection, kind: str, name: str, *, reason: str, fields: dict[str, Any]) -> dict[str, Any]:
    """End a suspension and audit it; NotFound when there is none."""
    row = active(connection, kind, [name]).get((kind, name))
    if row is None:
        raise NotFound(f"{kind} {name} is not suspended", next_step="`jupyter guardrails suspend list` shows what is")
    values = {"lifted_at": fields["now"], "lifted_by": fields["principal"], "lifted_reason": storable(reason)}
    connection.execute(update(suspensions).where(suspensions.c.id == row["id"]).values(values))
    audit.append(connection, **fields)
    return row | values


def active(connection: Connection, kind: str | None = None, names: Collection[str] | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """(kind, name) -> suspension, of those that were not lifted; of one kind, perhaps of some names of it, or (None) of all."""
    asked = {"of_kind": kind, "of_names": None if names is None else list(names)}
    query = ACTIVE if kind is None else OF_KIND if names is None else OF_NAMES
    found = connection.execute(query, {name: value for name, value in asked.items() if value is not None}).mappings()
    return {(row["kind"], row["name"]): dict(row) for row in found}


def history(connection: Connection, *, limit: int = 200) -> list[dict[str, Any]]:
    """Every suspension, lifted ones too, newest first."""
    return [dict(row) for row in connection.execute(select(suspensions).order_by(suspensions.c.since.desc()).limit(limit)).mappings()]
