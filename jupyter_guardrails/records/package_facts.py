"""What was known of a package when somebody looked at the request for it: kept for each who looked, fixed by the decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records import requests
from jupyter_guardrails.records.columns import iso, storable
from jupyter_guardrails.records.tables import package_facts


def keep(connection: Connection, request: str, facts: list[dict[str, Any]], *, now: datetime, actor: str) -> dict[str, Any]:
    """What this person saw last, as `seen` gives it; Conflict once the request is decided: what was seen then stays."""
    state = requests.get(connection, request)["state"]
    if state != "open":
        raise Conflict(f"request {request} is {state}: what was seen before that stays as it was")
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    row = {"request": request, "seen_by": storable(actor), "seen_at": now, "facts": text, "digest": hashlib.sha256(text.encode()).hexdigest()}
    table = package_facts.c
    connection.execute(delete(package_facts).where(table.request == request, table.seen_by == row["seen_by"]))
    connection.execute(insert(package_facts).values(row))
    return _told(row)


def seen(connection: Connection, request: str) -> dict[str, Any] | None:
    """{by, at, digest, facts} as whoever decided saw them, before a decision as whoever looked last; None where nobody looked."""
    query = select(package_facts).where(package_facts.c.request == request).order_by(package_facts.c.seen_at.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _told(dict(row))


def settle(connection: Connection, request: str, *, actor: str) -> str:
    """Called by the decision, in its transaction: what this person saw stays, what others saw goes. Words for the record."""
    others = (package_facts.c.request == request) & (package_facts.c.seen_by != storable(actor))
    connection.execute(delete(package_facts).where(others))
    found = seen(connection, request)
    return f"decided by facts of {found['at'][:16]}Z, sha256 {found['digest']}" if found else "decided without facts about the package"


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"by": row["seen_by"], "at": iso(row["seen_at"]), "digest": row["digest"], "facts": json.loads(row["facts"])}
