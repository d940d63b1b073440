"""A scan written out, in the broker's worker: Arrow IPC or CSV into a reader's pipe, Parquet into a view's file, first rows as texts.

An Arrow stream ends with its end mark only when all of it was written; how it ended, control says to the reader besides.
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from jupyter_guardrails.catalog import delivered
from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.catalog.scan import Scan
from jupyter_guardrails.errors import Conflict, GuardrailsError, WorkspaceFull

PREVIEW_ROWS, PREVIEW_COLUMNS, PREVIEW_CELL = 10, 200, 200
VIEW_GROUP_ROWS = 1 << 17
PIPE_BYTES = 1 << 20


class ReaderGone(GuardrailsError):
    """Nobody reads any more: nothing is left to be said to anybody."""


class Sink(io.RawIOBase):
    """A descriptor to write to: a pipe whose reader may be slow for `stall_s` at a time, or a file of `most_bytes` at most.

    Nothing more is written from when `cut` says why.
    """

    def __init__(self, fd: int, *, stall_s: float, most_bytes: int | None = None, cut: Cut | None = None) -> None:
        self._fd = fd
        self._cut = cut
        self._stall_s = stall_s
        self._most_bytes = most_bytes
        self.failure: GuardrailsError | None = None
        self.written_bytes = 0
        os.set_blocking(fd, False)

    def writable(self) -> bool:
        """Called by Arrow."""
        return True

    def write(self, data: Any) -> int:
        """All of it, or an OSError whose sentence is in `failure`."""
        view = memoryview(data).cast("B")
        self._check_size(len(view))
        self._all(view)
        self.written_bytes += len(view)
        return len(view)

    def _all(self, rest: memoryview) -> None:
        while rest:
            rest = rest[self._some(rest) :]

    def check(self) -> None:
        """ReaderGone where nobody would read what is being made; what cut it, where that happened."""
        if self._cut is not None and self._cut.reason is not None:
            raise self._cut.reason
        poll = select.poll()
        poll.register(self._fd, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise ReaderGone("the reader has gone")

    def _go_on(self) -> None:
        if self._cut is not None and self._cut.reason is not None:
            raise self._failed(OSError(errno.ECANCELED, "cut"), self._cut.reason)

    def _some(self, rest: memoryview) -> int:
        self._go_on()
        try:
            return os.write(self._fd, rest)
        except BlockingIOError:
            self._wait(self._fd, select.POLLOUT)
            return 0
        except BrokenPipeError as error:
            raise self._failed(error, ReaderGone("the reader has gone")) from None
        except OSError as error:
            full = WorkspaceFull("the disk that holds masked copies of data is full", next_step="tell your admin; .scan() needs no disk")
            other = Conflict(f"a masked copy cannot be written: {error.strerror}", next_step="tell your admin")
            raise self._failed(error, full if error.errno in (errno.ENOSPC, errno.EDQUOT) else other) from None

    def _wait(self, fd: int, event: int) -> None:
        """For the reader; no longer than it may be slow, and not where the scan is cut."""
        poll = select.poll()
        poll.register(fd, event)
        if self._cut is not None:
            poll.register(self._cut.fd, select.POLLIN)
        if not poll.poll(self._stall_s * 1000):
            message = f"nothing was read from this scan for {self._stall_s:g} s, and it was ended"
            raise self._failed(TimeoutError(message), Conflict(message, next_step="scan again, and read without long pauses"))

    def _check_size(self, more: int) -> None:
        if self._most_bytes is not None and self.written_bytes + more > self._most_bytes:
            message = f"a masked copy of this dataset is larger than {self._most_bytes >> 20} MiB, which is what masked copies may have"
            raise self._failed(OSError(errno.EFBIG, "too large"), WorkspaceFull(message, next_step="read it with guarded.open(…).scan()"))

    def _failed(self, error: OSError, said: GuardrailsError) -> OSError:
        self.failure = said
        return error


def ahead(batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
    """The same, where the next two are made in a thread while one is written: a slow reader's pauses are used, and there is no pause between two.

    The first two are made before; who stops in the middle waits for what is being made: close it then.
    """
    for _ in range(2):  # short scans need no thread
        if (batch := next(batches, None)) is None:
            return
        yield batch
        del batch  # it may be large
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        try:
            making = deque([thread.submit(next, batches, None)])
        except RuntimeError:  # memory is short: no thread can be started, and all goes on in this one
            yield from batches
            return
        try:
            making.append(thread.submit(next, batches, None))
            while (made := making.popleft().result()) is not None:
                making.append(thread.submit(next, batches, None))
                yield made
                del made
        finally:
            for batch in making:
                batch.cancel()


def write_arrow(scan: Scan, sink: Sink) -> dict[str, Any]:
    """The scan as an Arrow IPC stream; how many rows."""
    with closing(ahead(scan.batches())) as batches:
        return _streamed(scan.schema, batches, sink)


def write_table(table: pa.Table, sink: Sink) -> dict[str, Any]:
    """What is there already, as an Arrow IPC stream; how many rows."""
    return _streamed(table.schema, table.to_batches(), sink)


def _streamed(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: Sink) -> dict[str, Any]:
    count, stream = 0, pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema)
    for batch in batches:
        stream.write_batch(batch)
        sink.flush()
        count += batch.num_rows
        sink.check()
    stream.close()  # as a context it would write the end mark after a failure, too
    sink.flush()
    return {"rows": count}


def write_csv(scan: Scan, sink: Sink) -> dict[str, Any]:
    """The scan as CSV with a header; nested values as JSON."""
    count, file = 0, pa.PythonFile(sink, mode="w")
    schema = pa.schema([field.with_type(_csv_type(field.type)) for field in scan.schema])
    with pa.csv.CSVWriter(file, schema) as writer, closing(ahead(scan.batches())) as batches:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays([_flat(array) for array in batch.columns], schema=schema))
            count += batch.num_rows
            sink.check()
    return {"rows": count}


def write_parquet(scan: Scan, sink: Sink) -> dict[str, Any]:
    """The scan as a Parquet file: its statistics are of what is delivered, since nothing else comes here."""
    count = 0
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), scan.schema, compression="zstd") as writer, closing(ahead(scan.batches())) as batches:
        for batch in batches:
            writer.write_batch(batch, row_group_size=VIEW_GROUP_ROWS)
            count += batch.num_rows
    return {"rows": count, "bytes": sink.written_bytes}


def write_json(scan: Scan, sink: Sink) -> dict[str, Any]:
    """The scan as an object a line; what JSON has no type for is text."""
    count = 0
    for batch in scan.batches():
        sink.write("".join(f"{json.dumps(row, default=_text)}\n" for row in batch.to_pylist()).encode())
        count += batch.num_rows
    return {"rows": count}


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def write_feather(scan: Scan, sink: Sink) -> dict[str, Any]:
    """The scan as an Arrow file."""
    count = 0
    with pa.ipc.new_file(pa.PythonFile(sink, mode="w"), scan.schema) as writer:
        for batch in scan.batches():
            writer.write_batch(batch)
            count += batch.num_rows
    return {"rows": count}


def preview(scan: Scan, _sink: Sink) -> dict[str, Any]:
    """`{columns, rows}` with texts as cells, as catalog/preview_worker.py gives them."""
    names = scan.schema.names[:PREVIEW_COLUMNS]
    rows: list[list[str | None]] = []
    for batch in scan.batches():
        rows += [[_cell(value) for value in row.values()] for row in batch.select(names).slice(0, PREVIEW_ROWS - len(rows)).to_pylist()]
        if len(rows) >= PREVIEW_ROWS:
            break
    return {"columns": [_cell(name) for name in names], "rows": rows}


def columns(scan: Scan, _sink: Sink) -> dict[str, Any]:
    """`{columns: [(name, type)]}` of what would be delivered; no row is read."""
    return {"columns": delivered.columns_of(scan.schema)}


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else kind


def _flat(array: pa.Array) -> pa.Array:
    if _csv_type(array.type) == array.type:
        return array
    return pa.array(
        [None if value is None else value.hex() if isinstance(value, bytes) else json.dumps(value, default=str) for value in array.to_pylist()]
    )


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= PREVIEW_CELL else text[: PREVIEW_CELL - 1] + "…"


WRITERS: dict[str, Callable[[Scan, Sink], dict[str, Any]]] = {
    "arrow": write_arrow,
    "csv": write_csv,
    "parquet": write_parquet,
    "json": write_json,
    "feather": write_feather,
    "preview": preview,
    "columns": columns,
}
