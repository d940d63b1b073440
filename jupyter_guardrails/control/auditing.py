"""Keeping the audit log: its key, anchors in time, witnesses as the policy names them, older parts, and what may be removed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.state import ControlState, log
from jupyter_guardrails.policy import Policy
from jupyter_guardrails.records import anchors, audit, keys, parts, retention, sinks, witnesses
from jupyter_guardrails.records.sinks import Witness

TICK_S = 1.0
TIDY_EVERY = timedelta(hours=1)
SAVE_EVERY = timedelta(minutes=1)


@dataclass
class Upkeep:
    """When each thing was last done, and for which policy."""

    anchored_at: datetime
    tidied_at: datetime | None = None
    saved_at: datetime | None = None
    policy: Policy | None = None


async def begin(state: ControlState) -> Upkeep:
    """Before the first request: the log has a key, is anchored, and its witnesses are known."""
    await state.records.write(keys.begin, state.settings.state_dir, now=state.clock())
    state.records.sinks.strict = lambda: state.policies.current is None or state.policies.current.document.mode == "enforce"
    upkeep = Upkeep(state.clock())
    await _follow_policy(state, upkeep)
    return upkeep


async def keep_up(state: ControlState, upkeep: Upkeep) -> None:
    """For ever; whatever fails once is tried again at the next turn."""
    while True:
        await asyncio.sleep(TICK_S)
        try:
            await turn(state, upkeep)
        except Exception:  # noqa: BLE001 - one turn's failure must not end the upkeep; what can't be recorded is refused where it is asked for
            log.exception("the audit log could not be kept")


async def turn(state: ControlState, upkeep: Upkeep) -> None:
    """Whatever is due now."""
    await _follow_policy(state, upkeep)
    now = state.clock()
    if state.records.sinks.failing:
        await state.records.write(_nothing)  # looks again whether it can be written
    for sentence in _taken(state.records.sinks.recovered):
        await state.audit("audit.sink", "audit log", reason=sentence, rule="built-in nothing-goes-unrecorded", principal=keys.CONTROL)
    if now - upkeep.anchored_at >= timedelta(seconds=_anchor_every_s(state)):
        await state.records.write(audit.anchor, now=now)
        upkeep.anchored_at = now
    if upkeep.saved_at is None or now - upkeep.saved_at >= SAVE_EVERY:
        await state.records.write(sinks.save_places, state.records.sinks.places())
        upkeep.saved_at = now
    if upkeep.tidied_at is None or now - upkeep.tidied_at >= TIDY_EVERY:
        upkeep.tidied_at = now
        await tidy(state)


async def tidy(state: ControlState) -> None:
    """Remove what is older than the policy's `audit.keep`, and compress older parts."""
    policy = state.policies.current
    if policy is not None and policy.document.audit.keep is not None:
        said: dict[str, Any] = {"keep_s": policy.document.audit.keep, "rule": str(policy.place("audit.keep")), "policy_digest": policy.digest}
        last = await state.records.write(retention.remove, now=state.clock(), **said)
        if last:
            log.info("audit: records up to %s are older than %s allows, and removed", last, policy.place("audit.keep"))
    gone = await state.records.read(retention.removed_to)
    await state.records.write(_forget_parts, state, gone)  # also after a crash between the table and the files
    await asyncio.to_thread(parts.compress, state.settings.state_dir)


async def end(state: ControlState) -> None:
    """Control ends in good order: the head is anchored, and how far witnesses were told is kept."""
    await state.records.write(audit.anchor, now=state.clock())
    await state.records.write(sinks.save_places, state.records.sinks.places())


async def _follow_policy(state: ControlState, upkeep: Upkeep) -> None:
    policy = state.policies.current
    if policy is None or policy is upkeep.policy:
        return
    if upkeep.policy is None or policy.document.audit != upkeep.policy.document.audit:
        await asyncio.to_thread(state.records.sinks.set_witnesses, _witnesses(policy))
    upkeep.policy = policy


def _witnesses(policy: Policy) -> list[Witness]:
    rule = str(policy.place("audit.witness"))
    said = policy.document.audit.witness
    return [witnesses.make(one.to, required=one.required, every_record=one.records, rule=rule) for one in said]


def _anchor_every_s(state: ControlState) -> int:
    policy = state.policies.current
    return policy.document.audit.anchor_every if policy is not None else anchors.ANCHOR_EVERY_S


def _taken(sentences: list[str]) -> list[str]:
    taken, sentences[:] = list(sentences), []
    return taken


def _nothing(connection: Connection) -> None:
    """A write of nothing: the file and the witnesses are tried again with it."""


def _forget_parts(connection: Connection, state: ControlState, until: int) -> None:
    if state.records.sinks.journal is not None and until:
        state.records.sinks.journal.forget(until)
