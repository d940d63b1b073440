"""Parquet, CSV, JSON lines and Arrow from a seekable binary file, a bounded piece at a time. Memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import csv, ipc, json, parquet

from jupyter_guardrails.catalog.sources.shape import MAX_ROWS, TARGET_BYTES, Names

BLOCK_BYTES = 4 << 20
BUFFERS_BYTES = 64 << 20  # of all columns of a Parquet file together
HELD_BYTES = 32 << 20
LEAST_BUFFER, MOST_BUFFER = 16 << 10, 4 << 20
TYPES = {  # of a contract -> of Arrow, for formats that have none; the rest is inferred
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """One file: the columns that are read, and their rows, once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def open_file(file: BinaryIO, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    """The file in the format of its place; Arrow's errors quote what it read, and are not for readers."""
    return READERS[place["format"]](file, place, columns)


def _parquet(file: BinaryIO, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    metadata = parquet.read_metadata(file)
    width = min(max(BUFFERS_BYTES // max(metadata.num_columns, 1), LEAST_BUFFER), MOST_BUFFER)
    opened = parquet.ParquetFile(file, metadata=metadata, buffer_size=width, pre_buffer=False)
    stored = opened.schema_arrow  # made anew each time
    names = Names(place, stored.names, columns)
    schema = _named(pa.schema([stored.field(index) for index in names.indices]), names)
    return Opened(schema, _parquet_batches(file, opened, names, schema))


def _parquet_batches(file: Any, opened: parquet.ParquetFile, names: Names, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for group in range(opened.num_row_groups):
        chunks = _chunks(opened.metadata.row_group(group), set(names.theirs))
        _hold(file, chunks)
        rows = _rows_at_once(chunks, opened.metadata.row_group(group).num_rows, schema)
        for batch in opened.iter_batches(batch_size=rows, row_groups=[group], columns=names.theirs, use_threads=False):
            position = {name: index for index, name in enumerate(batch.schema.names)}
            yield pa.RecordBatch.from_arrays([batch.column(position[name]) for name in names.theirs], schema=schema)


def _chunks(group: Any, wanted: set[str]) -> list[Any]:
    """The column chunks of a row group that are read, those of nested columns too."""
    chunks = [group.column(index) for index in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.path_in_schema in wanted or chunk.path_in_schema.partition(".")[0] in wanted]


def _hold(file: Any, chunks: Sequence[Any]) -> None:
    """Small chunks that lie together are fetched at once: 10,000 columns would be 10,000 requests."""
    if not chunks or not hasattr(file, "hold"):
        return
    starts = [min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset))) for chunk in chunks]
    end = max(start + chunk.total_compressed_size for start, chunk in zip(starts, chunks, strict=True))
    read, span = sum(chunk.total_compressed_size for chunk in chunks), end - min(starts)
    if span <= HELD_BYTES and read * 2 >= span:
        file.hold(min(starts), span)


def _rows_at_once(chunks: Sequence[Any], rows: int, schema: pa.Schema) -> int:
    """So many rows as make some 4 MiB: a file of 10,000 columns has 800 times as much in a row as one of twelve."""
    stored = sum(int(chunk.total_uncompressed_size) for chunk in chunks) // max(rows, 1)
    fixed = sum(field.type.bit_width // 8 if pa.types.is_primitive(field.type) else 16 for field in schema)
    return max(1, min(MAX_ROWS, TARGET_BYTES // max(stored, fixed, 1)))


def _csv(file: BinaryIO, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    parsing = csv.ParseOptions(delimiter=place.get("delimiter") or ",", newlines_in_values=True)
    converting = csv.ConvertOptions(column_types=_types(place), strings_can_be_null=True)
    opened = csv.open_csv(file, csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES), parsing, converting)
    return _selected(opened.schema, opened, place, columns)


def _json(file: BinaryIO, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    types = _types(place)
    explicit = pa.schema(list(types.items())) if types else None
    parsing = json.ParseOptions(explicit_schema=explicit, newlines_in_values=False)
    opened = json.open_json(file, json.ReadOptions(use_threads=False, block_size=BLOCK_BYTES), parsing)
    return _selected(opened.schema, opened, place, columns)


def _arrow(file: BinaryIO, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    """The file format (Feather) or the stream format, whichever it is."""
    whole = file.read(6) == b"ARROW1"
    file.seek(0)
    if not whole:
        stream = ipc.open_stream(file)
        return _selected(stream.schema, stream, place, columns)
    opened = ipc.open_file(file)
    return _selected(opened.schema, (opened.get_batch(index) for index in range(opened.num_record_batches)), place, columns)


def _selected(schema: pa.Schema, batches: Any, place: Mapping[str, Any], columns: Sequence[str] | None) -> Opened:
    names = Names(place, schema.names, columns)
    chosen = _named(pa.schema([schema.field(index) for index in names.indices]), names)
    return Opened(chosen, (pa.RecordBatch.from_arrays([batch.column(i) for i in names.indices], schema=chosen) for batch in batches))


def _named(schema: pa.Schema, names: Names) -> pa.Schema:
    """Under the contract's names, without the metadata that pandas leaves: it names columns that nobody asked for."""
    return pa.schema([pa.field(name, field.type, field.nullable) for name, field in zip(names.ours, schema, strict=True)])


def _types(place: Mapping[str, Any]) -> dict[str, pa.DataType]:
    physical = place.get("physical", {})
    return {physical.get(name, name): TYPES[kind] for name, kind in place.get("types", {}).items() if kind in TYPES}


Reader = Callable[[BinaryIO, Mapping[str, Any], Sequence[str] | None], Opened]
READERS: dict[str, Reader] = {"parquet": _parquet, "csv": _csv, "json": _json, "arrow": _arrow}
