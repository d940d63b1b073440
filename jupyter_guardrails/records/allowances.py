"""More of a limit for a while: what was granted, to whom, by whom, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import allowances

SELF_APPROVED = "self-approved"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`amount` is the limit while it lasts, None for a profile; `label` is `self-approved` where nobody else was asked."""

    id: str
    principal: str
    resource: str
    amount: float | None
    request: str
    label: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime


def grant_more(connection: Connection, request: Mapping[str, Any], *, now: datetime, actor: str) -> Allowance:
    """What a request of kind `more` asked for, from now until its time; Conflict when that is over. The caller writes the audit record."""
    if request["until"] <= now:
        raise Conflict(f"what {request['principal']} asked for was until {request['until']:%Y-%m-%d %H:%M} UTC, which is over", next_step="refuse it")
    label = SELF_APPROVED if actor == request["principal"] else ""
    place = {"id": f"m-{request['id']}", "principal": request["principal"], "resource": request["dataset"], "amount": request["amount"]}
    by = {"request": request["id"], "label": label, "granted_by": storable(actor), "granted_at": now, "expires_at": request["until"]}
    connection.execute(insert(allowances).values(place | by | {"ended_at": None}))
    return Allowance(**place, **by)


def active(connection: Connection) -> list[Allowance]:
    """Those that have not been ended, also where their time has come."""
    rows = connection.execute(select(allowances).where(allowances.c.ended_at.is_(None)).order_by(allowances.c.granted_at)).mappings()
    return [Allowance(**{name: row[name] for name in Allowance.__slots__}) for row in rows]


def end(connection: Connection, allowance: str, *, now: datetime) -> bool:
    """End one; False when it had ended before."""
    mine = (allowances.c.id == allowance) & allowances.c.ended_at.is_(None)
    return connection.execute(update(allowances).where(mine).values(ended_at=now)).rowcount == 1
