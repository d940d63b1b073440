"""The way back: an author withdraws, whoever reviews retires a job for good or goes back to a version that was approved before."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, approvals, authority, lifecycle, reviews, shapes, signing
from jupyter_guardrails.control.interface.lifecycle import SubmissionRetire, SubmissionRollback, SubmissionWithdraw
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.package import revocations as envelopes
from jupyter_guardrails.package import signatures
from jupyter_guardrails.policy import Decision
from jupyter_guardrails.records import audit, revocations, submissions
from jupyter_guardrails.records.columns import iso


async def withdraw(state: ControlState, request: SubmissionWithdraw, fds: list[int]) -> dict[str, Any]:
    """Taken back by its author: nobody decides about it any more, and what was approved is approved no longer."""
    row = await state.records.read(submissions.get, request.id)
    if row["principal"] != state.principal:
        raise NotFound(f"there is no submission {request.id} of yours", next_step="`jupyter guardrails job list` shows yours")
    return shapes.submission(await state.records.write(_moved, state, row["id"], "withdrawn", ""), service=state.service)


async def retire(state: ControlState, request: SubmissionRetire, fds: list[int]) -> dict[str, Any]:
    """Over for good: a signed revocation, which verification and deployment respect; its author may retire it, too."""
    row = await _allowed(state, request.id, "submission.retire", author=True)
    now = state.clock()
    said = {"submission": row["id"], "job": approvals.job_of(row), "reason": request.reason, "retired_by": state.principal, "retired_at": now}
    said |= {key: row[key] for key in ("content_digest", "evidence_digest")}
    signed = await asyncio.to_thread(_signed, state, row, said, now)
    row = await state.records.write(_retire, state, row["id"], said | {"attestation": signed})
    await asyncio.to_thread(_publish, state, row, signed)
    return {"submission": shapes.submission(row, service=state.service), "revocation": signed}


async def rollback(state: ControlState, request: SubmissionRollback, fds: list[int]) -> dict[str, Any]:
    """Recorded and told, if this version may go into production now and another one is there; whoever operates the job deploys it next."""
    row = await _allowed(state, request.id, "submission.rollback", author=False)
    job = approvals.job_of(row)
    now_there = await state.records.read(submissions.others, row, "deployed")
    if not now_there or row["state"] == "deployed":
        what = f"{job} is in production already" if row["state"] == "deployed" else f"no other version of {row['name']} is in production"
        raise Conflict(what, next_step=f"jupyter guardrails job deploy {row['id']}")
    await approvals.deployable(state, row["id"], action="submission.rollback")
    instead = approvals.job_of(now_there[-1])
    fields = state.audit_fields("submission.rollback", job, reason=f"instead of {instead}: {request.reason}", notebook=row["notebook"])
    title, next_step = f"{state.principal} goes back from {instead} to {job}", f"jupyter guardrails job deploy {row['id']}"
    told = announcing.notice(state, "submission.rollback", title, resource=job, reason=request.reason, next_step=next_step)
    await state.records.write(_record, fields, told)
    shown = await state.records.read(submissions.get, now_there[-1]["id"])
    return {"submission": shapes.submission(row, service=state.service), "instead_of": shapes.submission(shown, service=state.service)}


async def _allowed(state: ControlState, id: str, action: str, *, author: bool) -> dict[str, Any]:
    """The submission, for whoever reviews jobs, admins, and (perhaps) its author: retiring one's own and going back are no approval."""
    row = await state.records.read(submissions.get, id)
    own, policy = row["principal"] == state.principal, state.effective()
    seen = row if own else await reviews.reviewable(state, id)
    if seen is None and "admin" not in policy.roles:
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list` shows those that you may see")
    reviewer = authority.on_job(policy, job=approvals.job_of(row), submitted_by="", service=state.service).allowed
    if not (reviewer or "admin" in policy.roles or (own and author)):
        rule = policy.place("promotion.reviewers")
        await authority.refuse(state, action, approvals.job_of(row), Decision(False, f"{state.principal} is not a reviewer", rule, "ask one"))
    await authority.refuse_suspended_person(state, action, approvals.job_of(row))
    return row


def _moved(connection: Connection, state: ControlState, id: str, to_state: str, reason: str) -> dict[str, Any]:
    said = {"now": state.clock(), "actor": state.principal, "policy_digest": state.policy_digest}
    return lifecycle.moved(connection, state, id, to_state, error=reason, **said)


def _retire(connection: Connection, state: ControlState, id: str, said: dict[str, Any]) -> dict[str, Any]:
    row = _moved(connection, state, id, "retired", said["reason"])
    revocations.revoke(connection, said)
    return row


def _record(connection: Connection, fields: dict[str, Any], told: announcing.Notice) -> None:
    audit.append(connection, **fields)
    told.put(connection)


def _signed(state: ControlState, row: dict[str, Any], said: dict[str, Any], now: datetime) -> str:
    """The envelope about the package with the digests of its row, also where its file is gone."""
    digests = signing.digests_of(state, row)
    predicate = {"job": said["job"], "reason": said["reason"], "retiredBy": said["retired_by"], "retiredAt": iso(now)}
    return signatures.sign(signatures.open_signer(signing.keys_of(state)), digests, envelopes.REVOCATION, predicate)


def _publish(state: ControlState, row: dict[str, Any], signed: str) -> None:
    """Beside control's public key, whole or not at all: a trust store that is a copy of this folder knows of it."""
    path = signing.keys_of(state) / f"{row['id']}{envelopes.SUFFIX}"
    fresh = path.with_suffix(".new")
    fresh.write_text(signed, encoding="utf-8")
    os.replace(fresh, path)


OPERATIONS: Operations = {SubmissionWithdraw: withdraw, SubmissionRetire: retire, SubmissionRollback: rollback}
