"""Break-glass: an admin's exemption for one person, one thing and a bounded time. Recorded first, in force only after that.

recorded -> active -> ended     (recorded: the audit record is not known to be durable yet, and nothing is open)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import exemptions

# Made once: each read of a dataset asks it (records/leases.py)
IN_FORCE = (exemptions.c.state == "active") & (exemptions.c.ends_at > bindparam("after"))
ACTIVE = select(exemptions).where(IN_FORCE, exemptions.c.person == bindparam("of_person")).order_by(exemptions.c.ends_at)


@dataclass(frozen=True, slots=True)
class Exemption:
    """`kind`: dataset or profile; `unmasked`: without the policy's masks and row filters."""

    id: str
    kind: str
    person: str
    name: str
    unmasked: bool
    reason: str
    given_by: str
    rule: str
    begins_at: datetime
    ends_at: datetime


def record(connection: Connection, wanted: Exemption, fields: dict[str, Any]) -> None:
    """Write it down, audited; nothing is open by it yet."""
    row = asdict(wanted) | {"reason": storable(wanted.reason), "state": "recorded", "ended_at": None, "ended_by": ""}
    connection.execute(insert(exemptions).values(row))
    audit.append(connection, **fields)


def begin(connection: Connection, id: str) -> dict[str, Any]:
    """In force from now on; called when its record is durable in the table and in the file."""
    connection.execute(update(exemptions).where(exemptions.c.id == id, exemptions.c.state == "recorded").values(state="active"))
    return get(connection, id)


def end(connection: Connection, id: str, *, fields: dict[str, Any]) -> dict[str, Any]:
    """Over, audited; NotFound when it is not in force."""
    values = {"state": "ended", "ended_at": fields["now"], "ended_by": fields["principal"]}
    ended = connection.execute(update(exemptions).where(exemptions.c.id == id, exemptions.c.state == "active").values(values))
    if ended.rowcount != 1:
        raise NotFound(f"there is no exemption {id} in force", next_step="`jupyter guardrails break-glass list` shows them")
    audit.append(connection, **fields)
    return get(connection, id)


def get(connection: Connection, id: str) -> dict[str, Any]:
    """The exemption, or NotFound."""
    row = connection.execute(select(exemptions).where(exemptions.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no exemption {id}", next_step="`jupyter guardrails break-glass list` shows them")
    return dict(row)


def active(connection: Connection, person: str, *, now: datetime) -> dict[tuple[str, str], dict[str, Any]]:
    """(kind, name) -> exemption in force, the one that lasts longest; of one person. Past its end it counts for nothing, swept or not."""
    found = connection.execute(ACTIVE, {"of_person": person, "after": now}).mappings()
    return {(row["kind"], row["name"]): dict(row) for row in found}


def over(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """Those whose time is up and whose end is not recorded yet."""
    late = (exemptions.c.state == "active") & (exemptions.c.ends_at <= now)
    return [dict(row) for row in connection.execute(select(exemptions).where(late)).mappings()]


def newest(connection: Connection, *, limit: int = 200) -> list[dict[str, Any]]:
    """Every exemption, newest first."""
    return [dict(row) for row in connection.execute(select(exemptions).order_by(exemptions.c.begins_at.desc()).limit(limit)).mappings()]
