"""Masks on Arrow columns, in the broker's worker. What each gives, whatever the column's type:

blank     nulls of the same type
constant  one value for every row, nulls included: '***', 0, false, 1970-01-01; other types as blank
hash      text, 32 hexadecimal digits of AES-CMAC: equal values are equal everywhere, so that joins work; nulls stay null
partial   texts: first letter, *** and what follows an @ ('***' where there are fewer than four letters); numbers: one significant digit;
          dates and times: the first of their year; other types as blank; nulls stay null

Nested columns are named `outer.inner`, items of a list `outer[]`; a mask on an outer column covers all in it.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import floor, isfinite, log10
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from jupyter_guardrails.catalog.digests import Digests

HIDDEN = "***"
KEY_BYTES = 16
VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
LISTS = (pa.types.is_list, pa.types.is_list_view, pa.types.is_fixed_size_list, pa.types.is_large_list, pa.types.is_large_list_view)
EDGES = re.compile(r"\.|\[\]|$")  # of what is around a nested column, and of itself
EPOCH = datetime.date(1970, 1, 1)


class Masker:
    """Masks by path of column, with the policy's secret salt."""

    def __init__(self, masks: Mapping[str, str], salt: bytes) -> None:
        self._masks = masks
        self._salt = salt
        self._touched = {path[: edge.start()] for path in masks for edge in EDGES.finditer(path)}

    def touches(self, name: str) -> bool:
        """Whether a top-level column or anything in it is masked."""
        return name in self._touched

    def column(self, name: str, array: pa.Array) -> pa.Array:
        """A top-level column with every mask on it or in it applied, without dictionaries."""
        return self._masked(name, plain(array))

    def _masked(self, path: str, array: pa.Array) -> pa.Array:
        kind = self._masks.get(path)
        if kind is not None:
            return KINDS[kind](array, self._salt)
        if not self.touches(path):
            return array
        if pa.types.is_struct(array.type):
            return self._struct(path, array)
        return self._list(path, array)

    def _struct(self, path: str, array: pa.Array) -> pa.Array:
        inner = [self._masked(f"{path}.{field.name}", plain(part)) for field, part in zip(array.type, array.flatten(), strict=True)]
        names = [field.name for field in array.type]
        return pa.StructArray.from_arrays(inner, names, mask=array.is_null())

    def _list(self, path: str, array: pa.Array) -> pa.Array:
        if pa.types.is_fixed_size_list(array.type):
            array = array.cast(pa.list_(array.type.value_type))
        large = pa.types.is_large_list(array.type)
        lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)]).cast(pa.int64() if large else pa.int32())
        items = self._masked(f"{path}[]", plain(pc.list_flatten(array)))
        return (pa.LargeListArray if large else pa.ListArray).from_arrays(offsets, items, mask=array.is_null())


def plain(array: pa.Array) -> pa.Array:
    """Without dictionaries, which would carry values of rows that are not there, without extension types and views."""
    if isinstance(array, pa.ExtensionArray):
        return plain(array.storage)
    if pa.types.is_dictionary(array.type):
        return plain(array.dictionary_decode())
    kind = _plain_type(array.type)
    return array if kind == array.type else array.cast(kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that `plain` gives for one."""
    if isinstance(kind, pa.ExtensionType):
        return _plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _plain_type(field.type), field.nullable) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    return _plain_list(kind) if any(is_kind(kind) for is_kind in LISTS) else VIEWS.get(kind, kind)


def _plain_list(kind: pa.DataType) -> pa.DataType:
    """A list of fixed size whose items are plain stays one."""
    inner = _plain_type(kind.value_type)
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(inner)
    return kind if inner == kind.value_type and not pa.types.is_list_view(kind) else pa.list_(inner)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, however they are stored."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def blank(array: pa.Array, _salt: bytes) -> pa.Array:
    """Nulls of the same type."""
    return pa.nulls(len(array), array.type)


def constant(array: pa.Array, salt: bytes) -> pa.Array:
    """The same value in every row."""
    value = next((value for is_kind, value in CONSTANTS if is_kind(array.type)), None)
    return (
        blank(array, salt)
        if value is None
        else pa.repeat(pa.scalar(value, array.type if isinstance(value, Decimal) else None).cast(array.type), len(array))
    )


def hashed(array: pa.Array, salt: bytes) -> pa.Array:
    """Keyed digests as text."""
    digests = _digests(salt)
    if is_text(array.type):
        return digests.hexadecimal(array)
    if pa.types.is_integer(array.type):
        return digests.hexadecimal(array.cast(pa.string()))
    return _by_value(array, lambda values: digests.hexadecimal(_texts(values)))


@functools.cache
def _digests(salt: bytes) -> Digests:
    from jupyter_guardrails.catalog.digests import Digests  # 5 ms, and the first rows of a small stream take 2

    return Digests(hashlib.blake2b(salt, digest_size=KEY_BYTES).digest())


def _texts(values: Iterable[Any]) -> pa.Array:
    """Bytes as texts, whatever they spell."""
    return pa.array([None if value is None else canonical(value) for value in values], pa.large_binary()).view(pa.large_string())


def partial(array: pa.Array, salt: bytes) -> pa.Array:
    """A coarser value of the same type."""
    if pa.types.is_timestamp(array.type):
        return pc.floor_temporal(array, unit="year")
    coarser = next((function for is_kind, function in COARSER if is_kind(array.type)), None)
    return blank(array, salt) if coarser is None else _each(array, coarser, array.type)


def _each(array: pa.Array, function: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """A function over the distinct values, nulls left alone."""
    return _by_value(array, lambda values: pa.array([None if value is None else function(value) for value in values], kind))


def _by_value(array: pa.Array, made: Callable[[list[Any]], pa.Array]) -> pa.Array:
    """An array made of the distinct values, for every row."""
    try:
        encoded = pc.dictionary_encode(array)
    except pa.ArrowNotImplementedError:  # nested types have no dictionary
        return made(array.to_pylist())
    return pc.take(made(encoded.dictionary.to_pylist()), encoded.indices)


def canonical(value: Any) -> bytes:
    """The same bytes for the same value in any file format: 5, 5.0 and '5' are one."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bool():
            return b"true" if value else b"false"
        case float() if value.is_integer():
            return str(int(value)).encode()
        case Decimal() if value.is_finite():
            return format(value.normalize(), "f").encode()
        case datetime.date() | datetime.time():
            return value.isoformat().encode()
        case dict() | list():
            return json.dumps(value, sort_keys=True, default=str).encode()
    return str(value).encode()


def _shortened(text: str) -> str:
    name, at, host = text.partition("@")
    return (name[:1] + HIDDEN if len(name) > 3 else HIDDEN) + at + host


def _one_digit(value: Any) -> Any:
    """Rounded towards zero, so that it fits the type of what it was."""
    if not value or not isfinite(value):
        return value
    if isinstance(value, int):
        power = 10 ** (len(str(abs(value))) - 1)
        return (abs(value) // power * power) * (1 if value > 0 else -1)
    if isinstance(value, Decimal):
        step = Decimal(1).scaleb(value.adjusted())
        return (value / step).to_integral_value("ROUND_DOWN") * step
    power_of_ten = 10.0 ** floor(log10(abs(value)))
    return int(value / power_of_ten) * power_of_ten


def _first_of_year(value: Any) -> Any:
    return value.replace(month=1, day=1)


KINDS: dict[str, Callable[[pa.Array, bytes], pa.Array]] = {"blank": blank, "constant": constant, "hash": hashed, "partial": partial}
CONSTANTS: list[tuple[Callable[[pa.DataType], bool], Any]] = [
    (is_text, HIDDEN),
    (pa.types.is_boolean, False),
    (lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind), 0),
    (pa.types.is_decimal, Decimal(0)),
    (lambda kind: pa.types.is_date(kind) or pa.types.is_timestamp(kind), EPOCH),
]
COARSER: list[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]]] = [
    (is_text, _shortened),
    (lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind), _one_digit),
    (pa.types.is_date, _first_of_year),
]
