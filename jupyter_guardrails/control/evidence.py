"""What reviewers see beside the package itself: the version that was approved before it, the data it inherits from, and what its clean run used."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, select

from jupyter_guardrails.control import approvals, reviews, signing
from jupyter_guardrails.control.interface.decisions import SubmissionEvidence
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.records import submissions
from jupyter_guardrails.records.tables import leases

HIGHEST = frozenset({"memory_peak_bytes"})  # of what one used after the other; the rest adds up
USED = ("cpu_s", "memory_peak_bytes", "memory_gib_s", "gpu_s")


async def show(state: ControlState, request: SubmissionEvidence, fds: list[int]) -> dict[str, Any]:
    """For its author, and for who may review it; a version that this person may not see is not named."""
    row = await reviews.found(state, request.id)
    before = await _before(state, row)
    labels = signing.data_of(await asyncio.to_thread(signing.kept, state, row)) if row["package_path"] else {}
    data = [{"name": name, "classification": label, "owner": ""} for name, label in sorted(labels.items())]
    answer: dict[str, Any] = {"before": None, "data": data, "cost": await _cost_of(state, row), "cost_before": None}
    if before is not None:
        answer |= {"before": {"id": before["id"], "version": before["version"], "state": before["state"]}}
        answer |= {"cost_before": await _cost_of(state, before)}
    owners = await approvals.sign_offs(state, row)
    return answer | {"data": [one | {"owner": owners[one["name"]]} if one["name"] in owners else one for one in data]}


async def _before(state: ControlState, row: dict[str, Any]) -> dict[str, Any] | None:
    """The last version before this one that had all of its approvals and was not retired."""
    others = await state.records.read(submissions.others, row, "approved", "deployed", "superseded")
    older = [one for one in others if one["version"] < row["version"] and one["approved_at"] is not None]
    for one in reversed(older):
        try:
            return await reviews.found(state, one["id"])
        except NotFound:
            continue
    return None


async def _cost_of(state: ControlState, row: dict[str, Any]) -> dict[str, Any] | None:
    kept = await asyncio.to_thread(signing.kept, state, row) if row["package_path"] else None
    return await state.records.read(_cost, row["id"], len(kept.job.notebooks) if kept else 1)


def _cost(connection: Connection, id: str, notebooks: int) -> dict[str, Any] | None:
    """Of its last clean run that is still on the records, in which each notebook had a lease; None where there is none."""
    mine = (leases.c.submission == id) & (leases.c.kind == "clean_run")
    query = select(leases).where(mine).order_by(leases.c.created_at.desc()).limit(notebooks)
    rows = connection.execute(query).mappings().all()
    if not rows:
        return None
    times = [(row["ended_at"] - row["started_at"]).total_seconds() if row["ended_at"] and row["started_at"] else None for row in rows]
    together = {key: [row[key] for row in rows if row[key] is not None] for key in USED}
    used = {key: (max if key in HIGHEST else sum)(values) if values else None for key, values in together.items()}
    return used | {"wall_s": None if None in times else sum(time for time in times if time is not None)}


OPERATIONS: Operations = {SubmissionEvidence: show}
