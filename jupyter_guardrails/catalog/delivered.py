"""The columns of what is delivered, after masks: names and the types of a contract, from Arrow's. Never a value."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

KINDS: tuple[tuple[str, tuple[Callable[[pa.DataType], bool], ...]], ...] = (
    ("integer", (types.is_integer,)),
    ("number", (types.is_floating, types.is_decimal)),
    ("boolean", (types.is_boolean,)),
    ("date", (types.is_date,)),
    ("time", (types.is_time,)),
    ("timestamp", (types.is_timestamp,)),
    ("array", (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)),
    ("object", (types.is_struct, types.is_map, types.is_union)),
)


def columns_of(schema: pa.Schema) -> list[tuple[str, str]]:
    """Name and type of each column, as a file of them would be told (package/tables)."""
    return [(field.name, _kind(field.type)) for field in schema]


def _kind(kind: pa.DataType) -> str:
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return next((name for name, tests in KINDS if any(test(inner) for test in tests)), "string")
