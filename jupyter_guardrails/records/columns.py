"""How times travel: aware datetimes in Python, seconds since 1970 in the database, ISO 8601 in UTC towards readers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, Double
from sqlalchemy.types import TypeDecorator


class Time(TypeDecorator[datetime]):
    """An aware datetime, kept as a double so that SQLite and PostgreSQL compare and subtract it alike."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        """Called by SQLAlchemy for every value on its way in; a naive datetime is an error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Called by SQLAlchemy for every value on its way out."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


def iso(moment: datetime) -> str:
    """`2025-01-31T12:00:00.000000Z`: one width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def storable(text: str, *, limit: int = 4000) -> str:
    """Text that every database takes: no NUL, no half surrogates, not longer than `limit` characters."""
    safe = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
