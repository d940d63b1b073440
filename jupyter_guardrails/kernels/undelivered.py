"""What control must still hear and was away for: the ends of kernels, told once it is back, so that no lease just expires."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface.messages import KernelSettle, Request

LOG = logging.getLogger(__name__)
MOST = 256
RETRY_S = 1.0


class Undelivered:
    """At most `MOST` ends of kernels; beyond it the oldest is dropped, and its lease expires. Used by one event loop."""

    def __init__(self, call: Callable[[Request], Awaitable[dict[str, Any]]], *, retry_s: float = RETRY_S) -> None:
        self._call = call
        self._retry_s = retry_s
        self._waiting: deque[KernelSettle] = deque()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, request: KernelSettle) -> None:
        """Keep it and try again until control has taken it."""
        if len(self._waiting) >= MOST:
            LOG.warning("lease %s could not be closed, it expires by itself: control is away for too many", self._waiting.popleft().lease)
        self._waiting.append(request)
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._deliver(), name="guardrails-undelivered")

    async def _deliver(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._retry_s)
            await self._try_all()

    async def _try_all(self) -> None:
        while self._waiting:
            request = self._waiting[0]
            try:
                await self._call(request)
            except errors.ControlAway:
                return
            except errors.GuardrailsError as error:
                LOG.warning("lease %s could not be closed: %s", request.lease, error)
            if self._waiting and self._waiting[0] is request:
                self._waiting.popleft()
