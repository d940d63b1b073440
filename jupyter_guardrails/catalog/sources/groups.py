"""Which row groups of a Parquet file can hold rows that the policy's filter keeps, by the statistics in its footer.

Never asked for a reader's filter: how long a read takes would tell of masked values. A group is left out only where no row of it can pass;
what is not known for certain is read, since the filter is applied to every row in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog import rows
from jupyter_guardrails.catalog.filters import columns_of
from jupyter_guardrails.catalog.sources.shape import Names
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.policy.rowfilter import Comparison, Filter

Bounds = dict[str, tuple[pa.DataType, Any]]  # column -> its type and its statistics in one group
# floats have NaN, which stands in no statistics, and unsigned numbers were written as signed ones
ORDERED: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_signed_integer,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date32,
    pa.types.is_timestamp,
)


def groups_that_may_pass(metadata: Any, schema: pa.Schema, names: Names, *, keep: Filter | None, alike: pa.Schema | None) -> list[int]:
    """Their numbers; all of them without a filter. Columns of other types than in `alike` are converted before they are compared: not used."""
    everything = list(range(metadata.num_row_groups))
    if keep is None:
        return everything
    theirs = dict(zip(names.ours, names.theirs, strict=True))
    used = {name: theirs[name] for name in columns_of(keep) if name in theirs and _is_used(schema.field(name).type, alike, name)}
    places = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)} if used else {}
    columns = {name: (schema.field(name).type, places[path]) for name, path in used.items() if path in places}
    if not columns:
        return everything
    return [group for group in everything if _may_pass(keep, _bounds(metadata.row_group(group), columns))]


def chunks_of(group: Any, theirs: Iterable[str]) -> list[Any]:
    """The column chunks of a row group that are read, those of nested columns too."""
    wanted = set(theirs)
    chunks = [group.column(index) for index in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.path_in_schema in wanted or chunk.path_in_schema.partition(".")[0] in wanted]


def _is_used(kind: pa.DataType, alike: pa.Schema | None, name: str) -> bool:
    same = alike is None or (name in alike.names and alike.field(name).type == kind)
    return same and any(is_kind(kind) for is_kind in ORDERED)


def _bounds(group: Any, columns: dict[str, tuple[pa.DataType, int]]) -> Bounds:
    return {name: (kind, group.column(index).statistics) for name, (kind, index) in columns.items()}


def _may_pass(tree: Filter, bounds: Bounds) -> bool:
    if isinstance(tree, Comparison):
        return tree.column not in bounds or _may_match(tree, *bounds[tree.column])
    both = all if tree.word == "and" else any
    return both(_may_pass(term, bounds) for term in tree.terms)


def _may_match(one: Comparison, kind: pa.DataType, statistics: Any) -> bool:
    if statistics is None:
        return True
    if statistics.has_null_count and not statistics.num_values:
        return False  # nulls never pass
    if not statistics.has_min_max:
        return True
    try:
        ends = pa.RecordBatch.from_arrays([pa.array([statistics.min, statistics.max], kind)], names=[one.column])
        return _matches_between(one, ends)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, GuardrailsError):
        return True  # what can't be compared, the filter itself says


def _matches_between(one: Comparison, ends: pa.RecordBatch) -> bool:
    """Whether a value from the first to the second one can be meant."""
    if one.operator == "in":
        literals = one.literal if isinstance(one.literal, tuple) else (one.literal,)
        return any(_matches_between(replace(one, operator="=", literal=literal), ends) for literal in literals)
    if one.operator == "=":
        return _holds(replace(one, operator="<="), ends, 0) and _holds(replace(one, operator=">="), ends, 1)
    if one.operator == "!=":
        return _holds(one, ends, 0) or _holds(one, ends, 1)
    return _holds(one, ends, 0 if one.operator in ("<", "<=") else 1)


def _holds(one: Comparison, ends: pa.RecordBatch, which: int) -> bool:
    return bool(rows.passing(ends.slice(which, 1), one).num_rows)
