"""What was used: sums for people and their admins, the history of one kernel, and keeping both small."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.usage import KernelHistory, Usage
from jupyter_guardrails.control.state import ControlState, Operations, log
from jupyter_guardrails.errors import GuardrailsError, NotFound
from jupyter_guardrails.records import history, leases, past_use, usage
from jupyter_guardrails.records.columns import iso

TIDY_EVERY_S = 60.0


async def show(state: ControlState, request: Usage, fds: list[int]) -> dict[str, Any]:
    """One's own use, everybody's for admins; `people` are the totals, `rows` the same by what was asked for."""
    person = None if is_admin(state) else state.principal
    now, since = state.clock(), timedelta(seconds=request.since_s)
    totals = await state.records.read(usage.grouped, person, by="person", now=now, since=since)
    rows = totals if request.by == "person" else await state.records.read(usage.grouped, person, by=request.by, now=now, since=since)
    people = [{name: value for name, value in row.items() if name != "key"} for row in totals]
    return {"people": people, "by": request.by, "since": iso(now - since), "rows": rows}


async def kernel_history(state: ControlState, request: KernelHistory, fds: list[int]) -> dict[str, Any]:
    """Samples of a kernel that runs or has ended; NotFound for one that nobody may ask about, or that left none."""
    person = None if is_admin(state) else state.principal
    found = await state.records.read(history.of_kernel, request.kernel_id, person)
    if not found:
        raise NotFound("nothing is known of how this kernel went", next_step="samples are kept for a week; the first comes 10 s after a start")
    return {"id": request.kernel_id, "samples": found}


def beat(connection: Connection, uses: dict[str, leases.Use], principal: str, *, now: datetime, ttl_s: float, holder: str = "") -> list[str]:
    """`leases.beat`, with a sample of each kernel in the same transaction."""
    ended = leases.beat(connection, uses, principal, now=now, ttl_s=ttl_s, holder=holder)
    history.keep(connection, sorted(set(uses) - set(ended)), principal, now=now)
    return ended


async def tidy_forever(state: ControlState) -> None:
    """Every minute: old samples go, and leases that ended long ago become sums."""
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        try:
            await tidy(state)
        except GuardrailsError as error:  # a full disk: the next minute will do
            log.warning("what is old could not be tidied up: %s", error.message)


async def tidy(state: ControlState) -> None:
    """Once, in small transactions: whoever starts a kernel meanwhile hardly waits."""
    await state.records.write(history.prune, now=state.clock())
    while await state.records.write(past_use.compact, now=state.clock()):
        pass


OPERATIONS: Operations = {Usage: show, KernelHistory: kernel_history}
