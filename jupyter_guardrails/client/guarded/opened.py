"""An opened dataset: a file to read, or a table in the library that the notebook uses."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, BinaryIO

from guarded import scanned
from guarded.errors import GuardedError, Refused

FORMATS = ("csv", "parquet")
COPY_S = 3600.0  # a masked copy of a big dataset is made at its first read


class FileByDescriptor(io.RawIOBase):
    """A readable, seekable file over a descriptor that others share: it keeps a position of its own (a dup would not)."""

    def __init__(self, owner: BinaryIO) -> None:
        self._owner = owner
        self._size = os.fstat(owner.fileno()).st_size
        self._position = 0

    def readable(self) -> bool:
        """Called by BufferedReader."""
        return True

    def seekable(self) -> bool:
        """Called by the Parquet readers, which begin at a file's end."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and get the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Called by BufferedReader: fill the buffer from the position on; 0 is the end."""
        count = os.preadv(self._owner.fileno(), [buffer], self._position)
        self._position += count
        return count


class Opened:
    """One dataset: `path` is where it lies; `read()` and `file()` give bytes, `to_…()` tables."""

    def __init__(self, name: str, path: str, shared: BinaryIO | None = None, *, form: str = "", source: Any = None, purpose: str = "") -> None:
        self.name = name
        self.path = path
        self._form = form
        self._source = source
        self._purpose = purpose
        self._shared = shared  # only where the path itself can't be opened in this kernel

    def file(self) -> BinaryIO:
        """A binary file of your own, at its start."""
        if self._shared is not None:
            return io.BufferedReader(FileByDescriptor(self._shared), 1 << 20)
        if os.path.isdir(self.path):
            raise IsADirectoryError(f"{self.name} is a folder of files: use its path, {self.path!r}")
        return open(self.path, "rb")

    def read(self, size: int = -1) -> bytes:
        """The first `size` bytes, all of them without a size."""
        with self.file() as handle:
            return handle.read(size)

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """A pandas DataFrame, of some columns only if you name them."""
        pandas = self._library("pandas")
        if self.format == "csv":
            return pandas.read_csv(self._readable(), usecols=columns)
        return pandas.read_parquet(self._readable(), columns=columns)

    def to_polars(self, columns: Sequence[str] | None = None) -> Any:
        """A polars DataFrame, of some columns only if you name them."""
        return getattr(self._library("polars"), f"read_{self.format}")(self._readable(), columns=columns)

    def to_arrow(self, columns: Sequence[str] | None = None) -> Any:
        """A pyarrow Table, of some columns only if you name them."""
        if self.format == "parquet":
            return self._library("pyarrow.parquet").read_table(self._readable(), columns=columns)
        csv = self._library("pyarrow.csv")
        return csv.read_csv(self._readable(), convert_options=csv.ConvertOptions(include_columns=columns))

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pyarrow RecordBatchReader by the broker; `filter` is text ("delay > 10 and origin = 'JFK'") or a list of [column, operator, value]."""
        return scanned.scan(self._source, self.name, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    def to_csv_file(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> str:
        """Write it as CSV, and give the path. Needs no library."""
        return scanned.to_csv_file(self._source, self.name, path, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    def rows(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Iterator[dict[str, str]]:
        """Row after row as a dict of texts. Needs no library."""
        return scanned.rows(self._source, self.name, columns=columns, filter=filter, limit=limit, purpose=self._purpose)

    @property
    def format(self) -> str:
        """`parquet` or `csv`, as the broker says or by the names of its files."""
        if self._form:
            return self._form
        files = os.listdir(self.path) if self._shared is None and os.path.isdir(self.path) else [self.path]
        endings = {os.path.splitext(file)[1].lstrip(".").lower() for file in files}
        known = sorted(endings.intersection(FORMATS))
        if len(known) != 1:
            raise GuardedError(
                f"{self.name} is neither Parquet nor CSV alone ({', '.join(sorted(endings))})", next_step=f"read it by its path, {self.path!r}"
            )
        return known[0]

    def __repr__(self) -> str:
        return f"<dataset {self.name} at {self.path}>"

    def _readable(self) -> Any:
        """The path where it can be opened, since libraries are fastest with one, else a file."""
        return self.path if self._shared is None else self.file()

    def _library(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise ImportError(f"{name.partition('.')[0]} is not installed in this environment; .read() and .file() need no library") from error


def open_dataset(source: Any, name: str, file: str = "", purpose: str = "", *, in_job: type[Opened] = Opened) -> Opened | scanned.Scanned:
    """Ask a source for a dataset (or one file in it): by path where this process can open that, else by file descriptor, else as a stream.

    `in_job`: what a file is that a job was bound to.
    """
    bound = {"purpose": purpose} if purpose else {}
    found, _ = source.call("datasets.path", name=name, **bound)
    if found.get("delivery") == "brokered":
        return scanned.Scanned(source, name, purpose)
    path = os.path.join(found["path"], file) if file else str(found["path"])
    if found.get("readable", True) and can_open(path):
        return (in_job if found.get("bound") else Opened)(name, path, source=source, purpose=purpose)
    answer, fds = source.call("datasets.open", timeout_s=COPY_S, name=name, **bound, **({"file": file} if file else {}))
    if not fds:
        raise file_by_file(name, list(answer.get("files") or ()), found)
    for fd in fds[1:]:
        os.close(fd)
    return Opened(name, str(answer["path"]), os.fdopen(fds[0], "rb"), form=str(answer.get("format", "")), source=source, purpose=purpose)


def too_late(name: str, found: dict[str, Any]) -> Refused:
    """Why a dataset that may be read has no path in this kernel: it was granted after the start."""
    message = found.get("message") or f"{name} can't be opened by its path here"
    return Refused(message, next_step=found.get("next_step") or "restart the kernel", rule=found.get("rule", ""))


def file_by_file(name: str, files: list[str], found: dict[str, Any]) -> Refused:
    """Why a folder has no path in this kernel: it was granted after the start, or is another account's. Its files can be had one by one."""
    why = found.get("message") or f"the files of {name} belong to another account of this machine"
    example = f"guarded.open({name!r}, file={files[0]!r})" if files else found.get("next_step") or "restart the kernel"
    return Refused(f"{why}; {name} is a folder of {len(files)} files", next_step=f"open one of them: {example}", rule=found.get("rule", ""))


def is_anothers(path: str) -> bool:
    """Whether a file or folder is there, and shut to this account."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def can_open(path: str) -> bool:
    """Whether this process may open a file or folder, by trying: access(2) knows nothing of Landlock."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
