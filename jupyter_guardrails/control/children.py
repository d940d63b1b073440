"""Signals to asyncio's children, so that how each of them ended is read once, by who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os


def send_signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal; nothing when it has ended.

    `Process.kill` and its like ask the system first whether the child has ended, and so may take its exit status away
    from the thread that waits for it: that one then reports 255, with a warning. CPython mended it in 3.13.1.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
