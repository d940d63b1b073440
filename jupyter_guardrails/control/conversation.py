"""Talking to somebody else's server from a thread, for a bounded time in all: http.client and smtplib bound each read only, not their number."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
READ_S = 10.0
THREADS = ThreadPoolExecutor(4, "notices")  # their own: the loop's threads serve people


class Line:
    """One connection. `cut` ends it from another thread, whatever it waits for; before it is made, it is never made."""

    def __init__(self) -> None:
        self._handle: socket.socket | None = None
        self._over = False

    def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket; OSError or TimeoutError."""
        connected = socket.create_connection((host, port), timeout=READ_S)
        self._handle = socket.socket(fileno=os.dup(connected.fileno()))  # TLS takes the socket away; this one still reaches the connection
        if self._over:
            connected.close()
            raise TimeoutError("the time was up before the connection was made")
        return connected

    def cut(self) -> None:
        """Whatever reads or writes now gets an error."""
        self._over = True
        if self._handle is not None:
            with contextlib.suppress(OSError):  # it is over already
                self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it."""
        if self._handle is not None:
            self._handle.close()


async def within(work: Callable[[Line], T], *, total_s: float) -> T:
    """What `work` returns in a thread; TimeoutError, and its connection cut, when that takes longer."""
    line = Line()
    running = asyncio.get_running_loop().run_in_executor(THREADS, _with, work, line)
    try:
        return await asyncio.wait_for(asyncio.shield(running), total_s)
    except TimeoutError:
        line.cut()
        running.add_done_callback(_forget)
        raise TimeoutError(f"no answer within {total_s:g} s") from None
    except asyncio.CancelledError:
        line.cut()
        running.add_done_callback(_forget)
        raise


def _with(work: Callable[[Line], T], line: Line) -> T:
    try:
        return work(line)
    finally:
        line.close()


def _forget(running: asyncio.Future[T]) -> None:
    """Its outcome came too late: the time limit was told instead."""
    if not running.cancelled():
        running.exception()
