"""Signals that end a command which would leave something half done: they interrupt it like Ctrl-C, and not while it takes that back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def as_keyboard() -> Iterator[None]:
    """In the block, each of them raises KeyboardInterrupt, a closed terminal's hang-up too; one that was ignored before stays so (`nohup`)."""
    before = {name: signal.getsignal(name) for name in ENDING}
    for name in ENDING:
        if before[name] is not signal.SIG_IGN:
            signal.signal(name, _interrupt)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def ignore() -> None:
    """Until the block of `as_keyboard` ends, nothing but SIGKILL ends this process."""
    for name in ENDING:
        signal.signal(name, signal.SIG_IGN)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
