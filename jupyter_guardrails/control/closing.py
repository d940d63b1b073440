"""Closing descriptors that others sent: that may take as long as they like (FUSE flushes, TCP may linger), so never in the event loop."""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar

from jupyter_guardrails.control.interface.content import is_sealed

Sender = int | str  # a uid, or the lease of a kernel on its channel
ACCOUNT: ContextVar[Sender] = ContextVar("who sent the request that is being worked on", default=-1)
MOST_HELD_UP = 8  # of one sender; beyond it nothing more is taken from there until some of them are closed
_closing: Counter[Sender] = Counter()
_lock = threading.Lock()


def close_all(fds: list[int]) -> None:
    """Close and forget. What could wait is closed in a thread of its own, and counted for whoever sent it."""
    while fds:
        fd = fds.pop()
        if _is_quick(fd):
            os.close(fd)
        else:
            threading.Thread(target=_close, args=(fd, ACCOUNT.get()), name="closing", daemon=True).start()


def close_own(fds: Iterable[int]) -> None:
    """Close what control itself opened and has sent."""
    for fd in fds:
        os.close(fd)


def is_held_up(sender: Sender) -> bool:
    """Whether descriptors came from there that won't be closed."""
    with _lock:
        return _closing[sender] >= MOST_HELD_UP


def _is_quick(fd: int) -> bool:
    """Sealed memory, a pidfd, a pipe, a unix socket. Found out without a look at the file behind it, which may wait, too."""
    if is_sealed(fd):
        return True
    kind = os.readlink(f"/proc/self/fd/{fd}")  # of a file a path: nobody's can begin like these
    if kind.startswith("socket:"):
        opened = socket.socket(fileno=fd)
        family = opened.family
        opened.detach()
        return family == socket.AF_UNIX
    return kind.startswith(("anon_inode:", "pipe:"))


def _close(fd: int, sender: Sender) -> None:
    with _lock:
        _closing[sender] += 1
    try:
        os.close(fd)
    finally:
        with _lock:
            _closing[sender] -= 1
            if not _closing[sender]:
                del _closing[sender]
