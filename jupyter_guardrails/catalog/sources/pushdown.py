"""Which part of a row filter a database may apply itself: bound parameters in SQLAlchemy's expressions, never text.

It may keep more rows than the filter does, never fewer: the filter is applied again afterwards, to Arrow's values. What a collation, a type or a
database could see differently is left out, so that the answer is the same with and without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import sqlalchemy as sa

from jupyter_guardrails.errors import Refused
from jupyter_guardrails.policy import rowfilter
from jupyter_guardrails.policy.rowfilter import Attribute, Comparison, Filter, Literal

Columns = Mapping[str, tuple["sa.ColumnElement[object]", pa.DataType]]  # by the contract's names: what to compare, and what it is read as


def condition(tree: Filter | None, columns: Columns) -> sa.ColumnElement[bool] | None:
    """What the database keeps, None for every row; Refused when something of the person is not known."""
    if tree is None:
        return None
    if names := rowfilter.unknown(tree):
        raise Refused(f"the row filter needs {', '.join(names)} of you, which is not known", next_step="ask an admin to fill it in")
    return _condition(tree, columns)


def _condition(tree: Filter, columns: Columns) -> sa.ColumnElement[bool] | None:
    if isinstance(tree, Comparison):
        return _comparison(tree, columns)
    terms = [_condition(term, columns) for term in tree.terms]
    known = [term for term in terms if term is not None]
    if tree.word == "or":
        return sa.or_(*known) if len(known) == len(terms) else None
    return sa.and_(*known) if known else None


def _comparison(comparison: Comparison, columns: Columns) -> sa.ColumnElement[bool] | None:
    if comparison.column not in columns:
        return None
    column, kind = columns[comparison.column]
    literals = comparison.literal if isinstance(comparison.literal, tuple) else (comparison.literal,)
    values = [_bound(literal, kind) for literal in literals]
    if any(value is None for value in values):
        return None
    if comparison.operator == "in":
        return column.in_(values)
    if pa.types.is_string(kind) and comparison.operator != "=":
        return None  # an order, and what differs, is a matter of collations
    return _operation(column, comparison.operator, values[0])


def _operation(column: sa.ColumnElement[object], operator: str, value: object) -> sa.ColumnElement[bool]:
    match operator:
        case "=":
            return column == value
        case "!=":
            return column != value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
    return column >= value


def _bound(literal: Literal, kind: pa.DataType) -> object:
    """The value as the column's type has it; None when they are of different kinds."""
    if isinstance(literal, Attribute):
        return None
    if isinstance(literal, bool):
        return literal if pa.types.is_boolean(kind) else None
    if isinstance(literal, str):
        return literal if pa.types.is_string(kind) else None
    return _number(literal, kind)


def _number(literal: int | float, kind: pa.DataType) -> object:
    if pa.types.is_decimal(kind):
        return Decimal(str(literal)) if isinstance(literal, int) else None  # 0.1 as a float is not 0.1
    if pa.types.is_integer(kind):
        return literal if isinstance(literal, int) else None
    return float(literal) if pa.types.is_float64(kind) else None
