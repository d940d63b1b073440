"""Quality checks: a contract's rules measured by the broker on raw data, by control's right; numbers come out, and no value."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_guardrails.catalog.derived import place_for
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.products import versions
from jupyter_guardrails.catalog.quality import digest_of
from jupyter_guardrails.control import datasets, scans
from jupyter_guardrails.control.broker_process import outcome_of
from jupyter_guardrails.control.interface.quality import QualityCheck
from jupyter_guardrails.control.quality_state import answers_for, shown
from jupyter_guardrails.control.rights import rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, Refused
from jupyter_guardrails.records import quality
from jupyter_guardrails.records.columns import storable

ACTION = "data.quality"


async def check(state: ControlState, request: QualityCheck, fds: list[int]) -> dict[str, Any]:
    """Measure now, remember and tell. Refused for others than owner and admins; NotFound for who may not know of it."""
    contract = await _checkable(state, request.name)
    found = await _measured(state, contract)
    now = state.clock()
    row = {"dataset": storable(contract.name), "checked_at": now, "checked_by": state.principal, "row_count": found["rows"]}
    row |= {"version": storable(versions(contract)), "rules": digest_of(contract.quality), "results": found["results"]}
    said = shown(contract, row, full=True)
    reason = f"version {versions(contract)}: {said['summary']}"
    await state.records.write(quality.put, row, state.audit_fields(ACTION, contract.name, reason=reason))
    return {"name": contract.name} | said


async def _checkable(state: ControlState, name: str) -> Contract:
    """The contract, where this person may have it measured."""
    contract = state.catalogs.current.by_name.get(name)
    if contract is None or not answers_for(state, contract):
        known, _ = await datasets.find(state, name)  # NotFound
        message = f"{known.name} is checked by its owner ({known.owner}) and by admins"
        await state.audit(ACTION, known.name, allowed=False, reason=message)
        raise Refused(message, next_step=f"`jupyter guardrails data show {known.name}` says what the last check found")
    stop = (await rights(state)).access(contract, state.effective(), state.clock())
    if stop.told:
        await state.audit(ACTION, contract.name, allowed=False, reason=stop.told, rule=stop.decision.rule)
        raise Refused(stop.told, next_step=stop.decision.next_step, rule=str(stop.decision.rule))
    if contract.problems:
        raise Conflict(f"the contract of {name} has mistakes", next_step="see them with `jupyter guardrails data check`, and correct them")
    if not contract.quality:
        raise BadRequest(f"the contract of {name} has no quality rules", next_step="write them under `quality` of its schema or its columns")
    return contract


async def _measured(state: ControlState, contract: Contract) -> dict[str, Any]:
    plan = ScanPlan(contract.name, contract.version, contract.owner or "unknown", place_for(contract, None))
    told = {"do": "quality", "rules": [rule.to_json() for rule in contract.quality]}
    with _workplace(state) as into:
        return await outcome_of(await scans.order(state, contract, plan, into, told))


@contextmanager
def _workplace(state: ControlState) -> Iterator[tuple[int, int]]:
    """A pipe that tells the worker whether anybody still waits, and a nameless file beside the records for what it can't hold."""
    with tempfile.TemporaryFile(dir=state.settings.state_dir, buffering=0) as file:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            yield writing, file.fileno()
        finally:
            os.close(reading)
            os.close(writing)


OPERATIONS: Operations = {QualityCheck: check}
