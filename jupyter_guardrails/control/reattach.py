"""What a control that was started again goes on with: leases, and the listeners and mounters that were kept for it (descriptor_store.py)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.control import frames, lifetimes, roots, starting
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import ListenerKind
from jupyter_guardrails.control.listeners import name_of
from jupyter_guardrails.control.state import ControlState, LiveKernel, log
from jupyter_guardrails.errors import GuardrailsError, NotFound
from jupyter_guardrails.records import leases
from jupyter_guardrails.records.tables import LIVE
from jupyter_guardrails.sandbox import meter

GONE_S = 20.0  # a server that lives restarts or settles a kernel that died within 15 s: its word counts more, and says what was used
CLOSING = "control ended while this was being closed"
GONE = "its kernel ended while control was away"
LOST = (
    "control was started again without the connections of this kernel: it runs on under its limits, "
    "but asks for data and the network are answered no more. Restart the kernel, and they are"
)


async def reattach(state: ControlState) -> None:
    """Called before the first request: every live lease is served again, or ended with the reason. Descriptors without a lease are closed."""
    roots.take_again(state)
    for row in await state.records.read(leases.live, None):
        await _go_on(state, row)
    if left := state.store.drop_rest():
        log.info("closed what was kept for kernels that are over: %s", ", ".join(left))


async def _go_on(state: ControlState, row: dict[str, Any]) -> None:
    if row["kind"] == "clean_run":
        await lifetimes.end(state, row, reason="control ended, and with it the worker of this clean run")
    elif row["state"] == "closing":
        state.spawn(_end_later(state, row, CLOSING), f"lease {row['id']}, which was being closed")
    else:
        admission = _admission(row)
        if admission is not None:
            state.admitted[row["id"]] = admission
        if row["state"] == "active":
            await _serve_again(state, row, admission)


def _admission(row: dict[str, Any]) -> Admission | None:
    """What the lease grants; None for one of a version that didn't keep it."""
    try:
        return Admission.model_validate(row["admission"]) if row["admission"] else None
    except ValidationError as error:
        log.error("lease %s of %s can't be gone on with, its grants can't be read: %s", row["id"], row["principal"], error)
        return None


async def _serve_again(state: ControlState, row: dict[str, Any], admission: Admission | None) -> None:
    if _is_gone(row):
        state.spawn(_end_later(state, row, GONE), f"lease {row['id']}, whose kernel is gone")
        return
    found = _kept(state, row)
    lacks = Counter(row["listeners"] or ()) - Counter(kind for kind, _ in found)
    if admission is None or lacks:
        frames.close_all([fd for _, fd in found])
        await _lost(state, row, ", ".join(sorted(lacks)) or "what it was granted")
        return
    live = LiveKernel(row["id"], row["kernel_id"], row["kind"], row["pid"], row["report"] or {}, admission, workspace=row["workspace"])
    try:
        await starting.serve(state, live, found)
    except (GuardrailsError, OSError) as error:
        await lifetimes.close_servers(state, row["id"])
        await _lost(state, row, str(error))
    else:
        await _record(state, row, allowed=True, reason="control was started again and goes on with this kernel")


def _kept(state: ControlState, row: dict[str, Any]) -> list[tuple[ListenerKind, int]]:
    return [(kind, fd) for kind in dict.fromkeys(row["listeners"] or ()) for fd in state.store.take(name_of(row["id"], kind))]


async def _lost(state: ControlState, row: dict[str, Any], what: str) -> None:
    """Its lease stays: ending it would cost its person everything in memory, and nothing is granted to it that isn't asked of us."""
    log.error("kernel %s of %s runs on without its connections: lost is %s", row["kernel_id"], row["principal"], what)
    state.untold[row["id"]] = LOST
    await _record(state, row, allowed=False, reason=f"control was started again without this kernel's connections ({what}): it runs on without them")


async def _record(state: ControlState, row: dict[str, Any], *, allowed: bool, reason: str) -> None:
    said = {"principal": row["principal"], "kernel": row["kernel_id"], "notebook": row["notebook"], "rule": row["rule"]}
    await state.audit("kernel.reattach", row["profile"], allowed=allowed, reason=reason, **said)


def _is_gone(row: dict[str, Any]) -> bool:
    """Whether its process has ended; False where control could never see it."""
    return row["pid_started"] is not None and meter.start_time(row["pid"]) != row["pid_started"]


async def _end_later(state: ControlState, row: dict[str, Any], reason: str) -> None:
    """First its server may say what became of it: it restarts the kernel under this lease, or settles it."""
    await asyncio.sleep(GONE_S)
    try:
        now = await state.records.read(leases.get, row["id"], row["principal"])
    except NotFound:
        return
    if now["state"] == "closing" or (now["state"] in LIVE and _is_gone(now)):
        await lifetimes.end(state, now, reason=reason)
