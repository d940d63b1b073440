"""The process that reads data for one person: it opens sources, masks and filters, and writes into pipes; control decides and records.

Started by broker_process.py with one end of a socket pair. It holds no policy and no records, is bounded in memory, and ends with control.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.control import hardening
from jupyter_guardrails.control.egress_link import Link, Question
from jupyter_guardrails.errors import from_json

SCANS = "jupyter_guardrails.control.broker_scans"  # big libraries: loaded after the limits are set, and before the first order
Serve = Callable[[Question, tuple[int, ...], Cut], Question]
STACK_BYTES = 2 << 20
THREADS = 6  # more than scans at a time: a scan that ends is still counted for a moment


class Worker:
    """Answers each order when its scan is over; the pipe is closed by then."""

    def __init__(self, connection: socket.socket, serve: Serve) -> None:
        self._serve = serve
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
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._serve, order, ours, cut)
        finally:
            self._cuts.pop(name, None)
            cut.close()


async def _serve(connection: socket.socket, serve: Serve, parent: int) -> None:
    work = asyncio.create_task(Worker(connection, serve).link.run())
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
    serve = importlib.import_module(SCANS).serve
    asyncio.run(_serve(socket.socket(fileno=fd), serve, parent))
    os._exit(0)  # threads that still write would hold up the end


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
