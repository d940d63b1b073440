"""Parquet, CSV, JSON lines and Arrow from a seekable file, of this machine or of an object store, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv, ipc, json, parquet

from jupyter_guardrails.catalog.sources.groups import chunks_of, groups_that_may_pass
from jupyter_guardrails.catalog.sources.shape import MAX_ROWS, TARGET_BYTES, Names
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.policy.rowfilter import Filter

BLOCK_BYTES, BLOCK_BYTES_FAR = 1 << 20, 4 << 20
BUFFERS_BYTES = 32 << 20  # of all columns of a Parquet file together
LEAST_BUFFER, MOST_BUFFER = 4 << 10, 1 << 20
HELD_BYTES = 32 << 20
SAMPLED_CHUNKS, SAMPLED_GROUPS = 1000, 8  # by which it is told how much a row has
TYPES = {  # of a contract -> of Arrow, for formats that have none; the rest is inferred
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of files in one format. `keep` may be used to read less, on columns that are of the types in `alike` (None: any).

    `most_rows`: nobody looks at more than so many. `far`: each request takes a while, and one is made at a time.
    """

    form: str
    place: Mapping[str, Any]
    columns: Sequence[str] | None
    keep: Filter | None = None
    alike: pa.Schema | None = None
    far: bool = False
    most_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """One file: the columns that are read, and their rows, once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def open_file(file: Any, wanted: Wanted) -> Opened:
    """The table in a file of Arrow's or of Python's; Arrow's errors quote what it read, and are not for readers."""
    return READERS[wanted.form](file, wanted)


def _parquet(file: Any, wanted: Wanted) -> Opened:
    metadata = parquet.read_metadata(file)
    names = Names(wanted.place, metadata.schema.to_arrow_schema().names, wanted.columns)
    leaves = metadata.num_columns * max(1, len(names.theirs)) // max(1, len(names.there))
    width = min(max(BUFFERS_BYTES // max(leaves, 1), LEAST_BUFFER), MOST_BUFFER)
    opened = parquet.ParquetFile(file, metadata=metadata, buffer_size=width, pre_buffer=False)
    stored = opened.schema_arrow  # made anew each time
    schema = _named(pa.schema([stored.field(index) for index in names.indices]), names)
    return Opened(schema, _parquet_batches(file, opened, names, (schema, wanted)))


def _parquet_batches(file: Any, opened: parquet.ParquetFile, names: Names, of: tuple[pa.Schema, Wanted]) -> Iterator[pa.RecordBatch]:
    schema, wanted = of
    groups = groups_that_may_pass(opened.metadata, schema, names, keep=wanted.keep, alike=wanted.alike)
    rows = _rows_at_once(opened.metadata, groups, names, schema)
    rows = rows if wanted.most_rows is None else max(1, min(rows, wanted.most_rows))
    beside = not wanted.far and opened.metadata.num_rows > MAX_ROWS  # a small file is read before a thread has begun
    for together in ([group] for group in groups) if wanted.far else [groups]:
        if wanted.far:
            _hold(file, chunks_of(opened.metadata.row_group(together[0]), names.theirs))
        for batch in opened.iter_batches(batch_size=rows, row_groups=together, columns=names.theirs, use_threads=beside):
            position = {name: index for index, name in enumerate(batch.schema.names)}
            yield _chosen(batch, [position[name] for name in names.theirs], schema)


def _chosen(batch: pa.RecordBatch, indices: Sequence[int], schema: pa.Schema) -> pa.RecordBatch:
    """Columns of a batch under their names; without any it still has its rows, as where only folders' names are wanted."""
    if not indices:
        return batch.select([]).replace_schema_metadata(None)
    return pa.RecordBatch.from_arrays([batch.column(index) for index in indices], schema=schema)


def _hold(file: Any, chunks: Sequence[Any]) -> None:
    """Small chunks that lie together are fetched at once: 10,000 columns would be 10,000 requests."""
    if not chunks:
        return
    starts = [min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset))) for chunk in chunks]
    end = max(start + chunk.total_compressed_size for start, chunk in zip(starts, chunks, strict=True))
    read, span = sum(chunk.total_compressed_size for chunk in chunks), end - min(starts)
    if span <= HELD_BYTES and read * 2 >= span:
        file.hold(min(starts), span)


def _rows_at_once(metadata: Any, groups: Sequence[int], names: Names, schema: pa.Schema) -> int:
    """So many rows as make some 2 MiB: a file of 10,000 columns has 800 times as much in a row as one of twelve."""
    fixed = sum(field.type.bit_width // 8 if pa.types.is_primitive(field.type) else 16 for field in schema)
    widest = max(fixed, 1)
    for group in groups[: min(SAMPLED_GROUPS, max(1, SAMPLED_CHUNKS // max(metadata.num_columns, 1)))]:
        found = metadata.row_group(group)
        stored = sum(int(chunk.total_uncompressed_size) for chunk in chunks_of(found, names.theirs))
        widest = max(widest, stored // max(found.num_rows, 1))
    return max(1, min(MAX_ROWS, TARGET_BYTES // widest))


def _csv(file: Any, wanted: Wanted) -> Opened:
    columns = None if wanted.columns is None else [_theirs(wanted.place, name) for name in dict.fromkeys(wanted.columns)]
    reading = csv.ReadOptions(use_threads=not wanted.far, block_size=_block(wanted))
    parsing = csv.ParseOptions(delimiter=str(wanted.place.get("delimiter") or _delimiter(file)), newlines_in_values=True)
    converting = csv.ConvertOptions(column_types=_types(wanted.place), strings_can_be_null=True, include_columns=columns)
    try:
        opened = csv.open_csv(file, reading, parsing, converting)
    except pa.ArrowKeyError:
        message = f"the data has none of the columns {', '.join(list(wanted.columns or ())[:5])}, or not all of them"
        raise Conflict(message, next_step="tell the dataset's owner: one was renamed, or the contract names it wrongly") from None
    return _selected(opened.schema, opened, wanted)


def _delimiter(file: Any) -> str:
    """The most frequent of the usual ones in the first line."""
    line = bytes(file.read(1 << 16)).partition(b"\n")[0]
    file.seek(0)
    return max(",;\t|", key=lambda one: line.count(one.encode()))


def _json(file: Any, wanted: Wanted) -> Opened:
    types = _types(wanted.place)
    explicit = pa.schema(list(types.items())) if types else None
    parsing = json.ParseOptions(explicit_schema=explicit, newlines_in_values=False)
    opened = json.open_json(file, json.ReadOptions(use_threads=not wanted.far, block_size=_block(wanted)), parsing)
    return _selected(opened.schema, opened, wanted)


def _arrow(file: Any, wanted: Wanted) -> Opened:
    """The file format (Feather) or the stream format, whichever it is."""
    whole = bytes(file.read(6)) == b"ARROW1"
    file.seek(0)
    if not whole:
        stream = ipc.open_stream(file)
        return _selected(stream.schema, stream, wanted)
    opened = ipc.open_file(file)
    names = Names(wanted.place, opened.schema.names, wanted.columns)
    if wanted.columns is not None:  # what is not asked for is not read
        opened = ipc.open_file(file, options=ipc.IpcReadOptions(included_fields=names.indices, use_threads=False))
    return _selected(opened.schema, (opened.get_batch(index) for index in range(opened.num_record_batches)), wanted)


def _selected(schema: pa.Schema, batches: Any, wanted: Wanted) -> Opened:
    names = Names(wanted.place, schema.names, wanted.columns)
    chosen = _named(pa.schema([schema.field(index) for index in names.indices]), names)
    return Opened(chosen, (_chosen(batch, names.indices, chosen) for batch in batches))


def _named(schema: pa.Schema, names: Names) -> pa.Schema:
    """Under the contract's names, without the metadata that pandas leaves: it names columns that nobody asked for."""
    return pa.schema([pa.field(name, field.type, field.nullable) for name, field in zip(names.ours, schema, strict=True)])


def _theirs(place: Mapping[str, Any], name: str) -> str:
    return str(place.get("physical", {}).get(name, name))


def _types(place: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """The contract's types of columns, so that a postcode stays a text."""
    return {_theirs(place, name): TYPES[kind] for name, kind in (place.get("types") or {}).items() if kind in TYPES}


def _block(wanted: Wanted) -> int:
    return BLOCK_BYTES_FAR if wanted.far else BLOCK_BYTES


READERS: dict[str, Callable[[Any, Wanted], Opened]] = {"parquet": _parquet, "csv": _csv, "json": _json, "arrow": _arrow}
