"""Files of this machine: Parquet, CSV, JSON lines, Arrow; one, or a folder of them, by descriptors that control opened.

Memory stays bounded: pages, blocks or record batches of a file are read one after the other. Columns from folder names (`year=2024/`) are added.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa

from jupyter_guardrails.catalog.sources.formats import Opened, Wanted, open_file
from jupyter_guardrails.catalog.sources.shape import bounded
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError
from jupyter_guardrails.policy.rowfilter import Filter
from jupyter_guardrails.policy.wording import visible

T = TypeVar("T")
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
MOST_FILES = 100_000
ENDINGS = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "json": "json", "jsonl": "json", "ndjson": "json"}
ENDINGS |= {"arrow": "arrow", "feather": "arrow", "ipc": "arrow"}


def open_source(
    place: Mapping[str, Any],
    *,
    columns: Sequence[str] | None,
    predicate: Filter | None = None,
    most_rows: int | None = None,
    credentials: Mapping[str, Any] | None = None,
    fds: Sequence[int] = (),
) -> FilesSource:
    """The file or folder whose descriptor is `fds[0]`; by `predicate` parts of Parquet files are left out, all else is left to the caller."""
    return FilesSource(fds[0], Wanted("", place, columns, predicate, most_rows=most_rows))


class FilesSource:
    """One table in one or several files of the same columns."""

    def __init__(self, root: int, wanted: Wanted) -> None:
        self._root = root
        self._wanted = wanted
        self._open: int | None = None
        self._file: pa.NativeFile | None = None
        self._files = sorted(_files_below(root, "")) if stat.S_ISDIR(os.fstat(root).st_mode) else [""]
        if not self._files:
            raise Conflict("the dataset's folder has no data files", next_step="tell its owner")
        self._forms = [self._form(name) for name in self._files]
        self._parts = Partitions(self._files)
        self._first: Opened | None = self._opened(0, None)
        self.schema = self._parts.schema(self._first.schema, wanted.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows of the first file, then of the next."""
        for number, name in enumerate(self._files):
            opened, self._first = self._first or self._opened(number, self.schema), None
            before = os.fstat(self._descriptor())
            yield from bounded(self._whole(number, batch) for batch in _read(opened, shown(name)))
            after = os.fstat(self._descriptor())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise Conflict(f"{shown(name)} changed while it was read", next_step="read it again; if it happens each time, tell its owner")

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._file is not None:
            self._file.close()
        self._file = self._first = None
        if self._open is not None and self._open != self._root:
            os.close(self._open)
        self._open = None

    def _descriptor(self) -> int:
        return self._root if self._open is None else self._open

    def _opened(self, number: int, alike: pa.Schema | None) -> Opened:
        name = self._files[number]
        self.close()
        if name:
            self._open = _open_file(self._root, name)
        asked, parts = self._wanted.columns, self._parts.names
        columns = None if asked is None else [column for column in asked if column not in parts]
        file = self._file = pa.OSFile(f"/proc/self/fd/{self._descriptor()}", "rb")
        wanted = replace(self._wanted, form=self._forms[number], columns=columns, alike=alike)
        return _told(lambda: open_file(file, wanted), shown(name))

    def _whole(self, number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch with its folder's columns, in the order and of the types of the first file."""
        batch = self._parts.added(number, batch)
        if batch.schema.equals(self.schema):
            return batch
        if sorted(batch.schema.names) != sorted(self.schema.names):
            odd = sorted(set(batch.schema.names) ^ set(self.schema.names))[0]
            raise self._differs(number, f"the column {odd!r} is in one of them only")
        return pa.RecordBatch.from_arrays([self._fitting(number, batch, field) for field in self.schema], schema=self.schema)

    def _fitting(self, number: int, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        array = batch.column(batch.schema.get_field_index(field.name))
        try:
            return array.cast(field.type)
        except pa.ArrowException:
            raise self._differs(number, f"{field.name!r} is {array.type} here and {field.type} there") from None  # its text quotes values

    def _differs(self, number: int, what: str) -> Conflict:
        names = f"{shown(self._files[number])} and {shown(self._files[0])}"
        return Conflict(f"{names} are not of one table: {what}", next_step="tell the dataset's owner: all its files need the same columns")

    def _form(self, name: str) -> str:
        declared = str(self._wanted.place.get("format", ""))
        if declared in ("parquet", "csv", "json", "arrow"):
            return declared
        ending = (name or str(self._wanted.place.get("path", ""))).rpartition(".")[2].lower()
        if ending not in ENDINGS:
            raise BadRequest(
                f"{shown(name) or 'the file'} is no table: its name ends in .{ending[:20]}", next_step="declare the format in its contract"
            )
        return ENDINGS[ending]


def _read(opened: Opened, name: str) -> Iterator[pa.RecordBatch]:
    while (batch := _told(lambda: next(opened.batches, None), name)) is not None:
        yield batch


def _told(function: Callable[[], T], name: str) -> T:
    """What Arrow gives, or a sentence: what it says itself names values, which may be behind a mask."""
    try:
        return function()
    except GuardrailsError:
        raise
    except MemoryError:
        message = f"a part of {visible(name) or 'the file'} is larger than the broker's memory: a value, a page or a record batch in it"
        raise Conflict(message, next_step="ask for fewer columns, or ask its owner to write it in smaller parts") from None
    except (pa.ArrowException, OSError, UnicodeError, KeyError) as error:
        message = f"{visible(name) or 'the file'} cannot be read ({type(error).__name__}): it is damaged, changed, or not of its declared format"
        raise Conflict(message, next_step="tell its owner, who finds the reason with pyarrow") from None


class Partitions:
    """Columns that stand in folder names: whole numbers where all are, else texts."""

    def __init__(self, files: Sequence[str]) -> None:
        self._values = [dict(_parts(file)) for file in files]
        self.names = list(self._values[0])
        if any(list(values) != self.names for values in self._values):
            raise Conflict("the folders of the dataset don't name the same columns", next_step="tell its owner")
        self._kinds = {name: self._kind(name) for name in self.names}

    def schema(self, inner: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
        """The files' columns, then the folders' (those that are wanted)."""
        twice = sorted(set(inner.names) & set(self.names))
        if twice:
            raise Conflict(f"the column {twice[0]!r} is in the files and in the folders' names", next_step="tell the dataset's owner")
        self.names = [name for name in self.names if columns is None or name in columns]
        return pa.schema([*inner, *(pa.field(name, self._kinds[name]) for name in self.names)])

    def added(self, number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of that file with them."""
        for name in self.names:
            value = self._values[number][name]
            typed = int(value) if value is not None and self._kinds[name] == pa.int64() else value
            batch = batch.append_column(name, pa.repeat(pa.scalar(typed, self._kinds[name]), batch.num_rows))
        return batch

    def _kind(self, name: str) -> pa.DataType:
        values = [found for one in self._values if (found := one[name]) is not None]
        return pa.int64() if values and all(_is_whole(value) for value in values) else pa.string()


def _is_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) < 18 and str(int(text)) == text


def _parts(file: str) -> Iterator[tuple[str, str | None]]:
    for part in file.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            yield unquote(name), None if value == NO_VALUE else unquote(value)


def shown(file: str) -> str:
    """A file's name without the values in its folders' names, which may be behind a mask."""
    return "/".join(f"{part.partition('=')[0]}=…" if "=" in part else part for part in file.split("/"))


def _files_below(root: int, folder: str) -> Iterator[str]:
    """Names of regular files below a folder; hidden ones and those of Spark's and Hive's marks are no data."""
    handle = _opened(root, folder, FOLDER)
    try:
        with os.scandir(handle) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)) for entry in entries]
    finally:
        os.close(handle)
    if len(found) > MOST_FILES:
        raise Conflict(f"the dataset's folder has more than {MOST_FILES} entries", next_step="tell its owner")
    for name, is_folder, is_file in found:
        inner = f"{folder}/{name}" if folder else name
        if name.startswith((".", "_")):
            continue
        if is_folder:
            yield from _files_below(root, inner)
        elif is_file:
            yield inner


def _opened(root: int, name: str, flags: int) -> int:
    """What has this name (from a listing, so without `..`) below a folder, with no symlink on the way: step by step, each without following."""
    here = os.open(".", FOLDER, dir_fd=root)
    *folders, last = name.split("/") if name else ["."]
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def _open_file(root: int, name: str) -> int:
    try:
        fd = _opened(root, name, FLAGS)
    except OSError as error:
        raise Conflict(f"{shown(name)} of the dataset cannot be opened: {os.strerror(error.errno or 0)}", next_step="read it again") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Conflict(f"{shown(name)} of the dataset is no regular file", next_step="tell its owner")
    return fd
