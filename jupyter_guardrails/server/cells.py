"""Telling control which cells are run. It is the server that tells, so a kernel can neither forge nor leave out a cell.

A cell never waits for that: what comes while control is being told goes with the next request.
"""

# jupyter_server is partly untyped
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.auditing import MOST_CELLS, Cell, KernelCells, cell_of
from jupyter_guardrails.errors import GuardrailsError

LOG = logging.getLogger(__name__)
MOST_WAITING = 5000
AGAIN_S = 2.0


class CellRecorder:
    """Keeps the cells that control was not told of yet, and tells it of all of them at once."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control
        self._waiting: list[Cell] = []
        self._lost = 0
        self._telling: asyncio.Task[None] | None = None

    def saw(self, kernel_id: str, code: str) -> None:
        """A cell is on its way to its kernel; called on the event loop."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(cell_of(kernel_id, code))
        else:
            self._lost += 1
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell(), name="cells")

    async def _tell(self) -> None:
        while self._waiting or self._lost:
            cells, lost = self._waiting[:MOST_CELLS], self._lost
            try:
                await asyncio.to_thread(self._control.call, KernelCells(cells=cells, lost=lost))
            except GuardrailsError as error:  # control is away, or can't record: it is asked again until it answers
                LOG.warning("cells wait to be recorded: %s", error.message)
                await asyncio.sleep(AGAIN_S)
                continue
            self._waiting, self._lost = self._waiting[len(cells) :], self._lost - lost


def code_in(message: Any, *, v1: bool) -> str:
    """The code of a request to run some; expressions that it asks for run too, and stand behind it."""
    raw = message if isinstance(message, bytes) else message.encode()
    try:
        content = json.loads(deserialize_msg_from_ws_v1(raw)[1][3]) if v1 else json.loads(raw)["content"]
        expressions = content.get("user_expressions")
        return str(content["code"]) + (f"\n# user_expressions: {json.dumps(expressions)}" if expressions else "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return "(a request without code)"
