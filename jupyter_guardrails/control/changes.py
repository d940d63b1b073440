"""Whether what a person looks at has changed: asked by their server every few seconds while a browser shows it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import authority, publications, requests
from jupyter_guardrails.control.interface.changes import Changes
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.records import changes


async def marks(state: ControlState, request: Changes, fds: list[int]) -> dict[str, Any]:
    """One mark a topic; of what waits for a word for who may give it alone, since others must not even hear that there is something."""
    judged = authority.on_job(state.effective(), job="a job", submitted_by="", service=state.service)
    found = await state.records.read(_marks, state.principal, reviews=judged.allowed)
    waits = await requests.waiting(state) + await publications.waiting(state)
    return found | ({"decisions": changes.of_rows(waits)} if waits else {})


def _marks(connection: Connection, principal: str, *, reviews: bool) -> dict[str, str]:
    found = {"submissions": changes.of_submissions(connection, principal), "requests": changes.of_requests(connection, principal)}
    return found | ({"review": changes.of_review(connection, principal)} if reviews else {})


OPERATIONS: Operations = {Changes: marks}
