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

USED = ("cpu_s", "memory_peak_bytes", "memory_gib_s", "gpu_s")


async def show(state: ControlState, request: SubmissionEvidence, fds: list[int]) -> dict[str, Any]:
    """For its author, and for who may review it; a version that this person may not see is not named."""
    row = await reviews.found(state, request.id)
    before = await _before(state, row)
    labels = signing.data_of(await asyncio.to_thread(signing.kept, state, row)) if row["package_path"] else {}
    data = [{"name": name, "classification": label, "owner": ""} for name, label in sorted(labels.items())]
    answer: dict[str, Any] = {"before": None, "data": data, "cost": await state.records.read(_cost, row["id"]), "cost_before": None}
    if before is not None:
        answer |= {"before": {"id": before["id"], "version": before["version"], "state": before["state"]}}
        answer |= {"cost_before": await state.records.read(_cost, before["id"])}
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


def _cost(connection: Connection, id: str) -> dict[str, Any] | None:
    """Of its last clean run that is still on the records; None where there is none."""
    mine = (leases.c.submission == id) & (leases.c.kind == "clean_run")
    query = select(leases).where(mine).order_by(leases.c.created_at.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    ended, started = row["ended_at"], row["started_at"]
    return {key: row[key] for key in USED} | {"wall_s": (ended - started).total_seconds() if ended and started else None}


OPERATIONS: Operations = {SubmissionEvidence: show}
