"""What was decided in the past, counted, for `policy simulate` and `policy suggest`: both judge it by files that control need not see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jupyter_guardrails.control import authority
from jupyter_guardrails.control.interface.oversight import DecisionsPast
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import GroupsUnknown
from jupyter_guardrails.records import past as records
from jupyter_guardrails.records.columns import iso

ACTIONS = ("kernel.start", "data.read", "data.request", "network.connect", "file.read", "file.write")
MOST_FACTS = 20_000  # rows of the answer, some 400 bytes each; the most frequent stay


async def past(state: ControlState, request: DecisionsPast, fds: list[int]) -> dict[str, Any]:
    """Facts, most frequent first, with everybody's groups as they are now."""
    await authority.require_admin(state, "decisions.past", "everybody's decisions")
    since = state.clock() - timedelta(seconds=request.since_s)
    rows, total = await state.records.read(records.counted, since, ACTIONS, most=MOST_FACTS, refused_only=request.refused_only)
    granted = await state.records.read(records.granted, since)
    facts = [row | {"by_grant": (row["person"], row["resource"]) in granted} | _labels(state, row) for row in rows]
    people = {name: await _groups(state, name) for name in sorted({row["person"] for row in rows})}
    said = {"left_out": total - len(rows), "since": iso(since), "policy": str(state.policies.path)}
    return {"facts": facts, "people": people} | said


def _labels(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    """Of a dataset's contract as it is now; nothing for anything else."""
    contract = state.catalogs.current.by_name.get(row["resource"]) if row["action"].startswith("data.") else None
    if contract is None:
        return {"labels": None}
    resource = contract.resource
    same = {"classification": resource.classification, "domain": resource.domain, "tags": list(resource.tags), "owner": resource.owner}
    return {"labels": same | {"columns": dict(resource.columns)}}


async def _groups(state: ControlState, person: str) -> list[str]:
    """Those that the operating system tells; the file's are for whoever reads the file to add."""
    await state.groups.refresh(person)
    try:
        return list(state.groups.of(person))
    except GroupsUnknown:
        return []  # an account that is gone: the file may still say something about the name


OPERATIONS: Operations = {DecisionsPast: past}
