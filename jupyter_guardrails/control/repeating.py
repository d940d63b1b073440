"""Work that control does again and again beside requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from jupyter_guardrails.errors import RecordsUnwritable

log = logging.getLogger("jupyter_guardrails.control")


async def repeat(work: Callable[[], Awaitable[None]], *, every_s: float, name: str) -> None:
    """Call it for ever, `every_s` after it has ended; a failure of one time is logged, and the next one comes."""
    while True:
        try:
            await work()
        except RecordsUnwritable as error:  # for as long as it lasts, each time: its place in our code says nothing
            log.warning("%s failed once: %s", name, error.message)
        except Exception:  # broad: whatever it was, the next time must come
            log.exception("%s failed once", name)
        await asyncio.sleep(every_s)
