"""A notebook's execution that ends by itself: at its run's deadline, or with more outputs than a package may hold."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbformat import NotebookNode

MAX_OUTPUT_BYTES = 128 << 20  # of the whole run


class BoundedClient(NotebookClient):
    """`limit` has the whole run end that many seconds from then on; `overflowed`: it was ended because of its outputs' size."""

    overflowed = False
    _output_bytes = 0
    _ending: asyncio.Future[Any] | None = None

    def limit(self, seconds: float) -> None:
        """Each cell gets what is left of the run."""
        deadline = time.monotonic() + seconds
        self.timeout_func = lambda _: max(1, round(deadline - time.monotonic()))

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Called by nbclient for each message of the running cell; an endless print must not fill this process's memory."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data", "error"):
            self._output_bytes += _size(msg["content"])
            if self._output_bytes > MAX_OUTPUT_BYTES:
                self._overflow()
                return None
        return super().process_message(msg, cell, cell_index)

    def _overflow(self) -> None:
        if not self.overflowed and self.km is not None:
            self.overflowed = True
            self._ending = asyncio.ensure_future(ensure_async(self.km.shutdown_kernel(now=True)))  # nbclient then sees a dead kernel


def _size(value: Any) -> int:
    """Characters in all texts of a message's content."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_size, parts))
