"""Approvals that end: their people are told ahead, and when it has happened; each once, as long as nobody gives the approval anew."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, approvals
from jupyter_guardrails.control.repeating import repeat
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.records import audit, decisions

EVERY_S = 60.0
AHEAD = timedelta(days=14)
STATES = ("approved", "deployed")


async def follow_forever(state: ControlState) -> None:
    """Look each minute; also after control was started again."""
    await repeat(functools.partial(follow, state), every_s=EVERY_S, name="approvals that end")


async def follow(state: ControlState) -> None:
    """Tell of what ends soon and of what has ended since the last look."""
    now = state.clock()
    if state.policies.current is None:
        return  # nobody can say how long approvals last
    for row, said in await state.records.read(decisions.in_force, STATES):
        ends = approvals.ends_at(state, [said])
        phase = "" if ends is None or ends > now + AHEAD else "ahead" if ends > now else "lapsed"
        if phase and phase != said["told"]:
            await state.records.write(_tell, state, row, said, phase, f"{ends:%Y-%m-%d}")


def _tell(connection: Connection, state: ControlState, row: dict[str, Any], said: dict[str, Any], phase: str, day: str) -> None:
    """Mark, record and notice in one transaction; nothing where somebody else was faster, or gave it anew meanwhile."""
    if not decisions.told(connection, said, phase):
        return
    job, who = approvals.job_of(row), said["reviewer"]
    words = f"lapsed on {day}" if phase == "lapsed" else f"lapses on {day}"
    rule = said["rule"] if said["expires_at"] else str(state.policies.in_force.place("promotion.review_every"))
    next_step = f"jupyter guardrails job approve {row['id']} --digest {row['content_digest'][:12]}"
    title, reason = (
        f"the approval of {job} by {who} {words}",
        f"{row['principal']}'s job is {row['state']}; {who} approved it on {said['decided_at']:%Y-%m-%d}",
    )
    said_of = {"person": who, "resource": job, "reason": reason, "rule": rule, "next_step": next_step}
    announcing.notice(state, f"approval.{phase}", title, **said_of).put(connection)
    if phase == "lapsed":
        audit.append(connection, **state.audit_fields("review.lapse", job, allowed=False, reason=title, rule=rule, principal="control"))
