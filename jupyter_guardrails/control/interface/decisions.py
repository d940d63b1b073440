"""Requests to control: what is asked for and submitted is decided by others than who asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class RequestDecide(Request):
    """-> AccessRequest of openapi.yaml. `days`: fewer than were asked for; a refusal needs a reason."""

    op = "requests.decide"
    id: str = Field(max_length=100)
    decision: Literal["grant", "refuse"]
    reason: str = Field(default="", max_length=2000)
    days: int | None = Field(default=None, ge=1, le=365)


class GrantsList(Request):
    """-> {grants: [{id, person, dataset, granted_by, granted_at, expires_at, rule}]}: live ones that this person has, or may revoke."""

    op = "grants.list"
    repeatable = True


class GrantRevoke(Request):
    """-> the grant. `id`: of the grant, or of the request that it came from."""

    op = "grants.revoke"
    id: str = Field(max_length=100)
    reason: str = Field(min_length=3, max_length=2000)


class SubmissionsQueue(Request):
    """-> {submissions: [Submission]} that wait for this person's review, oldest first."""

    op = "submissions.queue"
    repeatable = True


class ReviewsOverview(Request):
    """-> {person, service, reviewer, waiting, drafts, decided}: all that a reviewer has on their desk, without the checks of each.

    `reviewer`: {allowed, reason, rule, next_step}, whether the policy names this person; `waiting`, oldest first; `drafts` that their authors
    show; `decided` by this person lately, newest first, each with {decision, words, self_test, decided_at}. A row says how often it was decided on.
    """

    op = "reviews.overview"
    repeatable = True


class SubmissionDecide(Request):
    """-> {submission, decisions: [{reviewer, decision, words, self_test, decided_at, …}], approvals, needed, label, missing, objections}.

    The digests are those of what was reviewed: with any other the decision is refused. `conditions` and `days` (it ends after so many) are
    those of an approval. `missing`: what keeps it from being approved; `objections`: why what was approved may not go into production now.
    """

    op = "submissions.decide"
    id: str = Field(max_length=100)
    decision: Literal["approve", "send_back", "reject"]
    words: str = Field(default="", max_length=4000)
    conditions: str = Field(default="", max_length=2000)
    days: int | None = Field(default=None, ge=1, le=3650)
    content_digest: str = Field(min_length=64, max_length=64)
    evidence_digest: str = Field(min_length=64, max_length=64)


class SubmissionDecisions(Request):
    """-> the answer of `submissions.decide`, as it is now."""

    op = "submissions.decisions"
    repeatable = True
    id: str = Field(max_length=100)


class SubmissionEvidence(Request):
    """-> {before: {id, version, state} or null, data: [{name, classification, owner}], cost, cost_before}.

    `before`: the version that was approved last; `owner`: whose word the policy wants for that data; a cost is {cpu_s, memory_peak_bytes,
    memory_gib_s, gpu_s, wall_s} of the clean run, or null.
    """

    op = "submissions.evidence"
    repeatable = True
    id: str = Field(max_length=100)
