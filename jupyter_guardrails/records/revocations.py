"""Packages that were retired for good, each with control's signature of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import revocations


def revoke(connection: Connection, row: Mapping[str, Any]) -> None:
    """A new revocation, in the transaction of the move that it belongs to."""
    connection.execute(insert(revocations).values(dict(row) | {"reason": storable(row["reason"])}))


def of(connection: Connection, evidence_digests: Collection[str]) -> list[dict[str, Any]]:
    """Those of packages with one of these evidence digests: no two submissions have the same."""
    query = select(revocations).where(revocations.c.evidence_digest.in_(list(evidence_digests))).order_by(revocations.c.retired_at)
    return [dict(row) for row in connection.execute(query).mappings()]
