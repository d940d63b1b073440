"""Reviewing submissions: approved, sent back or rejected by people whom the policy names, for exactly the digests that they looked at.

In *own* mode, where control runs under the account of whoever works here, a decision is a self-test: it is judged and recorded like any
other, is labelled so everywhere, and moves nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority, packages, shapes, stops
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionDecisions, SubmissionsQueue
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, NotFound
from jupyter_guardrails.records import decisions, submissions
from jupyter_guardrails.records.columns import iso

NEVER_SEEN = frozenset({"draft", "submitted", "checking", "checks_failed", "cancelled"})  # an author's own business until it is in review


async def queue(state: ControlState, request: SubmissionsQueue, fds: list[int]) -> dict[str, Any]:
    """What waits for this person's review, oldest first; what one has decided already is left out."""
    rows = await state.records.read(submissions.newest, None, limit=1000)
    waiting = [row for row in reversed(rows) if row["state"] == "in_review" and _may(state, row)]
    return {"submissions": [shapes.submission(row, service=state.service) for row in waiting if not await _decided(state, row)]}


async def decide(state: ControlState, request: SubmissionDecide, fds: list[int]) -> dict[str, Any]:
    """The submission and every decision on it; Conflict when the digests are not those in review."""
    row = await _found(state, request.id)
    job = f"{row['name']}-{row['version']}"
    verdict = authority.on_job(state.effective(), job=job, submitted_by=row["principal"], service=state.service)
    if not verdict.allowed:
        await authority.refuse(state, f"review.{request.decision}", job, verdict)
    await authority.refuse_suspended_person(state, f"review.{request.decision}", job)
    if request.decision != "approve" and not request.words.strip():
        raise BadRequest("say what must change, or why it can't be: its author reads it", next_step="--reason '…'")
    if request.decision == "approve":
        await _refuse_stopped(state, row)
    said = decisions.Said(
        submission=row["id"],
        reviewer=state.principal,
        decision=request.decision,
        words=request.words,
        content_digest=request.content_digest,
        evidence_digest=request.evidence_digest,
        self_test=not state.service,
        rule=str(verdict.rule),
        policy_digest=state.policy_digest,
    )
    return await _answer(state, await state.records.write(_decide, state, said))


async def made(state: ControlState, request: SubmissionDecisions, fds: list[int]) -> dict[str, Any]:
    """The decisions on one submission: for its author, and for who may review it."""
    return await _answer(state, await _found(state, request.id))


async def reviewable(state: ControlState, id: str) -> dict[str, Any] | None:
    """Another person's submission that this one may look at, else None."""
    row = await state.records.read(submissions.get, id)
    seen = row["principal"] != state.principal and not row["draft"] and row["state"] not in NEVER_SEEN and _may(state, row)
    return row if seen else None


async def _found(state: ControlState, id: str) -> dict[str, Any]:
    row = await state.records.read(submissions.get, id)
    if row["principal"] == state.principal:
        return row
    if (found := await reviewable(state, id)) is None:
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list --review` shows what waits for you")
    return found


def _may(state: ControlState, row: dict[str, Any]) -> bool:
    name = f"{row['name']}-{row['version']}"
    return authority.on_job(state.effective(), job=name, submitted_by=row["principal"], service=state.service).allowed


async def _decided(state: ControlState, row: dict[str, Any]) -> bool:
    return any(said["reviewer"] == state.principal for said in await state.records.read(decisions.of, row["id"]))


async def _refuse_stopped(state: ControlState, row: dict[str, Any]) -> None:
    """A suspended job, or one with a suspended Python package in it, is not approved."""
    locked = await asyncio.to_thread(packages.names_in_archive, Path(row["package_path"])) if row["package_path"] else []
    for decision in await stops.objections(state, stops.job_names(row), locked):
        await authority.refuse(state, "review.approve", f"{row['name']}-{row['version']}", decision)


def _decide(connection: Connection, state: ControlState, said: decisions.Said) -> dict[str, Any]:
    """Decision, move and notice in one transaction, with a last look at suspensions."""
    before = submissions.get(connection, said.submission)
    if said.decision == "approve":
        refuse_suspended(connection, "job", *stops.job_names(before))
    row = decisions.decide(connection, said, now=state.clock(), approvals=state.effective().approvals)
    if row["state"] != before["state"]:
        announcing.told(state, row, row["state"], reason=said.words).put(connection)
    return row


async def _answer(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    made = await state.records.read(decisions.of, row["id"])
    shown = [{key: item[key] for key in ("reviewer", "decision", "words", "self_test", "content_digest")} for item in made]
    times = [iso(item["decided_at"]) for item in made]
    agreed = sum(1 for item in made if item["decision"] == "approve" and not item["self_test"])
    label = authority.SELF_TEST if not state.service else shapes.LABELS[row["state"]]
    counts = {"approvals": agreed, "needed": state.effective().approvals, "label": label}
    said = [item | {"decided_at": time} for item, time in zip(shown, times, strict=True)]
    return {"submission": shapes.submission(row, service=state.service), "decisions": said} | counts


OPERATIONS: Operations = {SubmissionsQueue: queue, SubmissionDecide: decide, SubmissionDecisions: made}
