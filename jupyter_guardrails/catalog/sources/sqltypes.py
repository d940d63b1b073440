"""SQL types -> Arrow types. What Arrow has no exact type for is read as the text that the database itself makes of it.

| SQL | Arrow |
| --- | --- |
| boolean; smallint, integer, bigint | bool; int16, int32, int64 (all int64 in SQLite; unsigned bigint: uint64) |
| real, double | float64 |
| numeric(p, s) | decimal128(p, s), above 38 digits decimal256; without a precision, and in SQLite: text |
| text, varchar, char | string |
| date, time, timestamp, timestamptz | date32, time64(us), timestamp(us), timestamp(us, UTC) (in SQLite: text) |
| bytea, blob | binary |
| arrays of one dimension of these | list |
| enum, uuid, json, interval, timetz, money, inet, ranges, any other | text |
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.sql import sqltypes

MOST_DIGITS = 76


def arrow_type(kind: Any, dialect: str) -> pa.DataType | None:
    """The Arrow type of a column; None when it is to be read as text, by a cast in the database."""
    if isinstance(kind, sqltypes.ARRAY):
        inner = arrow_type(kind.item_type, dialect)
        return pa.list_(inner) if inner is not None else None
    if dialect == "sqlite" and isinstance(kind, (sa.DateTime, sa.Date, sa.Time)):
        return None  # it has no such types, and may hold a text or a number
    return _number(kind, dialect) or _other(kind)


def _number(kind: Any, dialect: str) -> pa.DataType | None:
    if isinstance(kind, sa.Integer):
        return pa.int64() if dialect == "sqlite" else _integer(kind, unsigned=getattr(kind, "unsigned", False))
    if isinstance(kind, sa.Float):
        return pa.float64()
    if not isinstance(kind, sa.Numeric) or dialect == "sqlite" or not kind.precision or kind.precision > MOST_DIGITS:
        return None
    scale = kind.scale or 0
    return pa.decimal128(kind.precision, scale) if kind.precision <= 38 else pa.decimal256(kind.precision, scale)


def _integer(kind: Any, *, unsigned: bool) -> pa.DataType:
    if isinstance(kind, sa.BigInteger):
        return pa.uint64() if unsigned else pa.int64()
    if unsigned:
        return pa.int64()
    return pa.int16() if isinstance(kind, sa.SmallInteger) else pa.int32()


def _other(kind: Any) -> pa.DataType | None:
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, (sa.Uuid, sa.JSON, sa.Interval, sa.Enum)):
        return None
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC") if kind.timezone else pa.timestamp("us")
    if isinstance(kind, sa.Date):
        return pa.date32()
    if isinstance(kind, sa.Time):
        return None if kind.timezone else pa.time64("us")
    return pa.string() if isinstance(kind, sa.String) else None
