"""The database: one writer thread with group commit, readers beside it, and the audit file that follows each commit.

SQLite starves some of several writers for seconds (measured with 16), and a SELECT followed by an UPDATE grants too much: so every
change goes through one thread, inside one transaction that takes the write lock first (`BEGIN IMMEDIATE`; on PostgreSQL an advisory lock,
which orders the writers of several processes too).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from jupyter_guardrails.errors import RecordsUnwritable
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.anchors import SIGNER, Signer
from jupyter_guardrails.records.journal import Journal
from jupyter_guardrails.records.signing import AuditKey
from jupyter_guardrails.records.sinks import Sinks
from jupyter_guardrails.records.unwritable import TransactionLost, explained, lost
from jupyter_guardrails.records.upgrade import upgrade

P = ParamSpec("P")
T = TypeVar("T")
Waiting = tuple[asyncio.AbstractEventLoop | None, "Future[Any] | asyncio.Future[Any]"]  # None: a thread waits
Operation = tuple[Callable[[Connection], Any], Waiting]
Outcome = tuple[Any, BaseException | None]

MAX_BATCH = 200
READERS = 4
BUSY_S, GLANCE_S = 30.0, 0.05  # how long SQLite waits for a lock; an event loop waits for nothing
WRITER_LOCK = 0x6775617264  # any constant: it only has to be the same in all our processes


def open_records(url_or_path: str | Path, *, journal: Path | None = None, key: AuditKey | None = None) -> Records:
    """The database at a path (SQLite) or URL (PostgreSQL), upgraded to this version's tables.

    `journal` is the audit's JSON lines file, `key` signs its anchors (None: they are not signed).
    """
    place = str(url_or_path)
    return Records(place if "://" in place else f"sqlite:///{place}", journal=journal, key=key)


class Records:
    """Runs plain functions `fn(connection, …)`: writes one after the other in one thread, reads in others."""

    def __init__(self, url: str, *, journal: Path | None = None, key: AuditKey | None = None) -> None:
        self.url = url
        self.folder = Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite") else None
        self.unwritten = 0  # operations that a full or failing disk, or a database that was away, kept from being recorded, since this process began
        self._writing = _engine(url, writer=True)
        self.signer = Signer(key)
        event.listen(self._writing, "connect", lambda _, record: record.info.update({SIGNER: self.signer}))
        self._reading = _engine(url, writer=False)
        self._glancing = _engine(url, writer=False, busy_s=GLANCE_S) if self.folder is not None else None
        self._operations: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="records-read")
        self._permitting: set[Future[Any] | asyncio.Future[Any]] = set()  # of the batch that is being committed
        try:
            with self._writing.begin() as connection:
                upgrade(connection)
            self.sinks = Sinks(Journal(journal) if journal else None, self._reading, folder=self.folder)
            self.sinks.deliver()
        except Exception as error:  # re-raised, in words where the disk is the reason
            raise explained(error, self.folder) from error
        self._thread = threading.Thread(target=self._run, name="records-write", daemon=True)
        self._thread.start()

    async def write(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn(connection, …)` returns, after its transaction was committed; what it raises undoes its changes alone."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._submit(lambda connection: fn(connection, *args, **kwargs), (loop, future))
        return await future

    async def read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn(connection, …)` returns, over one snapshot; changes are refused here."""
        return await asyncio.wrap_future(self._readers.submit(lambda: self.read_sync(fn, *args, **kwargs)))

    async def glance(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for a few rows by their index: where the records are a file they are read here, which is done before another thread has woken."""
        if self._glancing is not None:
            with contextlib.suppress(DBAPIError), self._glancing.connect() as connection:  # whatever is in the way, `read` waits for it or tells
                return fn(connection, *args, **kwargs)
        return await self.read(fn, *args, **kwargs)

    def write_sync(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` for threads without an event loop."""
        future: Future[T] = Future()
        self._submit(lambda connection: fn(connection, *args, **kwargs), (None, future))
        return future.result()

    def read_sync(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for threads without an event loop."""
        try:
            with self._reading.connect() as connection:
                return fn(connection, *args, **kwargs)
        except DBAPIError as error:
            if self.folder is not None or (told := explained(error, None)) is error:  # a reader's disk is no obstacle: SQLite's error is ours
                raise
            raise told from error

    def close(self) -> None:
        """Finish what was submitted, then let go of the database."""
        self._operations.put(None)
        self._thread.join()
        self._readers.shutdown()
        self.sinks.close()
        for engine in filter(None, (self._writing, self._reading, self._glancing)):
            engine.dispose()

    def _submit(self, operation: Callable[[Connection], Any], waiting: Waiting) -> None:
        if not self._thread.is_alive():
            raise RuntimeError("the records are closed")
        self._operations.put((lambda connection: self._guarded(connection, operation, waiting), waiting))

    def _guarded(self, connection: Connection, operation: Callable[[Connection], T], waiting: Waiting) -> T:
        """The operation, unless it permits what a failing sink keeps from being recorded."""
        result, permits = self.sinks.guard(connection, operation)
        if permits:
            self._permitting.add(waiting[1])
        return result

    def _run(self) -> None:
        """The writer thread: until None comes, commit whatever has queued up meanwhile as one transaction."""
        while (first := self._operations.get()) is not None:
            batch, ended = [first], False
            while len(batch) < MAX_BATCH and not self._operations.empty():
                following = self._operations.get()
                if following is None:
                    ended = True
                    break
                batch.append(following)
            self._commit(batch)
            if ended:
                return

    def _commit(self, batch: list[Operation]) -> None:
        self._permitting.clear()
        try:
            self.sinks.retry()
            with self._writing.begin() as connection:
                audit.fresh(connection)  # those of a transaction that failed
                outcomes = [self._attempt(connection, operation) for operation, _ in batch]
                fresh = audit.fresh(connection)
            if (unrecorded := self.sinks.deliver(fresh)) is not None:  # who waits for a permission gets none; everyone else's work is done
                failing = [future in self._permitting for _, (_, future) in batch]
                outcomes = [(None, unrecorded) if failed else outcome for failed, outcome in zip(failing, outcomes, strict=True)]
        except BaseException as error:  # noqa: BLE001 - whatever kept it from being durable is every caller's failure, and the writer lives on
            outcomes = [(None, explained(error, self.folder))] * len(batch)
        self.unwritten += sum(isinstance(problem, RecordsUnwritable) for _, problem in outcomes)
        _deliver([waiting for _, waiting in batch], outcomes)

    def _attempt(self, connection: Connection, operation: Callable[[Connection], Any]) -> Outcome:
        """One operation in its savepoint: its result, or its error with its changes undone.

        TransactionLost when SQLite undid the others' changes too: going on would let them pass for written.
        The savepoint is made by the driver's own cursor: SQLAlchemy's way costs more than what it guards. SQLAlchemy's events don't tell of it:
        what an operation keeps in `connection.info` is undone with it.
        """
        before = dict(connection.info)
        with contextlib.closing(connection.connection.cursor()) as raw:
            raw.execute("SAVEPOINT operation")
            try:
                result = operation(connection)
            except Exception as error:  # handed to the caller who asked, not swallowed
                if lost(connection):
                    raise TransactionLost from error
                raw.execute("ROLLBACK TO SAVEPOINT operation")
                connection.info.clear()
                connection.info.update(before)
                return None, explained(error, self.folder)
            raw.execute("RELEASE SAVEPOINT operation")
            return result, None


def _deliver(waiting: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    """Threads get their outcomes one by one, an event loop all of its own at once: being woken for each costs it more than what was asked."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Future[Any] | asyncio.Future[Any], Outcome]]] = {}
    for (loop, future), outcome in zip(waiting, outcomes, strict=True):
        if loop is None:
            _answer([(future, outcome)])
        else:
            by_loop.setdefault(loop, []).append((future, outcome))
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: Sequence[tuple[Future[Any] | asyncio.Future[Any], Outcome]]) -> None:
    for future, (result, problem) in answers:
        if future.done():  # whoever waited was cancelled
            continue
        if problem is None:
            future.set_result(result)
        else:
            future.set_exception(problem)


def _engine(url: str, *, writer: bool, busy_s: float = BUSY_S) -> Engine:
    lite = url.startswith("sqlite")
    arguments: dict[str, Any] = {"connect_args": {"timeout": busy_s, "check_same_thread": False}} if lite else {"pool_pre_ping": True}
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), **arguments)
    if lite:
        event.listen(engine, "connect", _sqlite_connected if writer else _sqlite_reader_connected)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN"))
    elif writer:
        event.listen(engine, "begin", lambda connection: connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK}))
    else:
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 would begin by itself, and later than we need
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        connection.execute(f"pragma {pragma}")


def _sqlite_reader_connected(connection: Any, record: Any) -> None:
    _sqlite_connected(connection, record)
    connection.execute("pragma query_only=on")
