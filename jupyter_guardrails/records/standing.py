"""What of grants, break-glass and suspensions is in force, as ids: whoever follows them sees by these alone whether anything has changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from jupyter_guardrails.records.tables import exemptions, grants, suspensions


@dataclass(frozen=True, slots=True)
class Standing:
    """By person, and what concerns everybody (suspended datasets)."""

    people: Mapping[str, set[str]]
    everybody: frozenset[str]

    def of(self, person: str) -> frozenset[str]:
        """All that counts for somebody."""
        return self.everybody | self.people.get(person, frozenset())


def in_force(connection: Connection, *, now: datetime) -> Standing:
    """Of all people at once, in three queries."""
    granted = select(grants.c.principal, grants.c.id).where(grants.c.expires_at > now, grants.c.revoked_at.is_(None))
    opened = select(exemptions.c.person, exemptions.c.id).where(exemptions.c.state == "active", exemptions.c.ends_at > now)
    stopped = select(suspensions.c.kind, suspensions.c.name, suspensions.c.id).where(suspensions.c.lifted_at.is_(None))
    stops = connection.execute(stopped).all()
    people: dict[str, set[str]] = defaultdict(set)
    for person, id in (*connection.execute(granted), *connection.execute(opened), *((name, id) for kind, name, id in stops if kind == "user")):
        people[person].add(id)
    return Standing(people, frozenset(id for kind, _, id in stops if kind == "dataset"))
