"""Data that the broker streams: rows as Arrow batches, as a CSV file, or one by one. pyarrow only where this environment has it.

A broken pipe looks like an end, so after the last row the broker is asked how the scan ended: what is not all of it raises.
"""

from __future__ import annotations

import csv
import importlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from guarded.errors import GuardedError, Unavailable
from guarded.ring import Ring

BUFFER_BYTES = 1 << 20
FEW_ROWS = 10_000  # up to which a pipe is quicker than making memory that is shared
NO_PYARROW = "this environment has no pyarrow, which reads streams of the broker; .to_csv_file(path) and .rows() need no library"


class Stream:
    """One scan or statement under way: `file` is what comes, `finish()` tells whether it was all."""

    def __init__(self, source: Any, op: str, **asked: Any) -> None:
        self._source = source
        answer, fds = source.call(op, **{key: value for key, value in asked.items() if value is not None and value != ""})
        self._scan = str(answer["scan"])
        self.file: Any = Ring(*fds) if answer.get("shared") else os.fdopen(fds[0], "rb", buffering=BUFFER_BYTES)

    def finish(self, rows: int | None = None) -> None:
        """Raises what ended the scan before its end; `rows`: how many came."""
        self.file.close()
        told, _ = self._source.call("datasets.scan_end", scan=self._scan)
        if rows is not None and told.get("rows") != rows:
            raise Unavailable(f"{rows} rows came and {told.get('rows')} were sent: this is not all of it", next_step="scan again")


class Scanned:
    """A dataset that is read row by row through the broker, which masks and filters it: it has no file and no path."""

    def __init__(self, source: Any, name: str, purpose: str = "") -> None:
        self.name = name
        self._source = source
        self._purpose = purpose

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pyarrow RecordBatchReader; `filter` is text ("delay > 10 and origin = 'JFK'") or a list of [column, operator, value]."""
        return scan(self._source, self.name, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    def to_arrow(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pyarrow Table."""
        return self.scan(columns, filter, limit).read_all()

    def to_pandas(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pandas DataFrame."""
        return self.to_arrow(columns, filter, limit).to_pandas()

    def to_polars(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A polars DataFrame."""
        return _library("polars").from_arrow(self.to_arrow(columns, filter, limit))

    def to_csv_file(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> str:
        """Write all of it as CSV, and give the path; a file that is not all of it is removed. Needs no library."""
        return to_csv_file(self._source, self.name, path, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    def rows(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Iterator[dict[str, str]]:
        """Row after row as a dict of texts. Needs no library."""
        return rows(self._source, self.name, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    def file(self) -> BinaryIO:
        """It has none: raises with what to type instead."""
        raise GuardedError(f"{self.name} is streamed by the broker and has no file", next_step=f"guarded.open({self.name!r}).to_pandas()")

    def read(self, size: int = -1) -> bytes:
        """As `file`."""
        with self.file() as handle:
            return handle.read(size)

    def __repr__(self) -> str:
        return f"<dataset {self.name}, streamed>"


def scan(source: Any, name: str, **asked: Any) -> Any:
    """A pyarrow RecordBatchReader over a scan; it raises where the stream is not whole."""
    _library("pyarrow")  # before anything is read and recorded
    limit = asked.get("limit")
    many = limit is None or limit > FEW_ROWS
    return _reader(Stream(source, "datasets.scan", name=name, format="arrow", shared=many or None, **_plain(asked)))


def sql(source: Any, name: str, query: str, purpose: str) -> Any:
    """The same over what one SELECT gives; closing it cancels the statement."""
    try:
        importlib.import_module("pyarrow")
    except ImportError as error:
        raise ImportError("this environment has no pyarrow, in whose form answers of SQL come") from error
    return _reader(Stream(source, "datasets.sql", name=name, sql=query, purpose=purpose))


def _reader(stream: Stream) -> Any:
    pyarrow, ipc = _library("pyarrow"), _library("pyarrow.ipc")
    try:
        reader = ipc.open_stream(stream.file)
    except (pyarrow.ArrowException, OSError):
        stream.finish()  # raises the reason
        raise
    return pyarrow.RecordBatchReader.from_batches(reader.schema, _batches(pyarrow, reader, stream))


def _batches(pyarrow: Any, reader: Any, stream: Stream) -> Iterator[Any]:
    count = 0
    try:
        for batch in reader:
            count += batch.num_rows
            yield batch
    except (pyarrow.ArrowException, OSError):
        stream.finish()  # raises the reason
        raise
    finally:
        stream.file.close()  # who stops in the middle ends the scan
    stream.finish(count)


def to_csv_file(source: Any, name: str, path: str | os.PathLike[str], **asked: Any) -> str:
    """A scan as a CSV file at `path`, whole or not at all."""
    stream, part = Stream(source, "datasets.scan", name=name, format="csv", **_plain(asked)), f"{os.fspath(path)}.part"
    try:
        with stream.file, open(part, "wb") as file:
            shutil.copyfileobj(stream.file, file, BUFFER_BYTES)
        stream.finish()
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise
    return os.fspath(path)


def rows(source: Any, name: str, **asked: Any) -> Iterator[dict[str, str]]:
    """A scan row by row."""
    stream = Stream(source, "datasets.scan", name=name, format="csv", **_plain(asked))
    with stream.file:
        yield from csv.DictReader(io.TextIOWrapper(stream.file, encoding="utf-8", newline=""))
    stream.finish()


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    columns = asked.get("columns")
    if isinstance(columns, str):
        raise TypeError("columns is a list of names")
    return {**asked, "columns": None if columns is None else list(columns)}


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = name.partition(".")[0]
        raise ImportError(NO_PYARROW if missing == "pyarrow" else f"{missing} is not installed in this environment") from error
