"""What is announced, and to whom: a notice lies in the outbox from the very transaction of what it tells."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.policy.document import Notify
from jupyter_guardrails.records import audit, outbox
from jupyter_guardrails.records.columns import iso

NUMBERS = itertools.count()  # what is told at the same moment is sent in its order
LONGEST = 500  # characters of a person's words in a notice
MOVES = {
    "in_review": ("submission.in_review", "waits for review", "jupyter guardrails job list --review"),
    "checks_failed": ("submission.checks_failed", "failed its checks", "its author sees which with `jupyter guardrails job show`"),
    "approved": ("submission.approved", "was approved", ""),
    "changes_requested": ("submission.changes_requested", "was sent back", "its author changes it and submits it again"),
    "rejected": ("submission.rejected", "was rejected", ""),
    "withdrawn": ("submission.withdrawn", "was taken back by its author", ""),
    "retired": ("submission.retired", "was retired for good", ""),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """An event for the targets that the policy in force names; `put` it in the transaction of what it tells."""

    targets: tuple[str, ...]
    event: dict[str, Any]
    now: datetime
    policy_digest: str

    def put(self, connection: Connection) -> None:
        """Into the outbox; what had to go for it is on the audit record."""
        for row in outbox.put(connection, self.targets, self.event, now=self.now):
            given_up(connection, row, "too many notices were waiting", now=self.now, policy_digest=self.policy_digest)


def notice(
    state: ControlState,
    kind: str,
    title: str,
    *,
    resource: str,
    person: str = "",
    reason: str = "",
    rule: str = "",
    next_step: str = "",
    id: str | None = None,
) -> Notice:
    """A notice of this moment. `id`: the same id is told once, however often it is put (a budget that is used up, say)."""
    now = state.clock()
    event = {"id": id or f"n-{next(NUMBERS):08x}-{secrets.token_hex(12)}", "kind": kind, "time": iso(now), "title": title}
    event |= {"person": person or state.principal}
    event |= {"resource": resource, "reason": reason[:LONGEST], "rule": rule, "next_step": next_step, "policy": state.policy_digest[:12]}
    event["self_test"] = "" if state.service else "control runs under the account of whoever works here"
    return Notice(targets(state), event, now, state.policy_digest)


def targets(state: ControlState) -> tuple[str, ...]:
    """`webhook`, `smtp`: those that the policy in force names."""
    told = settings(state)
    return tuple(name for name in ("webhook", "smtp") if getattr(told, name))


def settings(state: ControlState) -> Notify:
    """`notify` of the policy in force; nothing without one."""
    policy = state.policies.current
    return policy.document.notify if policy else Notify()


def asked(state: ControlState, said: dict[str, Any]) -> Notice:
    """Somebody asks for a dataset."""
    title = f"{said['principal']} asks for {said['dataset']} for {said['days']} days"
    next_step = f"jupyter guardrails data grant {said['id']}"
    return notice(state, "request.open", title, resource=said["dataset"], reason=said["purpose"], rule=said["rule"], next_step=next_step)


def asked_more(state: ControlState, said: dict[str, Any]) -> Notice:
    """Somebody asks for more of a limit for a while."""
    title = f"{said['principal']} asks for {more_of(said)} until {said['until']:%Y-%m-%d %H:%M} UTC"
    next_step = f"jupyter guardrails requests approve {said['id']}"
    return notice(state, "request.open", title, resource=said["dataset"], reason=said["purpose"], rule=said["rule"], next_step=next_step)


def asked_package(state: ControlState, said: dict[str, Any]) -> Notice:
    """Somebody asks for a Python package."""
    title = f"{said['principal']} asks for the package {said['dataset'].partition('.')[2]} for {said['days']} days"
    next_step = f"jupyter guardrails requests show {said['id']}"
    return notice(state, "request.open", title, resource=said["dataset"], reason=said["purpose"], rule=said["rule"], next_step=next_step)


def more_of(row: dict[str, Any]) -> str:
    """What a request of kind `more` is about: the limit, and what it shall be (a profile has no amount)."""
    return str(row["dataset"]) if row["amount"] is None else f"{row['dataset']} {row['amount']:g}"


def told(state: ControlState, row: dict[str, Any], to_state: str, *, reason: str = "") -> Notice:
    """The notice of a submission's move."""
    kind, words, next_step = MOVES[to_state]
    job = f"{row['name']}-{row['version']}"
    return notice(state, kind, f"{job} of {row['principal']} {words}", resource=job, reason=reason, next_step=next_step)


async def budget_used_up(state: ControlState, refusal: GuardrailsError) -> None:
    """Tell that somebody's budget is used up: once a day for a person, however often they try."""
    id = f"budget-{state.principal}-{state.clock():%Y-%m-%d}"
    title = f"the budget of {state.principal} is used up"
    told = notice(state, "budget", title, resource="budget", reason=refusal.message, rule=refusal.rule, next_step=refusal.next_step, id=id)
    await state.records.write(lambda connection: told.put(connection))


def given_up(connection: Connection, row: dict[str, Any], error: str, *, now: datetime, policy_digest: str) -> None:
    """The audit record of a notice that nobody got."""
    event = row["event"]
    said = {"resource": f"{event['kind']} to {row['target']}", "reason": f"{event['title']}: given up, {error}", "rule": "built-in notify"}
    audit.append(connection, now=now, principal="control", action="notice.given_up", allowed=False, policy_digest=policy_digest, **said)
