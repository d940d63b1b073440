"""The egress worker as control sees it: one process for all kernels, given their listeners, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from jupyter_guardrails.control.children import send_signal
from jupyter_guardrails.control.egress_link import Link, Question
from jupyter_guardrails.errors import ControlAway, GuardrailsError, NotFound

log = logging.getLogger("jupyter_guardrails.control")
PASSED = ("PATH", "LANG", "TZ", "RES_OPTIONS", "LOCALDOMAIN")
FOLLOW_S = 0.5
CLOSE_S = 0.8
STUCK_S = 10.0  # without an answer to an order, its start included: then the worker is ended, and with it every connection
PAUSE_S = 0.5  # before another worker when one has died


class Authority(Protocol):
    """Decides and records for one kernel; see egress.Egress."""

    async def answer(self, question: Question) -> Question:
        """The answer to a question of the worker about this kernel's connections."""

    async def withdrawn(self) -> list[str]:
        """The places of open connections that the policy in force no longer allows; recorded, and not told again."""

    async def worker_died(self) -> None:
        """All connections of this kernel are cut; its listener is handed to the next worker."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A listener of ours (a copy of what the worker has), and who decides for it."""

    listener: socket.socket
    authority: Authority
    limits: dict[str, Any]
    place: tuple[str, int] | None


class EgressProcess:
    """Starts the worker with the first listener. One for each control."""

    def __init__(self) -> None:
        self.pid = 0
        self._served: dict[int, _Served] = {}
        self._keys = itertools.count(1)
        self._link: Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def serve(self, listener: socket.socket, authority: Authority, limits: dict[str, Any], place: tuple[str, int] | None = None) -> int:
        """Have the worker answer on a listener, a proxy's or that of one `place`; the key to close it.

        Does not wait for the worker: clients wait in the listener's queue.
        """
        key = next(self._keys)
        self._served[key] = _Served(listener, authority, limits, place)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep(), name="the egress worker")
        elif self._link is not None:
            await self._hand_over(self._link, key)
        return key

    async def close(self, key: int) -> None:
        """Nothing listens any more, and within a second every connection is cut, and counted."""
        served = self._served.get(key)
        if served is None:
            return
        with contextlib.suppress(OSError):
            served.listener.shutdown(socket.SHUT_RDWR)  # for the worker's copy as well, even if the worker is stuck
        if self._link is not None:
            await self._tell(self._link, {"do": "close", "key": key})
        self._served.pop(key, None)
        served.listener.close()

    async def stop(self) -> None:
        """End the worker, and what it served; called at control's end."""
        for key in list(self._served):
            await self.close(key)
        await self.leave()

    async def leave(self) -> None:
        """End the worker; the listeners stay what they are, for a control after this one."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """A worker for as long as control runs."""
        while True:
            try:
                code = await self._one_worker()
            except OSError as error:
                code = -1
                log.error("no network proxy can be started: %s", error)
            log.error("the network proxy (process %d) ended with code %d: another one is started, every open connection is cut", self.pid, code)
            for served in list(self._served.values()):
                await served.authority.worker_died()
            await asyncio.sleep(PAUSE_S)

    async def _one_worker(self) -> int:
        """Start a worker, hand it every listener, and stay with it to its end; its exit code."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        link = Link(ours, self._answer)
        with theirs:
            command = [sys.executable, "-I", "-m", "jupyter_guardrails.control.egress_worker", str(theirs.fileno())]
            process = await asyncio.create_subprocess_exec(*command, pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, env=_environ())
        self.pid, self._process = process.pid, process
        running = asyncio.create_task(link.run())
        following = asyncio.create_task(self._follow(link))
        try:
            self._link = link
            for key in list(self._served):
                await self._hand_over(link, key)
            await running
        finally:
            self._link = None
            following.cancel()
            running.cancel()
            await asyncio.gather(following, running, return_exceptions=True)
            send_signal(process, signal.SIGKILL)
            code = await process.wait()
        return code

    async def _hand_over(self, link: Link, key: int) -> None:
        served = self._served.get(key)
        if served is not None:
            order = {"do": "serve", "key": key, "limits": served.limits, "place": served.place}
            await self._tell(link, order, served.listener.fileno(), wait=False)

    async def _tell(self, link: Link, order: Question, *fds: int, wait: bool = True) -> None:
        """An order to the worker; one that is away or stuck holds nobody up: its end hands everything over again."""
        copies = [os.dup(fd) for fd in fds]
        telling = asyncio.ensure_future(self._until_stuck(link.ask(order, copies)))
        telling.add_done_callback(lambda done: _told(done, copies))
        if wait:
            await asyncio.wait([telling], timeout=CLOSE_S)

    async def _until_stuck(self, asking: Coroutine[Any, Any, Question]) -> None:
        try:
            await asyncio.wait_for(asking, STUCK_S)
        except TimeoutError:
            log.error("the network proxy (process %d) did not answer within %g s and is ended", self.pid, STUCK_S)
            if self._process is not None:
                send_signal(self._process, signal.SIGKILL)

    async def _answer(self, question: Question, fds: list[int]) -> Question:
        served = self._served.get(question["key"])
        if served is None:
            raise NotFound("this kernel has ended")
        return await served.authority.answer(question)

    async def _follow(self, link: Link) -> None:
        """Cut what a changed policy no longer allows."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            for key, served in list(self._served.items()):
                for place in await _withdrawn(served):
                    await self._tell(link, {"do": "cut", "key": key, "place": place}, wait=False)


async def _withdrawn(served: _Served) -> list[str]:
    try:
        return await served.authority.withdrawn()
    except Exception:  # broad: whatever it was is refused at the next connection, and must not end the watch over the others
        log.exception("open connections could not be compared with the policy")
        return []


def _told(done: asyncio.Future[Any], copies: list[int]) -> None:
    for fd in copies:
        os.close(fd)
    error = None if done.cancelled() else done.exception()
    if error is not None and not isinstance(error, ControlAway | GuardrailsError):
        log.error("an order to the network proxy failed", exc_info=error)


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED if name in os.environ}
