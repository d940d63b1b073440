"""What checks of datasets found, the newest of each dataset kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from jupyter_guardrails.records import audit
from jupyter_guardrails.records.tables import quality

KEPT = 30  # of one dataset
Row = dict[str, Any]


def put(connection: Connection, row: Row, fields: dict[str, Any]) -> None:
    """Remember a check, audited; of one moment the last counts, and the oldest beyond KEPT go."""
    same = quality.c.dataset == row["dataset"]
    connection.execute(delete(quality).where(same, quality.c.checked_at == row["checked_at"]))
    connection.execute(insert(quality).values(row))
    oldest = select(quality.c.checked_at).where(same).order_by(quality.c.checked_at.desc()).offset(KEPT).limit(1)
    last = connection.execute(oldest).scalar()
    if last is not None:
        connection.execute(delete(quality).where(same, quality.c.checked_at <= last))
    audit.append(connection, **fields)


def newest(connection: Connection, dataset: str) -> Row | None:
    """The last check of a dataset; None when there was none."""
    query = select(quality).where(quality.c.dataset == dataset).order_by(quality.c.checked_at.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def history(connection: Connection, dataset: str) -> list[Row]:
    """Every check of a dataset that is kept, the newest first."""
    query = select(quality).where(quality.c.dataset == dataset).order_by(quality.c.checked_at.desc())
    return [dict(row) for row in connection.execute(query).mappings()]
