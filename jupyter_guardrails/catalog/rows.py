"""Filters on Arrow batches, in the broker's worker: which rows pass. Nulls never do; what cannot be compared is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jupyter_guardrails.catalog.masks import is_text, plain
from jupyter_guardrails.catalog.spelling import alike, listed
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.rowfilter import Comparison, Filter
from jupyter_guardrails.policy.wording import visible

COMPARE: dict[str, Callable[..., Any]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def passing(batch: pa.RecordBatch, tree: Filter) -> pa.RecordBatch:
    """The rows of a batch that a filter keeps."""
    return batch.filter(_verdict(batch, tree), null_selection_behavior="drop")


def check(schema: pa.Schema, tree: Filter) -> None:
    """Try a filter on no rows: BadRequest when a column is missing or cannot be compared."""
    _verdict(pa.RecordBatch.from_pylist([], schema=schema), tree)


def _verdict(batch: pa.RecordBatch, tree: Filter) -> pa.Array:
    if isinstance(tree, Comparison):
        return _compared(batch, tree)
    both = pc.and_kleene if tree.word == "and" else pc.or_kleene
    found = _verdict(batch, tree.terms[0])
    for term in tree.terms[1:]:
        found = both(found, _verdict(batch, term))
    return found


def _compared(batch: pa.RecordBatch, one: Comparison) -> pa.Array:
    array = _column(batch, one.column)
    if one.operator == "in":
        items = one.literal if isinstance(one.literal, tuple) else (one.literal,)
        return _among(array, [_scalar(array.type, item, one) for item in items])
    return COMPARE[one.operator](array, _scalar(array.type, one.literal, one))


def _among(array: pa.Array, values: list[pa.Scalar]) -> pa.Array:
    if is_text(array.type):
        return pc.is_in(array, value_set=pa.array([value.as_py() for value in values], array.type), skip_nulls=True)
    found = pa.repeat(pa.scalar(False), len(array))
    for value in values:
        found = pc.or_kleene(found, pc.equal(array, value))
    return found


def _missing(batch: pa.RecordBatch, name: str) -> BadRequest:
    names = batch.schema.names
    message = f"the filter names {name!r}, and there is no such column{alike(name, names)}"
    return BadRequest(message, next_step=f"there are {listed(names)}")


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column, or a field in one by `outer.inner`."""
    if name in batch.schema.names:
        return plain(batch.column(name))
    first, *rest = name.split(".")
    if first not in batch.schema.names:
        raise _missing(batch, name)
    array = plain(batch.column(first))
    for part in rest:
        if not pa.types.is_struct(array.type) or array.type.get_field_index(part) < 0:
            raise _missing(batch, name)
        array = plain(array.flatten()[array.type.get_field_index(part)])
    return array


def _scalar(kind: pa.DataType, literal: Any, one: Comparison) -> pa.Scalar:
    """The literal as a value that Arrow compares with this type without guessing."""
    for fits, of, made in VALUES:
        if fits(kind) and isinstance(literal, of) and (bool in of or not isinstance(literal, bool)):
            return made(kind, literal, one)
    said = {str: "a text", bool: "true or false"}.get(type(literal), "a number")
    raise BadRequest(f"{visible(one.column)} is {kind} and cannot be compared with {said}", next_step="compare it with a value of its own type")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _number(_kind: pa.DataType, literal: Any, _one: Comparison) -> pa.Scalar:
    """A whole number as one, where a float holds it exactly: Arrow would not compare big integers with floats."""
    return pa.scalar(int(literal) if isinstance(literal, float) and literal.is_integer() and abs(literal) < 2**53 else literal)


def _moment(kind: pa.DataType, literal: str, one: Comparison) -> pa.Scalar:
    try:
        value = date.fromisoformat(literal) if pa.types.is_date(kind) else datetime.fromisoformat(literal)
        return pa.scalar(value).cast(kind)
    except (ValueError, pa.ArrowException) as error:  # the literal is the filter's own, no value of the data
        message = f"{visible(one.column)} is {kind}, and {literal[:40]!r} is none: write it like 2024-05-31"
        raise BadRequest(message, next_step="write dates as YYYY-MM-DD, times as YYYY-MM-DD HH:MM:SS") from error


Value = tuple[Callable[[pa.DataType], bool], tuple[type, ...], Callable[[pa.DataType, Any, Comparison], pa.Scalar]]
VALUES: list[Value] = [  # (types of columns, types of literals, how one becomes comparable with the other)
    (is_text, (str,), lambda kind, literal, _one: pa.scalar(literal, kind)),
    (pa.types.is_boolean, (bool,), lambda _kind, literal, _one: pa.scalar(literal)),
    (_is_number, (int, float), _number),
    (pa.types.is_decimal, (int, float), lambda _kind, literal, _one: pa.scalar(literal)),
    (_is_moment, (str,), _moment),
]
