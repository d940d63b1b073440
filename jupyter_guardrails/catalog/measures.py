"""What one quality rule counts, batch by batch, in the broker's worker. Values stay in here: out come numbers, and words that quote none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from jupyter_guardrails.catalog.masks import canonical, is_text, plain
from jupyter_guardrails.catalog.quality import QualityRule
from jupyter_guardrails.catalog.spill import DIGEST_BYTES, Distinct, Spill

DEFAULT_MISSING = (None, "")


class NotMeasurable(Exception):
    """Why a rule can't be measured on this data, in words that quote none of it."""


class Measure(Protocol):
    """What one rule counts."""

    def see(self, batch: pa.RecordBatch) -> int:
        """Count in a batch; how many values or rows it had to look at."""

    def count(self) -> int:
        """What was counted in all."""


def paths_of(rule: QualityRule) -> list[str]:
    return [rule.column] if rule.column else list(rule.arguments.get("properties", ()))


def top_of(path: str, schema: pa.Schema) -> str:
    """The column that holds a path, empty when there is none."""
    name = path if path in schema.names else path.split(".")[0].split("[]")[0]
    return name if name in schema.names else ""


def values_at(batch: pa.RecordBatch, path: str) -> pa.Array:
    """A column, a field in one (`outer.inner`), or the items of its lists (`outer[]`)."""
    name = top_of(path, batch.schema)
    array = plain(batch.column(name))
    for step in _steps(path.removeprefix(name)):
        if step == "[]" and (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            array = plain(pc.list_flatten(array))
        elif pa.types.is_struct(array.type) and (place := array.type.get_field_index(step)) >= 0:
            array = plain(array.flatten()[place])
        else:
            raise NotMeasurable(f"the data has no column {path}")
    return array


def _steps(rest: str) -> Iterator[str]:
    for part in rest.replace("[]", ".[]").split("."):
        if part:
            yield part


def measure_of(rule: QualityRule, kinds: Sequence[pa.DataType], spill: Spill) -> Measure:
    match rule.metric:
        case "rowCount":
            return Rows()
        case "duplicateValues":
            return Duplicates(paths_of(rule), Distinct(spill))
        case "nullValues":
            return Matching(rule.column, lambda array: int(array.null_count))
        case "missingValues":
            return Matching(rule.column, _missing(rule, kinds[0]))
    return Matching(rule.column, _invalid(rule, kinds[0]))


class Rows:
    """Counts rows."""

    def __init__(self) -> None:
        self._count = 0

    def see(self, batch: pa.RecordBatch) -> int:
        """Called with each batch."""
        self._count += int(batch.num_rows)
        return int(batch.num_rows)

    def count(self) -> int:
        """All of them."""
        return self._count


class Matching:
    """Counts values of a column by a function of an array."""

    def __init__(self, path: str, counted: Callable[[pa.Array], int]) -> None:
        self._path = path
        self._counted = counted
        self._count = 0

    def see(self, batch: pa.RecordBatch) -> int:
        """Called with each batch."""
        array = values_at(batch, self._path)
        self._count += self._counted(array)
        return len(array)

    def count(self) -> int:
        """What the function counted."""
        return self._count


class Duplicates:
    """Counts values, or rows of values, that occurred before."""

    def __init__(self, paths: Sequence[str], distinct: Distinct) -> None:
        self._paths = paths
        self._distinct = distinct
        self._values = 0
        self._key = os.urandom(32)

    def see(self, batch: pa.RecordBatch) -> int:
        """Called with each batch."""
        arrays = [values_at(batch, path) for path in self._paths]
        count, found = _different(arrays)
        self._values += count
        self._distinct.add({self._digest(values) for values in found})
        return len(arrays[0])

    def count(self) -> int:
        """Values, less different values."""
        return self._values - self._distinct.count()

    def _digest(self, values: tuple[Any, ...]) -> bytes:
        made = hashlib.blake2b(key=self._key, digest_size=DIGEST_BYTES)
        for value in values:
            data = b"" if value is None else canonical(value)
            made.update((b"0" if value is None else b"1") + len(data).to_bytes(8, "big") + data)
        return made.digest()


def _different(arrays: Sequence[pa.Array]) -> tuple[int, Iterator[tuple[Any, ...]]]:
    """How many rows have a value, and their values; of one column each only once, where Arrow can tell."""
    if len(arrays) > 1:
        rows = [row for row in zip(*(array.to_pylist() for array in arrays), strict=True) if any(value is not None for value in row)]
        return len(rows), iter(rows)
    (array,) = arrays
    present = array.drop_null()
    try:
        unique = pc.unique(present)
    except pa.ArrowNotImplementedError:  # nested values
        unique = present
    return len(present), ((value,) for value in unique.to_pylist())


def _missing(rule: QualityRule, kind: pa.DataType) -> Callable[[pa.Array], int]:
    listed = rule.arguments.get("missingValues", DEFAULT_MISSING)
    values = _typed([value for value in listed if value is not None], kind)
    nulls = None in listed

    def counted(array: pa.Array) -> int:
        found = _true(pc.is_in(array, value_set=values, skip_nulls=True)) if len(values) else 0
        return found + (array.null_count if nulls else 0)

    return counted


def _invalid(rule: QualityRule, kind: pa.DataType) -> Callable[[pa.Array], int]:
    checks: list[Callable[[pa.Array], pa.Array]] = []
    if "validValues" in rule.arguments:
        values = _typed(rule.arguments["validValues"], kind)
        if not len(values):
            raise NotMeasurable(f"none of its valid values is of the column's type, {kind}")
        checks.append(lambda array: pc.is_in(array, value_set=values, skip_nulls=True))
    if "pattern" in rule.arguments:
        checks.append(_matcher(rule.arguments["pattern"], kind))

    def counted(array: pa.Array) -> int:
        present = array.drop_null()
        valid = checks[0](present)
        for check in checks[1:]:
            valid = pc.and_(valid, check(present))
        return len(present) - _true(valid)

    return counted


def _matcher(pattern: str, kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    whole = rf"\A(?:{pattern})\z"

    def matches(array: pa.Array) -> pa.Array:
        return pc.match_substring_regex(array if is_text(kind) else array.cast(pa.string()), whole)

    try:
        matches(pa.nulls(0, kind))
        pc.match_substring_regex(pa.array([""]), whole)  # without a value nobody looks at the pattern
    except pa.ArrowException:
        raise NotMeasurable(f"the pattern can't be used on {kind}, or has something in it that is not known here") from None
    return matches


def _typed(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Those of the contract's values that the column can hold."""
    found = []
    for value in values:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            found.append(pa.scalar(text).cast(kind))
        except pa.ArrowException:  # a text that is no number: no value of such a column equals it
            continue
    return pa.array([scalar.as_py() for scalar in found], kind)


def _true(array: pa.Array) -> int:
    return int(pc.sum(pc.fill_null(array, False).cast(pa.int64())).as_py() or 0)
