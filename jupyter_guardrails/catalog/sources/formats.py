"""Formats of table files, each read from a descriptor piece by piece: Parquet by pages, CSV and JSON lines by blocks, Arrow by record batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from jupyter_guardrails.catalog.sources import MAX_BATCH_ROWS
from jupyter_guardrails.catalog.spelling import alike, listed
from jupyter_guardrails.errors import BadRequest, Conflict
from jupyter_guardrails.policy.wording import visible

BATCH_BYTES = 4 << 20
BUFFERS_BYTES = 32 << 20  # of all columns together
BLOCK_BYTES = 1 << 20
# ODCS logical types, for formats that carry none; what is not here is found out from the first block
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


class Table:
    """An open file: `schema`, and `batches()` once."""

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]], name: str) -> None:
        self.schema = schema
        self.file: Any = None  # what to close in the end
        self._batches = batches
        self._name = name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its rows; errors of the format as a sentence without values."""
        rows = iter(self._batches())
        while True:
            try:
                batch = next(rows)
            except StopIteration:
                return
            except (pa.ArrowException, OSError, UnicodeError, MemoryError) as error:
                raise unreadable(error, self._name) from None  # its text quotes values
            yield batch

    def close(self) -> None:
        """Let go of the file."""
        self._batches = lambda: iter(())
        if self.file is not None:
            self.file.close()


def open_format(form: str, fd: int, *, columns: Sequence[str] | None, place: Mapping[str, Any], name: str) -> Table:
    """The table in a file of one of FORMATS; BadRequest or Conflict, without values, when it isn't one."""
    source = pa.OSFile(f"/proc/self/fd/{fd}", "rb")
    try:
        table = FORMATS[form](source, columns, place, name)
    except BaseException as error:
        source.close()
        if isinstance(error, (pa.ArrowException, OSError, UnicodeError, MemoryError, KeyError)):
            raise unreadable(error, name) from None  # its text quotes values
        raise
    table.file = source
    return table


def unreadable(error: BaseException, name: str) -> Conflict:
    """A sentence for an error of Arrow's. What Arrow itself says names values, which may be behind a mask."""
    what = visible(name) or "the file"
    if isinstance(error, MemoryError):
        message = f"a part of {what} is larger than the broker's memory: a value, a page or a record batch in it"
        return Conflict(message, next_step="ask for fewer columns, or ask its owner to write it in smaller parts")
    hint = "its owner, who finds the reason with pyarrow"
    return Conflict(
        f"{what} cannot be read ({type(error).__name__}): it is damaged, changed, or not of its declared format", next_step=f"tell {hint}"
    )


def _present(names: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """The wanted ones of a file's columns, in the file's order; BadRequest for one that it lacks."""
    if columns is None:
        return list(names)
    known, wanted = set(names), set(columns)
    missing = [column for column in columns if column not in known]
    if missing:
        raise BadRequest(f"there is no column {missing[0]!r}{alike(missing[0], names)}", next_step=f"there are {listed(names)}")
    return [name for name in names if name in wanted]


def _parquet(source: Any, columns: Sequence[str] | None, place: Mapping[str, Any], name: str) -> Table:
    plain = pq.ParquetFile(source, pre_buffer=False)
    meta, schema = plain.metadata, plain.schema_arrow
    wanted = _present(schema.names, columns)
    leaves = max(1, meta.num_columns * max(1, len(wanted)) // max(1, len(schema.names)))
    buffer_bytes = max(4096, min(1 << 20, BUFFERS_BYTES // leaves))
    file = pq.ParquetFile(source, pre_buffer=False, buffer_size=buffer_bytes, metadata=meta)
    rows = _batch_rows(meta, leaves)
    given = None if columns is None else wanted
    kept = schema if columns is None else pa.schema([schema.field(schema.get_field_index(one)) for one in wanted])
    return Table(kept, lambda: (batch.select(wanted) for batch in file.iter_batches(batch_size=rows, columns=given)), name)


def _batch_rows(meta: Any, leaves: int) -> int:
    """So many that a batch is about BATCH_BYTES: by the file's own sizes, and eight bytes a value at the least."""
    total = sum(meta.row_group(number).total_byte_size for number in range(min(meta.num_row_groups, 8)))
    counted = sum(meta.row_group(number).num_rows for number in range(min(meta.num_row_groups, 8)))
    wide = total / max(1, counted) * leaves / max(1, meta.num_columns)
    return max(64, min(MAX_BATCH_ROWS, int(BATCH_BYTES / max(wide, 8 * leaves, 1))))


def _csv(source: Any, columns: Sequence[str] | None, place: Mapping[str, Any], name: str) -> Table:
    read = pa.csv.ReadOptions(block_size=BLOCK_BYTES)
    parse = pa.csv.ParseOptions(delimiter=str(place.get("delimiter") or _delimiter(source)), newlines_in_values=True)
    convert = pa.csv.ConvertOptions(column_types=_declared(place), strings_can_be_null=True, include_columns=list(columns) if columns else None)
    try:
        reader = pa.csv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert)
    except pa.ArrowKeyError:
        raise BadRequest(f"one of the columns {', '.join(columns or ())} is not in the data", next_step="look at its schema in the panel") from None
    wanted = _present(reader.schema.names, columns)
    return Table(pa.schema([reader.schema.field(one) for one in wanted]), lambda: (batch.select(wanted) for batch in reader), name)


def _delimiter(source: Any) -> str:
    """The most frequent of the usual ones in the first line."""
    line = source.read(1 << 16).partition(b"\n")[0]
    source.seek(0)
    return max(",;\t|", key=lambda one: line.count(one.encode()))


def _json(source: Any, columns: Sequence[str] | None, place: Mapping[str, Any], name: str) -> Table:
    declared = _declared(place)
    explicit = pa.schema(list(declared.items())) if declared else None
    parse = pa.json.ParseOptions(explicit_schema=explicit, unexpected_field_behavior="infer", newlines_in_values=False)
    reader = pa.json.open_json(source, read_options=pa.json.ReadOptions(block_size=BLOCK_BYTES), parse_options=parse)
    wanted = _present(reader.schema.names, columns)
    return Table(pa.schema([reader.schema.field(one) for one in wanted]), lambda: (batch.select(wanted) for batch in reader), name)


def _arrow(source: Any, columns: Sequence[str] | None, place: Mapping[str, Any], name: str) -> Table:
    try:
        schema = pa.ipc.open_file(source).schema
    except pa.ArrowInvalid:
        return _arrow_stream(source, columns, name)
    wanted = _present(schema.names, columns)
    options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(one) for one in wanted], use_threads=False)
    file = pa.ipc.open_file(source, options=options)
    kept = pa.schema([schema.field(one) for one in wanted])
    return Table(kept, lambda: (file.get_batch(number).select(wanted) for number in range(file.num_record_batches)), name)


def _arrow_stream(source: Any, columns: Sequence[str] | None, name: str) -> Table:
    source.seek(0)
    reader = pa.ipc.open_stream(source)
    wanted = _present(reader.schema.names, columns)
    return Table(pa.schema([reader.schema.field(one) for one in wanted]), lambda: (batch.select(wanted) for batch in reader), name)


def _declared(place: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """The contract's types of columns, so that a postcode stays a text."""
    return {name: TYPES[kind] for name, kind in dict(place.get("types") or {}).items() if kind in TYPES}


FORMATS: dict[str, Callable[[Any, Sequence[str] | None, Mapping[str, Any], str], Table]] = {
    "parquet": _parquet,
    "csv": _csv,
    "json": _json,
    "arrow": _arrow,
}
