"""Prints the first rows of the file on stdin as JSON. Runs as a process of its own: data is parsed by big libraries, and may be hostile.

Standard library only, and pyarrow where the format needs it: `python -I preview_worker.py FORMAT`.
"""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
from typing import Any, BinaryIO

ROWS = 10
MAX_COLUMNS = 200
MAX_CELL = 200
HEAD_BYTES = 256 << 10
MEMORY_BYTES = 2 << 30
CPU_S = 10

Table = tuple[list[str], list[list[Any]]]


def main() -> None:
    """Read, print, end; a file that cannot be read ends it with an exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    columns, rows = READERS[sys.argv[1]](sys.stdin.buffer)
    count = min(len(columns), MAX_COLUMNS)
    shown = [[_cell(value) for value in row[:count]] for row in rows[:ROWS]]
    print(json.dumps({"columns": [_cell(name) or "" for name in columns[:count]], "rows": shown}))


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def read_csv(stream: BinaryIO) -> Table:
    """The first rows of a CSV file with a header; the delimiter is guessed among the usual ones."""
    text = _head(stream)
    lines = text.splitlines(keepends=True)
    delimiter = max(",;\t|", key=lines[0].count) if lines else ","
    rows = list(csv.reader(io.StringIO("".join(lines)), delimiter=delimiter))
    return (rows[0], rows[1 : ROWS + 1]) if rows else ([], [])


def read_json(stream: BinaryIO) -> Table:
    """The first objects of a JSON-lines file, or of a JSON list that is short enough."""
    text = _head(stream).strip()
    found = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()[:ROWS]]
    items = [item for item in found[:ROWS] if isinstance(item, dict)]
    columns = list(dict.fromkeys(key for item in items for key in item))
    return columns, [[_text(item.get(key)) for key in columns] for item in items]


def read_parquet(stream: BinaryIO) -> Table:
    """The first rows of a Parquet file."""
    from pyarrow import parquet  # optional, and only this worker loads it

    file = parquet.ParquetFile(stream)
    names = file.schema_arrow.names[:MAX_COLUMNS]
    return _batch(next(file.iter_batches(batch_size=ROWS, columns=names), None), names)


def read_arrow(stream: BinaryIO) -> Table:
    """The first rows of an Arrow IPC file."""
    from pyarrow import ipc  # optional, as above

    file = ipc.open_file(stream)
    return _batch(file.get_batch(0).slice(0, ROWS) if file.num_record_batches else None, file.schema.names)


def _batch(batch: Any, names: list[str]) -> Table:
    if batch is None:
        return names, []
    values = [column.to_pylist() for column in batch.columns]
    return batch.schema.names, [list(row) for row in zip(*values, strict=True)]


def _head(stream: BinaryIO) -> str:
    """The first bytes as text, cut at a line's end where the file goes on."""
    data = stream.read(HEAD_BYTES)
    if len(data) == HEAD_BYTES:
        data = data[: data.rfind(b"\n") + 1] or data
    return data.decode("utf-8-sig", "replace")


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


READERS = {"csv": read_csv, "json": read_json, "parquet": read_parquet, "arrow": read_arrow}

if __name__ == "__main__":
    main()
