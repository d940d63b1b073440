"""Reads of datasets that were refused to a running kernel, for the card above its notebook: in memory, and told as things stand now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jupyter_guardrails.control.rights import Rights, rights
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import requests
from jupyter_guardrails.records.columns import iso

MOST = 5  # of one kernel, the newest: a loop over a catalogue must not fill a notebook with cards


def note(live: LiveKernel, dataset: str, now: datetime) -> None:
    """Remember that this kernel was refused a dataset that its person may know of."""
    live.refused.pop(dataset, None)
    live.refused[dataset] = now
    while len(live.refused) > MOST:
        live.refused.pop(next(iter(live.refused)))


async def shown(state: ControlState, policy: EffectivePolicy) -> dict[str, list[dict[str, Any]]]:
    """Kernel -> `RefusedRead`s of the HTTP API, the newest last: `granted` are those that it may read by now and hasn't read since."""
    mine = [live for live in state.kernels.values() if live.admission.principal == state.principal and live.refused]
    if not mine:
        return {}
    held, asked = await rights(state), await _asked_for(state)
    return {live.kernel_id: _standing(state, live.refused, policy=policy, held=held, asked=asked) for live in mine}


async def _asked_for(state: ControlState) -> set[str]:
    rows = await state.records.read(requests.newest, state.principal)
    return {row["dataset"] for row in rows if row["kind"] == "access" and row["state"] == "open"}


def _standing(
    state: ControlState, refused: Mapping[str, datetime], *, policy: EffectivePolicy, held: Rights, asked: set[str]
) -> list[dict[str, Any]]:
    contracts, found = state.catalogs.current.by_name, []
    for name, at in refused.items():
        access = held.access(contracts[name], policy, state.clock()) if name in contracts else None
        if access is not None and access.listed:
            decision = access.decision
            said = {"dataset": name, "at": iso(at), "status": access.status, "reason": decision.reason}
            found.append(said | {"rule": str(decision.rule), "next_step": decision.next_step, "asked": name in asked})
    return found
