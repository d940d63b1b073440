"""Object stores and other places behind an fsspec URL: one object, or all beneath a prefix in the order of their names.

What a library says when it fails may hold keys, signed addresses and values: none of it is passed on.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from jupyter_guardrails.catalog.servers import OWN_SCHEMES, shown
from jupyter_guardrails.catalog.sources.deadline import Deadline
from jupyter_guardrails.catalog.sources.formats import Opened, Wanted, open_file
from jupyter_guardrails.catalog.sources.shape import bounded
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError, NotFound, SourceAway
from jupyter_guardrails.policy.rowfilter import Filter

T = TypeVar("T")
TIMEOUT_S = 60.0  # for one request: what comes more slowly than 4 MiB in that time is a server that stalls
CONNECT_S = 10
RETRIES = 2  # s3fs's own, for errors of the server
MAX_OBJECTS = 10_000
TELL_OWNER = "tell the dataset's owner"
# without an entry in credentials.yaml nothing of this machine's own is used either
ANONYMOUS: dict[str, dict[str, Any]] = {
    **{scheme: {"anon": True} for scheme in ("s3", "s3a", "az", "abfs", "abfss")},
    **{scheme: {"token": "anon"} for scheme in ("gs", "gcs")},
    **{scheme: {"look_for_keys": False, "allow_agent": False} for scheme in ("sftp", "ssh")},
}


def open_source(
    place: Mapping[str, Any],
    *,
    columns: Sequence[str] | None = None,
    predicate: Filter | None = None,
    most_rows: int | None = None,
    credentials: Mapping[str, Any] | None = None,
    fds: Sequence[int] = (),
) -> Objects:
    """Called by `sources.open_source`. By `predicate` parts of Parquet files are not fetched; object stores have no filters of their own."""
    return Objects(Wanted(str(place["format"]), place, columns, predicate, far=True, most_rows=most_rows), credentials or {})


class Objects:
    """A Source. Every request runs in a thread of its own, with a bounded time."""

    def __init__(self, wanted: Wanted, credentials: Mapping[str, Any]) -> None:
        self._wanted, self._place, self._what = wanted, wanted.place, shown(wanted.place)
        self._deadline = Deadline(self._what, TIMEOUT_S)
        self._file: _File | None = None
        self._store: Any = None
        self._first: Opened | None = None
        try:
            self._store = self._told(lambda: _store(wanted.place, credentials))
            self._names = self._told(self._objects)
            self._first = self._open(self._names[0])
            self.schema: pa.Schema = self._first.schema
            self._wanted = replace(self._wanted, alike=self.schema)
        except BaseException:
            self.close()
            raise

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of all objects, one after the other."""
        for name in self._names:
            opened, self._first = self._first or self._open(name), None
            yield from bounded(self._alike(batch) for batch in self._guarded(opened))

    def close(self) -> None:
        """The store's connections end with it: it is in no cache."""
        self._file = self._first = None
        self._deadline.end(self._forget)

    def _forget(self) -> None:
        store, self._store = self._store, None
        session = getattr(store, "_s3", None)
        if session is not None:  # s3fs would only do it when the last reference goes
            store.close_session(store.loop, session)

    def _objects(self) -> list[str]:
        """Names of the objects with data in them; marks of Spark and Hive, and hidden ones, are none."""
        url, store = self._place["url"], self._store
        path = store._strip_protocol(url)
        if url.startswith(("http://", "https://")) or store.info(path)["type"] == "file":
            return [path]
        found = store.find(path, detail=True)
        beneath = path.rstrip("/") + "/"
        names = sorted(name for name, info in found.items() if info.get("size") != 0 and not _hidden(name.removeprefix(beneath)))
        if not names:
            raise NotFound(f"{self._what} holds no data", next_step=TELL_OWNER)
        if len(names) > MAX_OBJECTS:
            raise Conflict(f"{self._what} holds {len(names)} objects, {MAX_OBJECTS} at most", next_step=f"{TELL_OWNER}: fewer and larger ones")
        return names

    def _open(self, name: str) -> Opened:
        self._file = _File(lambda: self._store.open(name, "rb", cache_type="none", fill_cache=False), self._told)
        return self._read(lambda: open_file(self._file, self._wanted))

    def _guarded(self, opened: Opened) -> Iterator[pa.RecordBatch]:
        while (batch := self._read(lambda: next(opened.batches, None))) is not None:
            yield batch

    def _alike(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """With the types of the first object; what doesn't fit is an error and never a changed value."""
        if batch.schema.equals(self.schema):
            return batch
        try:
            columns = [column.cast(field.type) for column, field in zip(batch.columns, self.schema, strict=True)]
            return pa.RecordBatch.from_arrays(columns, schema=self.schema)
        except pa.ArrowException:
            raise Conflict(f"objects of {self._what} have other types than its first one", next_step=TELL_OWNER) from None

    def _read(self, function: Callable[[], T]) -> T:
        """What Arrow reads: a failure of the store comes first, what Arrow says of content is not passed on."""
        try:
            return function()
        except GuardrailsError:
            raise
        except (pa.ArrowException, ValueError, OSError, KeyError, StopIteration, UnicodeError):
            if self._file is not None and self._file.failure is not None:
                raise self._file.failure from None
            form = self._place["format"]
            raise Conflict(f"{self._what} can't be read as {form}: it is broken, or its rows are not alike", next_step=TELL_OWNER) from None

    def _told(self, function: Callable[[], T]) -> T:
        """The store's answer, or what went wrong in our own words."""
        try:
            return self._deadline.call(function)
        except GuardrailsError:
            raise
        except Exception as error:  # noqa: BLE001  # broad: every store has errors of its own; only their kind is said
            raise _in_our_words(error, self._what) from None


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _in_our_words(error: BaseException, what: str) -> GuardrailsError:
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{what} is not there", next_step=TELL_OWNER)
    if isinstance(error, PermissionError) or "Credential" in kind or "Forbidden" in kind or "Auth" in kind:
        return SourceAway(f"{what} lets control not in", next_step="tell an admin: its entry in credentials.yaml is missing, or no longer right")
    if kind in ("FileExpired", "PreconditionFailed"):
        return Conflict(f"{what} was changed while it was read", next_step="read it again")
    if isinstance(error, (TimeoutError, FSTimeoutError)) or "Timeout" in kind:
        return SourceAway(f"{what} did not answer in time", next_step="try again later")
    if isinstance(error, ImportError):
        return SourceAway(f"{what} needs a package that is not installed where control is", next_step="tell an admin")
    return SourceAway(f"{what} can't be read now ({kind})", next_step="try again later; tell its owner if that stays so")


def _store(place: Mapping[str, Any], credentials: Mapping[str, Any]) -> Any:
    """The file system of a place; SourceAway names the package that is missing."""
    scheme = str(place["url"]).partition("://")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError):
        how = str(known_implementations.get(scheme, {}).get("err", f"install the package that brings {scheme}:// to fsspec"))
        raise SourceAway(f"{scheme}:// can't be read where control is installed", next_step=f"tell an admin: {how}") from None
    if scheme in OWN_SCHEMES or issubclass(kind, LocalFileSystem):
        raise BadRequest(f"{scheme}:// leads to files of this machine", next_step="name them in a server of type local")
    store = kind(**_options(scheme, place, credentials))
    if hasattr(store, "retries"):
        store.retries = RETRIES
    return store


def _options(scheme: str, place: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: credentials[name] for name in ("key", "secret", "token", "profile") if credentials.get(name)}
    given |= credentials.get("options", {})
    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    options |= {} if given or credentials.get("ambient") else ANONYMOUS.get(scheme, {})
    if scheme in ("s3", "s3a"):
        options["config_kwargs"] = {"connect_timeout": CONNECT_S, "read_timeout": TIMEOUT_S, "retries": {"max_attempts": 1}}
    if place.get("endpoint"):
        options["endpoint_url"] = place["endpoint"]
    return options | given


class _File(io.RawIOBase):
    """What Arrow reads from: ranges of one object. `failure` is kept, since Arrow may wrap it."""

    def __init__(self, opener: Callable[[], Any], told: Callable[[Callable[[], Any]], Any]) -> None:
        self._told = told
        self.failure: GuardrailsError | None = None
        self._object = told(opener)
        self._size = int(self._object.size)
        self._at = 0
        self._held, self._held_at = b"", 0

    def hold(self, start: int, size: int) -> None:
        """Fetch a range at once, of which many pieces are read next."""
        self._held = b""
        self._at, self._held_at = start, start
        self._held = self.read(size)

    def readable(self) -> bool:
        """Called by Arrow."""
        return True

    def seekable(self) -> bool:
        """Called by Arrow."""
        return True

    def tell(self) -> int:
        """Called by Arrow."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Called by Arrow."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Exactly so many bytes as the object had when it was opened: fewer are a change."""
        wanted = self._size - self._at if size is None or size < 0 else min(size, self._size - self._at)
        if wanted <= 0:
            return b""
        if self._held_at <= self._at and self._at + wanted <= self._held_at + len(self._held):
            start = self._at - self._held_at
            self._at += wanted
            return self._held[start : start + wanted]
        try:
            data: bytes = self._told(lambda: self._range(wanted))
            if len(data) != wanted:
                raise Conflict("an object of the dataset was changed while it was read", next_step="read it again")
        except GuardrailsError as failure:
            self.failure = failure
            raise
        self._at += wanted
        return data

    def _range(self, wanted: int) -> bytes:
        self._object.seek(self._at)
        return bytes(self._object.read(wanted))
