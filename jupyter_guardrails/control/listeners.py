"""Listening sockets that a sandbox handed out: taken over with care, since the server in between is not trusted, and answered on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable

from jupyter_guardrails.control.closing import close_all
from jupyter_guardrails.errors import BadRequest

log = logging.getLogger("jupyter_guardrails.control")
PAUSE_S = 0.05
SOCKET = "socket:["  # what the link of a socket's descriptor says, before its inode; that of a file is a path


def descriptor_of_kind(fd: int, family: int, kind: int) -> socket.socket:
    """The socket behind a descriptor, non-blocking; ours from now on. BadRequest, and the descriptor closed, when it is anything else."""
    try:
        taken = socket.socket(fileno=fd)
    except OSError as error:
        close_all([fd])
        raise BadRequest(f"what came is no socket: {error.strerror}") from error
    if taken.family != family or taken.type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) != kind:
        close_all([taken.detach()])
        raise BadRequest("what came is another kind of socket")
    taken.setblocking(False)
    return taken


def take(fd: int, *families: int) -> socket.socket:
    """The listener behind a descriptor, non-blocking; ours from now on. BadRequest, and the descriptor closed, when it is anything else."""
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        close_all([fd])
        raise BadRequest(f"what came as a listener is no socket: {error.strerror}") from error
    listens = listener.type == socket.SOCK_STREAM and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or listener.family not in families:
        close_all([listener.detach()])
        raise BadRequest("what came as a listener is another kind of socket")
    listener.setblocking(False)
    return listener


def inodes(fds: Iterable[int]) -> tuple[int, ...]:
    """By which sockets are known, whatever descriptors they have; 0 for anything else, whose file is not asked, since it may never answer."""
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in fds]
    return tuple(int(link[len(SOCKET) : -1]) if link.startswith(SOCKET) else 0 for link in links)


def name_of(lease: str, kind: str = "") -> str:
    """Under which a kernel's listeners of one kind are kept for the control after this one; without a kind, how all names of a lease begin."""
    return f"lease.{lease}.{kind}"


class Conversations:
    """Accepts on a listener until `close()`; each connection gets a task of `converse(connection)`, and is closed when that ends.

    With `most`, a connection too many ends the one that was silent for longest: idle ones keep nobody out.
    (asyncio.start_server and loop.sock_accept lose a connection that comes while they are closed, Python 3.11: its client waits for ever.)
    """

    def __init__(self, listener: socket.socket, converse: Callable[[socket.socket], Awaitable[None]], *, name: str, most: int | None = None) -> None:
        self.name = name
        self.most = most
        self._listener = listener
        self._converse = converse
        self._tasks: dict[asyncio.Task[None], None] = {}  # the one that spoke last is the last
        self._loop = asyncio.get_running_loop()
        self._wait()

    def is_beyond(self, count: int) -> bool:
        """Whether `count` other connections were here before the current task's; called from within `converse`."""
        current = asyncio.current_task()
        return all(task is not current for task in itertools.islice(self._tasks, count))

    def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait for the connections that `close()` cut."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spoke(self) -> None:
        """The connection of the current task is in use; called from within `converse`."""
        task = asyncio.current_task()
        if task is not None and self._tasks.pop(task, False) is None:
            self._tasks[task] = None

    def _wait(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # the client went away before we came
        except OSError as error:
            if error.errno == errno.EINVAL:  # control has shut it: its kernel has ended
                self._loop.remove_reader(self._listener)
                return
            # out of file descriptors, most likely: make room and go on
            log.error("can't accept a connection for %s: %s", self.name, error)
            self._evict()
            self._loop.remove_reader(self._listener)
            self._loop.call_later(PAUSE_S, self._wait)
            return
        if self.most is not None and len(self._tasks) >= self.most:
            self._evict()
        connection.setblocking(False)
        task = self._loop.create_task(self._one(connection))
        self._tasks[task] = None
        task.add_done_callback(functools.partial(self._ended, connection))

    def _ended(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        """Called also for a task that was cancelled before it began."""
        self._tasks.pop(task, None)
        connection.close()

    async def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):  # the client went away: nobody is left to tell
            await self._converse(connection)

    def _evict(self) -> None:
        oldest = next(iter(self._tasks), None)
        if oldest is not None:
            self._tasks.pop(oldest)
            oldest.cancel()
