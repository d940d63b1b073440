"""Calls into libraries that may never come back: each gets a bounded time, in a thread that is left alone when it doesn't."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from jupyter_guardrails.errors import SourceAway

T = TypeVar("T")
LOOK_S = 0.25
MOST_THREADS = 64  # of one process: four scans of sixteen inputs, or what was left alone in the last minute
_look: ContextVar[Callable[[], None] | None] = ContextVar("look", default=None)
THREAD = "source "
Work = tuple["Future[Any]", Callable[[], Any]]


@contextmanager
def watched(look: Callable[[], None]) -> Iterator[None]:
    """Every source that is opened in this block calls `look` while it waits: what that raises ends the read, not only at the next row."""
    before = _look.set(look)
    try:
        yield
    finally:
        _look.reset(before)


class Deadline:
    """One thread for the calls of one source, in their order: drivers that belong to a thread stay in it."""

    def __init__(self, what: str, timeout_s: float) -> None:
        self._what, self._timeout_s, self._look = what, timeout_s, _look.get()
        if sum(thread.name.startswith(THREAD) for thread in threading.enumerate()) >= MOST_THREADS:
            raise SourceAway("too many places that were asked for you have not answered yet", next_step="wait a minute, and try again")
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._stuck = self._ended = False
        threading.Thread(target=self._serve, name=f"{THREAD}{what}", daemon=True).start()

    def call(self, function: Callable[[], T], *, look: Callable[[], None] | None = None) -> T:
        """Its result or error; SourceAway when it takes too long, and for everything after that.

        `look` (else that of `watched`) is called now and then while it runs; what that raises is raised here, and the call goes on behind it.
        """
        look = look or self._look
        if self._stuck:
            raise self._away()
        done: Future[T] = Future()
        self._work.put((done, function))
        until = time.monotonic() + self._timeout_s
        while True:
            left_s = until - time.monotonic()
            try:
                return done.result(min(left_s, LOOK_S) if look else left_s)
            except TimeoutError:
                if done.done():  # the call's own
                    raise
            if look is None or time.monotonic() >= until:
                self._stuck = True
                raise self._away() from None
            look()

    def end(self, function: Callable[[], object]) -> None:
        """A last call, which isn't made where the one before it is stuck; then the thread ends. Once."""
        if self._ended:
            return
        self._ended = True
        try:
            if not self._stuck:
                self.call(function)
        finally:
            self._work.put(None)

    def _away(self) -> SourceAway:
        return SourceAway(f"{self._what} did not answer within {self._timeout_s:g} s", next_step="try again later; tell its owner if that stays so")

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            done, function = work
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001  # broad: it is raised where it was called
                done.set_exception(error)
            del done, function, work
