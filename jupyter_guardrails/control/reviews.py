"""Reviewing submissions: approved, sent back or rejected by people whom the policy names, for exactly the digests that they looked at.

In *own* mode, where control runs under the account of whoever works here, a decision is a self-test: it is judged and recorded like any
other, is labelled so everywhere, and moves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import approvals, authority, lifecycle, packages, shapes, sharing, signing, stops
from jupyter_guardrails.control.approvals import Voice
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionDecisions, SubmissionsQueue
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, PackageError
from jupyter_guardrails.records import decisions, submissions
from jupyter_guardrails.records.columns import iso

NEVER_SEEN = frozenset({"draft", "submitted", "checking", "checks_failed", "cancelled"})  # an author's own business until it is in review
ATTACHING = asyncio.Lock()
SHOWN = ("reviewer", "decision", "words", "self_test", "content_digest", "as_reviewer", "datasets", "conditions")


async def queue(state: ControlState, request: SubmissionsQueue, fds: list[int]) -> dict[str, Any]:
    """What waits for this person's review, oldest first; what one has decided already is left out."""
    rows = await state.records.read(submissions.newest, None, limit=1000)
    waiting = [row for row in reversed(rows) if row["state"] == "in_review" and await may(state, row)]
    return {"submissions": [shapes.submission(row, service=state.service) for row in waiting if not await _decided(state, row)]}


async def decide(state: ControlState, request: SubmissionDecide, fds: list[int]) -> dict[str, Any]:
    """The submission and every decision on it; Conflict when the digests are not those in review."""
    row = await found(state, request.id)
    action, job = f"review.{request.decision}", approvals.job_of(row)
    voice = await approvals.voice(state, row)
    if not voice.counts:
        await authority.refuse(state, action, job, voice.as_reviewer)
    await authority.refuse_suspended_person(state, action, job)
    await approvals.refuse_one_person(state, row, action)
    if request.decision == "approve":
        await _refuse_stopped(state, row)
    if not row["package_path"]:
        raise Conflict(f"{job} is {row['state']}: a draft is looked at, and not decided on", next_step="its author submits it first")
    _check_words(request)
    now, said = state.clock(), _said(state, request, voice)
    if request.decision == "approve" and state.service:
        said = await asyncio.to_thread(_signed, state, row, said, now)
    owners = await approvals.sign_offs(state, row)
    row = await state.records.write(_decide, state, said, owners, now)
    if said.attestation and row["approved_at"] is not None:
        async with ATTACHING:  # whoever is last has read what all before have said
            signed = [one for one in await state.records.read(decisions.of, row["id"]) if one["attestation"]]
            await asyncio.to_thread(signing.attach, state, row, signed)
    return await _answer(state, row)


def _check_words(request: SubmissionDecide) -> None:
    """A decision against needs words, and only an approval has conditions."""
    if request.decision != "approve" and not request.words.strip():
        raise BadRequest("say what must change, or why it can't be: its author reads it", next_step="--reason '…'")
    if request.decision != "approve" and (request.conditions or request.days):
        raise BadRequest("only an approval has conditions or an end", next_step="leave them away")


def _said(state: ControlState, request: SubmissionDecide, voice: Voice) -> decisions.Said:
    return decisions.Said(
        submission=request.id,
        reviewer=state.principal,
        decision=request.decision,
        words=request.words,
        content_digest=request.content_digest,
        evidence_digest=request.evidence_digest,
        self_test=not state.service,
        rule=str(voice.as_reviewer.rule if voice.as_reviewer.allowed else state.effective().place("promotion.sign_off")),
        policy_digest=state.policy_digest,
        uid=state.own_uid,
        as_reviewer=voice.as_reviewer.allowed,
        datasets=voice.datasets,
        conditions=" ".join(request.conditions.split()),
        expires_at=state.clock() + timedelta(days=request.days) if request.days else None,
    )


def _signed(state: ControlState, row: dict[str, Any], said: decisions.Said, now: datetime) -> decisions.Said:
    """The approval with control's signature, of the package as it lies in the store; PackageError where that is not what is approved."""
    digests = signing.kept(state, row).digests
    if (digests.content, digests.evidence) != (said.content_digest, said.evidence_digest):
        return said  # it is not what was reviewed: the transaction refuses it, with the digest of what is there
    return replace(said, attestation=signing.approval(state, row, digests, asdict(said), now))


async def made(state: ControlState, request: SubmissionDecisions, fds: list[int]) -> dict[str, Any]:
    """The decisions on one submission: for its author, and for who may review it."""
    return await _answer(state, await found(state, request.id))


async def reviewable(state: ControlState, id: str) -> dict[str, Any] | None:
    """Another person's submission that this one may look at, else None."""
    row = await state.records.read(submissions.get, id)
    shown = sharing.is_shared(state, row) or (not row["draft"] and row["state"] not in NEVER_SEEN)
    return row if row["principal"] != state.principal and shown and await may(state, row) else None


async def found(state: ControlState, id: str) -> dict[str, Any]:
    """A submission of one's own, or one that this person may review; NotFound for all others."""
    row = await state.records.read(submissions.get, id)
    if row["principal"] == state.principal:
        return row
    if (seen := await reviewable(state, id)) is None:
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list --review` shows what waits for you")
    return seen


async def may(state: ControlState, row: dict[str, Any]) -> bool:
    """A reviewer may look at what is broken, too; who speaks for data alone must be found by what control signed of it."""
    if authority.on_job(state.effective(), job=approvals.job_of(row), submitted_by=row["principal"], service=state.service).allowed:
        return True
    try:
        return (await approvals.voice(state, row)).counts
    except PackageError:
        return False


async def _decided(state: ControlState, row: dict[str, Any]) -> bool:
    return any(said["reviewer"] == state.principal for said in await state.records.read(decisions.of, row["id"]))


async def _refuse_stopped(state: ControlState, row: dict[str, Any]) -> None:
    """A suspended job, or one with a suspended Python package in it, is not approved."""
    locked = await asyncio.to_thread(packages.names_in_archive, Path(row["package_path"])) if row["package_path"] else []
    for decision in await stops.objections(state, stops.job_names(row), locked):
        await authority.refuse(state, "review.approve", approvals.job_of(row), decision)


def _decide(connection: Connection, state: ControlState, said: decisions.Said, sign_offs: Collection[str], now: datetime) -> dict[str, Any]:
    """Decision, move and notice in one transaction, with a last look at suspensions."""
    before = submissions.get(connection, said.submission)
    if said.decision == "approve":
        refuse_suspended(connection, "job", *stops.job_names(before))
    row = decisions.decide(connection, said, now=now, approvals=state.effective().approvals, sign_offs=sign_offs)
    return lifecycle.follow(connection, state, row, reason=said.words) if row["state"] != before["state"] else row


async def _answer(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    made = await state.records.read(decisions.of, row["id"])
    label = authority.SELF_TEST if not state.service else shapes.LABELS[row["state"]]
    now, same = state.clock(), (row["content_digest"], row["evidence_digest"])
    agreed = [said for said in made if decisions.counts(said, *same, now=now)]
    needed = state.policies.in_force.document.promotion.approvals
    counts = {"approvals": sum(said["as_reviewer"] for said in agreed), "needed": needed, "label": label}
    counts |= await _standing(state, row, agreed, needed)
    return {"submission": shapes.submission(row, service=state.service), "decisions": [_shape(state, said) for said in made]} | counts


async def _standing(state: ControlState, row: dict[str, Any], agreed: list[dict[str, Any]], needed: int) -> dict[str, Any]:
    """What is missing of a job in review; why one that was approved may not go into production now."""
    found: dict[str, Any] = {"missing": [], "objections": None}
    if row["state"] == "in_review" and state.service:
        found["missing"] = approvals.missing(agreed, await approvals.sign_offs(state, row), needed)
    elif row["approved_at"] is not None and row["state"] in decisions.APPROVED:
        said = await approvals.objections(state, row)
        found["objections"] = [{"reason": one.reason, "rule": str(one.rule), "next_step": one.next_step} for one in said]
    return found


def _shape(state: ControlState, said: dict[str, Any]) -> dict[str, Any]:
    """A decision as it is shown; `ends_at`: by its own end or by `review_every`, whichever is first."""
    ends = approvals.ends_at(state, [said]) if said["decision"] == "approve" else None
    return {key: said[key] for key in SHOWN} | {"decided_at": iso(said["decided_at"]), "ends_at": iso(ends) if ends else None}


OPERATIONS: Operations = {SubmissionsQueue: queue, SubmissionDecide: decide, SubmissionDecisions: made}
