"""The data broker as control sees it: one worker process for each person, started at the first read, ended when it idles, replaced when it dies."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_guardrails.control.children import send_signal
from jupyter_guardrails.control.egress_link import Link, Question
from jupyter_guardrails.errors import Conflict, ControlAway, GuardrailsError, LimitReached

log = logging.getLogger("jupyter_guardrails.control")
PASSED = ("PATH", "LANG", "TZ")
# one malloc and one pool of threads: the memory limit counts what each of them reserves
ARROW = {"ARROW_DEFAULT_MEMORY_POOL": "system", "ARROW_IO_THREADS": "2", "OMP_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "2", "LC_ALL": "C.UTF-8"}
MEMORY_BYTES = 448 << 20  # of private memory, with some 130 MB that are reserved and never used (stacks, arenas)
AT_ONCE = 4  # scans of one person
MOST_WAITING = 16
WAIT_S = 30.0
IDLE_S = 300.0
STALL_S = 600.0  # a reader may think that long between two batches
NEEDED = ("pyarrow", "numpy")
MISSING = "masked, filtered and streamed data needs {} beside control, and it is not installed there"
INSTALL = "an admin installs it: pip install 'jupyter_guardrails[broker]'"


class Broker:
    """One person's worker."""

    def __init__(self, *, idle_s: float = IDLE_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self.pid = 0
        self.idle_s = idle_s
        self.memory_bytes = memory_bytes  # of a worker that is started from now on
        self._link: Link | None = None
        self._running: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._active = 0
        self._idle: asyncio.TimerHandle | None = None

    async def begin(self, order: Question, fds: Sequence[int]) -> asyncio.Future[Question]:
        """Hand over an order with its descriptors, which the caller may close then; its outcome is still to come.

        LimitReached when too many scans of this person run already, Conflict when there can be no worker.
        """
        await self._take_place()
        try:
            link = await self._connected()
            outcome = await link.begin(order, fds)
        except BaseException:
            self._give_back(None)
            raise
        outcome.add_done_callback(self._give_back)
        return outcome

    async def cut(self, scan: str, reason: GuardrailsError) -> None:
        """End one scan, whose reader is told why; ControlAway when its worker has ended."""
        if self._link is not None:
            await self._link.ask({"do": "cut", "scan": scan, "reason": reason.to_json()})

    async def stop(self) -> None:
        """End the worker; whoever still reads gets a broken stream, and an error that says so."""
        if self._idle is not None:
            self._idle.cancel()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _take_place(self) -> None:
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()  # at once
        self._active += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    async def _wait_for_place(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), WAIT_S)
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1

    def _give_back(self, outcome: asyncio.Future[Question] | None) -> None:
        if outcome is not None and not outcome.cancelled():
            outcome.exception()  # it is told to whoever asks for it: nobody may
        self._active -= 1
        self._places.release()
        if not self._active:
            self._idle = asyncio.get_running_loop().call_later(self.idle_s, self._retire)

    def _retire(self) -> None:
        if not self._active and self._running is not None:
            self._link = None  # who comes before it has ended gets another one
            self._running.cancel()

    async def _connected(self) -> Link:
        async with self._starting:
            if self._running is not None and (self._link is None or self._running.done()):
                await asyncio.gather(self._running, return_exceptions=True)  # one that is ending is waited for
                self._running = None
            if self._link is None:
                await self._start()
            assert self._link is not None
            return self._link

    async def _start(self) -> None:
        for name in NEEDED:
            if importlib.util.find_spec(name) is None:
                raise Conflict(MISSING.format(name), next_step=INSTALL)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-I", "-m", "jupyter_guardrails.control.broker_worker", str(theirs.fileno()), str(self.memory_bytes)]
            options: dict[str, Any] = {"pass_fds": (theirs.fileno(),), "stdin": asyncio.subprocess.DEVNULL, "env": _environ(), "cwd": "/"}
            try:
                process = await asyncio.create_subprocess_exec(*command, **options)
            except OSError as error:
                ours.close()
                raise Conflict(f"no data broker can be started: {error.strerror}", next_step="try again, or tell your admin") from error
        self.pid, self._link = process.pid, Link(ours, _asks_nothing, worker="the data broker")
        self._running = asyncio.create_task(self._run(self._link, process), name="a data broker")

    async def _run(self, link: Link, process: asyncio.subprocess.Process) -> None:
        try:
            await link.run()
        finally:
            self._link = None
            send_signal(process, signal.SIGKILL)
            code = await process.wait()
            if self._active:
                log.error("a data broker (process %d) ended with code %d while it read", process.pid, code)


class Brokers:
    """Every person's broker. One for each control."""

    def __init__(self) -> None:
        self._brokers: dict[str, Broker] = {}

    def of(self, principal: str) -> Broker:
        """This person's, not started before it is used."""
        return self._brokers.setdefault(principal, Broker())

    async def stop(self) -> None:
        """End all; called at control's end."""
        for broker in self._brokers.values():
            await broker.stop()


async def outcome_of(outcome: asyncio.Future[Question]) -> Question:
    """How a scan ended; what its worker said, or Conflict when that one died."""
    try:
        return await asyncio.shield(outcome)
    except ControlAway:
        message = "the data broker ended in the middle of this scan: what was read is not all of it"
        raise Conflict(message, next_step="scan again; if it ends again, ask for fewer columns and tell your admin") from None


def _busy() -> LimitReached:
    message = f"{AT_ONCE} scans of yours are running, and as many wait as may"
    return LimitReached(message, next_step="read one of them to its end, or close it, and scan again")


async def _asks_nothing(question: Question, fds: list[int]) -> Question:
    raise Conflict("a data broker has nothing to ask")


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED if name in os.environ} | ARROW
