"""The process that reads data for one person: it opens sources, masks and filters, and writes into pipes; control decides and records.

Started by broker_process.py with one end of a socket pair. It holds no policy and no records, is bounded in memory, and ends with control.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.control import hardening
from jupyter_guardrails.control.egress_link import Link, Question
from jupyter_guardrails.errors import Conflict, GuardrailsError, from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_guardrails.catalog.sources import Source
    from jupyter_guardrails.catalog.streams import Sink

log = logging.getLogger("broker")
STACK_BYTES = 2 << 20
THREADS = 6  # more than scans at a time: a scan that ends is still counted for a moment


class Worker:
    """Answers each order when its scan is over; the pipe is closed by then."""

    def __init__(self, connection: socket.socket) -> None:
        self.link = Link(connection, self._do, worker="the data broker")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scan")
        self._cuts: dict[str, Cut] = {}
        together = threading.Barrier(THREADS + 1)
        for _ in range(THREADS):  # all of them now: when memory is short, none could be started
            self._threads.submit(together.wait)
        together.wait()

    async def _do(self, order: Question, fds: list[int]) -> Question:
        if order["do"] == "hello":
            return {}
        if order["do"] == "cut":
            if (running := self._cuts.get(order["scan"])) is not None:
                running.now(from_json(order["reason"]))
            return {}
        ours, name, cut = tuple(fds), order.get("scan", ""), Cut()
        fds.clear()
        self._cuts[name] = cut
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, serve, order, ours, cut)
        finally:
            self._cuts.pop(name, None)
            cut.close()


def serve(order: Question, fds: tuple[int, ...], cut: Cut) -> Question:
    """One scan from its first to its last row, into `fds[0]`; the others are the source's. All are closed in the end."""
    try:
        return _answered(order, fds[0], cut) if order["do"] == "sql" else _said(order, fds, cut)
    finally:
        for fd in fds:
            os.close(fd)


def _said(order: Question, fds: tuple[int, ...], cut: Cut) -> Question:
    from jupyter_guardrails.catalog.sources.deadline import watched
    from jupyter_guardrails.catalog.streams import Sink  # big libraries: loaded after the limits are set, and in this process only

    plan = ScanPlan.from_json(order["plan"])
    sink = Sink(fds[0], stall_s=order["stall_s"], most_bytes=order.get("most_bytes"), cut=cut)
    with _in_our_words(plan.dataset, plan.owner, sink), watched(sink.check):
        return (_measured if order["do"] == "quality" else _scanned)(order, plan, sink, fds[1:])


def _answered(order: Question, fd: int, cut: Cut) -> Question:
    """What one SELECT of a person gives, as their own account in the database; it is cancelled there when nobody reads any more."""
    from jupyter_guardrails.catalog.sources.person_sql import run_sql  # as above
    from jupyter_guardrails.catalog.streams import Sink, write_table

    sink = Sink(fd, stall_s=order["stall_s"], cut=cut)
    with _in_our_words(order["dataset"], order["owner"], sink):
        return write_table(run_sql(order["place"], order["login"], order["sql"], look=sink.check), sink)


@contextmanager
def _in_our_words(dataset: str, owner: str, sink: Sink) -> Iterator[None]:
    """What libraries say quotes values, which may be behind a mask: only its kind is told."""
    try:
        yield
    except GuardrailsError as error:
        raise sink.failure or error from None
    except MemoryError:
        raise _too_large(dataset, owner) from None
    except Exception as error:  # noqa: BLE001 - as the docstring says
        if sink.failure is not None:
            raise sink.failure from None
        log.error("a read of %s failed: %s in %s", dataset, type(error).__name__, _where(error))
        raise Conflict(f"{dataset} cannot be read ({type(error).__name__})", next_step=f"tell its owner ({owner}) or an admin") from None


def _scanned(order: Question, plan: ScanPlan, sink: Sink, fds: tuple[int, ...]) -> Question:
    from jupyter_guardrails.catalog.scan import Scan
    from jupyter_guardrails.catalog.sources import open_source
    from jupyter_guardrails.catalog.streams import WRITERS

    less: dict[str, Any] = {"columns": plan.needed, "predicate": plan.pushed, "most_rows": plan.most_rows}
    source = open_source(plan.place, credentials=order.get("credentials"), fds=fds, **less)
    try:
        return WRITERS[plan.form](Scan(plan, source, bytes.fromhex(order["salt"])), sink)
    finally:
        source.close()


def _measured(order: Question, plan: ScanPlan, sink: Sink, fds: tuple[int, ...]) -> Question:
    """Counts by the contract's quality rules; `fds[0]` is a file for what does not fit into memory."""
    from jupyter_guardrails.catalog.measuring import measured
    from jupyter_guardrails.catalog.quality import QualityRule
    from jupyter_guardrails.catalog.sources import open_source

    rules = [QualityRule.from_json(said) for said in order["rules"]]
    credentials, files = order.get("credentials"), fds[1:]

    def opened(columns: Sequence[str] | None) -> Source:
        return open_source(plan.place, columns=columns, credentials=credentials, fds=files)

    return measured(rules, opened, fds[0], sink.check)


def _too_large(dataset: str, owner: str) -> Conflict:
    message = f"a part of {dataset} is larger than the broker's memory: a value, a page or a record batch in it"
    return Conflict(message, next_step=f"ask for fewer columns, or ask its owner ({owner}) to write it in smaller parts")


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_qualname if trace is not None and sys.version_info >= (3, 11) else "?"


async def _serve(connection: socket.socket, parent: int) -> None:
    work = asyncio.create_task(Worker(connection).link.run())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_die)
    loop.add_reader(parent, work.cancel)
    await asyncio.gather(work, return_exceptions=True)


def _die(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What nobody expected, a lack of memory in the wrong moment most likely: control tells the readers, and starts another worker."""
    os.write(2, f"ERROR data broker: {type(context.get('exception')).__name__}, it ends\n".encode())
    os._exit(70)


def bound(memory_bytes: int) -> None:
    """No more private memory than that, no core file, and nobody looks into this process."""
    hardening.not_dumpable()
    hardening.no_new_privileges()
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(fd: int, memory_bytes: int) -> None:
    """Serve until control ends or closes its end of the socket pair."""
    bound(memory_bytes)
    threading.stack_size(STACK_BYTES)
    parent = hardening.end_with_parent()
    os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: control decides what it means
    logging.basicConfig(format="%(levelname)s data broker: %(message)s", level=logging.WARNING)
    import jupyter_guardrails.catalog.streams  # noqa: F401  (before the first order, so that none waits for it)

    asyncio.run(_serve(socket.socket(fileno=fd), parent))
    os._exit(0)  # threads that still write would hold up the end


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
