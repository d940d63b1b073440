"""Scans under way are looked at again: who may no longer read what one gives has it ended in the middle, and is told so."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_guardrails.catalog.delivery import Bounds
from jupyter_guardrails.catalog.products import versions
from jupyter_guardrails.control.reads import Read, decided
from jupyter_guardrails.control.scans import Outcome
from jupyter_guardrails.control.state import ControlState, LiveKernel, log
from jupyter_guardrails.errors import ControlAway, GuardrailsError, NotFound, Refused

LOOK_S = 0.5  # what was written into the pipe before is read all the same
SCAN_AGAIN = "scan again: what you may read of it now is given"
CHANGED = "masks or rows of it are others now"


def follow(state: ControlState, live: LiveKernel, read: Read, *, scan: str, outcome: Outcome) -> None:
    """From now on to its end, beside everything else."""
    state.spawn(_follow(state, live, read, scan, outcome), f"a look at {scan}")


async def _follow(state: ControlState, live: LiveKernel, read: Read, scan: str, outcome: Outcome) -> None:
    objection: GuardrailsError | None = None
    while objection is None:
        await asyncio.wait([outcome], timeout=LOOK_S)
        if outcome.done():
            return
        objection = await _objection(state, live, read)
    reason = f"this scan of {read.contract.name} was ended before its last row: {objection.message}"
    try:
        await state.brokers.of(state.principal).cut(scan, Refused(reason, next_step=objection.next_step, rule=objection.rule))
    except ControlAway:  # its worker ended: so did the scan
        return
    what = f"version {versions(read.contract)}: a scan was ended: {objection.message}"
    await state.audit("data.revoke", read.contract.name, reason=what, rule=objection.rule, kernel=live.kernel_id)


async def _objection(state: ControlState, live: LiveKernel, read: Read) -> GuardrailsError | None:
    """Why it may not go on as it began; None when it may."""
    try:
        now = await decided(state, live, read.asked)
    except GuardrailsError as error:
        return error if isinstance(error, NotFound) else Refused(f"whether it may be read can't be told: {error.message}", next_step=error.next_step)
    except Exception:  # noqa: BLE001 - broad: fail closed, whatever it is. It is logged, and the reader is told
        log.exception("a scan of %s could not be looked at again", read.contract.name)
        return Refused("whether it may be read can't be told: control failed", next_step="scan again; if it stays so, tell your admin")
    decision = now.access.decision
    if not now.access.granted:
        return Refused(decision.reason, next_step=decision.next_step, rule=str(decision.rule))
    same = _seen_by(now.access.bounds) == _seen_by(read.access.bounds)
    return None if same else Refused(CHANGED, next_step=SCAN_AGAIN, rule=str(decision.rule))


def _seen_by(bounds: Bounds) -> Any:
    """What of the data: its masks and rows, of a product's inputs too."""
    return (dict(bounds.masks), bounds.keep, [_seen_by(one) for one in bounds.inputs])
