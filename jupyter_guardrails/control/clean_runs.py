"""What control knows of clean runs, for the worker that made one: what its kernel reached through control."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyter_guardrails.control.interface.work import WorkerReached
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.records import audit

KINDS = {"data.read": "datasets", "network.connect": "hosts"}
MOST = 20_000  # records of one run that are looked through


async def reached(state: ControlState, request: WorkerReached, fds: list[int]) -> dict[str, Any]:
    """Each dataset and place once, with the time of its first record."""
    if state.worker is None or state.worker != request.submission:
        raise Refused("only a submission's own worker may ask what its clean run reached")
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS.values()}
    wanted = audit.Filter(actions=tuple(KINDS), kernel=request.kernel_id)
    for row in await state.records.read(audit.newest, principal=state.principal, wanted=wanted, limit=MOST):
        epoch_s = datetime.fromisoformat(row["time"]).timestamp()
        entry = found[KINDS[row["action"]]].setdefault(row["resource"], {"name": row["resource"], "allowed": False, "epoch_s": epoch_s})
        if row["allowed"] and not entry["allowed"]:
            entry |= {"allowed": True, "epoch_s": epoch_s}
    return {kind: list(entries.values()) for kind, entries in found.items()}


OPERATIONS: Operations = {WorkerReached: reached}
