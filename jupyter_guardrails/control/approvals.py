"""What an approval is worth now: judged anew when a job is looked at and before it goes into production, not only when it was given.

A job may be deployed when it was approved, its package is what was approved, enough approvals still count (none has ended, its signature
holds, its reviewer is one today), and the policy, suspensions and grants of today let it run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jupyter_guardrails.control import authority, declared, four_eyes, packages, published, signing, stops
from jupyter_guardrails.control.interface.jobs import DECLARED, DeclaredInput
from jupyter_guardrails.control.rights import rights, stopped
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.package.verify import Verified
from jupyter_guardrails.policy import Decision, Resource, RuleRef, Value
from jupyter_guardrails.policy.person import LabelIndex
from jupyter_guardrails.records import decisions, submissions

Row = Mapping[str, Any]
ONLY_APPROVED = RuleRef("", 0, "only what was approved goes into production")
AS_APPROVED = RuleRef("", 0, "what runs is what was approved")
AGAIN = "its reviewers look at it again: `jupyter guardrails job approve {id} --digest {digest:.12}`"


@dataclass(frozen=True, slots=True)
class Deployable:
    """A job that may go into production now: its package's file, whose identity it runs as, and until when on which conditions."""

    row: dict[str, Any]
    package: Path
    job: Job
    identity: str
    conditions: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Voice:
    """What one person's word on a job would count for: a reviewer's, and that of the owners of these datasets."""

    as_reviewer: Decision
    datasets: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether it counts at all."""
        return self.as_reviewer.allowed or bool(self.datasets)


async def deployable(state: ControlState, id: str, *, action: str, run_as: str = "") -> Deployable:
    """The job, if it may go into production now; else Refused with every reason, recorded as `action`.

    It would run as `run_as`, else as the policy's `promotion.run_as`, else as its submitter.
    """
    row = await state.records.read(submissions.get, id)
    identity = identity_of(state, row, run_as)
    if found := await objections(state, row, run_as=identity):
        reasons = Decision(False, "; ".join(one.reason for one in found), found[0].rule, found[0].next_step)
        await authority.refuse(state, action, job_of(row), reasons)
    verified = await asyncio.to_thread(signing.kept, state, row)
    counting, _ = await standing(state, row, verified)
    conditions = tuple(f"{said['reviewer']}: {said['conditions']}" for said in counting if said["conditions"])
    return Deployable(row, Path(row["package_path"]), verified.job, identity, conditions, ends_at(state, counting))


async def objections(state: ControlState, row: Row, *, run_as: str = "") -> list[Decision]:
    """Why a job may not go into production now, each with its rule and next step; none where it may."""
    if row["draft"] or row["state"] not in decisions.APPROVED or row["approved_at"] is None:
        what = authority.SELF_TEST if not state.service and row["state"] == "in_review" else f"it is {row['state'].replace('_', ' ')}"
        return [Decision(False, f"{job_of(row)} is not approved: {what}", ONLY_APPROVED, f"jupyter guardrails job show {row['id']}")]
    try:
        verified = await asyncio.to_thread(signing.kept, state, row)
    except GuardrailsError as error:
        return [Decision(False, f"{job_of(row)}: {error.message}", AS_APPROVED, error.next_step or "submit it again")]
    return [*await _of_approvals(state, row, verified), *await _of_policy(state, row), *await _of_identity(state, row, verified.job, run_as)]


async def objections_of_today(state: ControlState, row: Row, run_as: str) -> list[Decision]:
    """Why a package may not run now whoever approved it: suspensions, policy, and what `run_as` may read. PackageError when it was changed."""
    verified = await asyncio.to_thread(signing.kept, state, row)
    return [*await _of_policy(state, row), *await _of_identity(state, row, verified.job, run_as)]


def identity_of(state: ControlState, row: Row, run_as: str = "") -> str:
    """The account that a job runs as."""
    return run_as or state.policies.in_force.document.promotion.run_as or str(row["principal"])


def job_of(row: Row) -> str:
    """Name and version, as people call it."""
    return f"{row['name']}-{row['version']}"


async def standing(state: ControlState, row: Row, verified: Verified) -> tuple[list[dict[str, Any]], list[Decision]]:
    """The approvals that count now, and why each of the others doesn't."""
    counting: list[dict[str, Any]] = []
    void: list[Decision] = []
    for said in await state.records.read(decisions.of, row["id"]):
        if said["decision"] != "approve" or said["self_test"]:
            continue
        refusal = await _void(state, row, said, verified)
        void += [refusal] if refusal else []
        counting += [] if refusal else [said]
    return counting, void


async def _void(state: ControlState, row: Row, said: dict[str, Any], verified: Verified) -> Decision | None:
    """Why one approval does not count now: it ended, its signature doesn't hold, or its reviewer isn't one any more."""
    who, again = said["reviewer"], AGAIN.format(id=row["id"], digest=row["content_digest"])
    if not decisions.counts(said, row["content_digest"], row["evidence_digest"], now=state.clock()):
        ended = f"ended on {said['expires_at']:%Y-%m-%d}" if said["expires_at"] else "is for another digest"
        return Decision(False, f"the approval of {who} {ended}", ONLY_APPROVED, again)
    if (lapses := lapses_at(state, said)) is not None and lapses <= state.clock():
        rule = state.policies.in_force.place("promotion.review_every")
        return Decision(False, f"the approval of {who} lapsed on {lapses:%Y-%m-%d}", rule, again)
    if problem := await asyncio.to_thread(signing.problem_of, state, row, said, verified.digests):
        return Decision(False, f"the approval of {who} does not hold: {problem}", AS_APPROVED, again)
    try:
        await state.groups.refresh(who)
        now = await voice(replace(state, principal=who), row)
    except GuardrailsError as error:
        return Decision(False, f"the approval of {who} can't be judged: {error.message}", ONLY_APPROVED, error.next_step)
    if (said["as_reviewer"] and not now.as_reviewer.allowed) or not set(said["datasets"]) <= set(now.datasets):
        return Decision(False, f"the approval of {who} counts no longer: {now.as_reviewer.reason}", now.as_reviewer.rule, again)
    return None


def lapses_at(state: ControlState, said: Row) -> datetime | None:
    """When an approval lapses by the policy of today; None where it never does."""
    every_s = state.policies.in_force.document.promotion.review_every
    decided: datetime = said["decided_at"]
    return decided + timedelta(seconds=every_s) if every_s else None


def ends_at(state: ControlState, counting: Sequence[Row]) -> datetime | None:
    """When the first of these approvals ends."""
    ends = [end for said in counting for end in (said["expires_at"], lapses_at(state, said)) if end is not None]
    return min(ends, default=None)


async def voice(state: ControlState, row: Row) -> Voice:
    """What this person's word on a job would count for."""
    policy, author = state.effective(), row["principal"]
    reviewer = authority.on_job(policy, job=job_of(row), submitted_by=author, service=state.service)
    if author == state.principal:
        return Voice(reviewer, ())
    owners = await sign_offs(state, row)
    mine = tuple(name for name, owner in owners.items() if authority.on_input(policy, name, owner=owner, asked_by=author).allowed)
    return Voice(reviewer, mine)


async def sign_offs(state: ControlState, row: Row) -> dict[str, str]:
    """Dataset -> its owner, of the data that the job inherits from and whose owner's word the policy wants by its label."""
    policy = state.policies.in_force
    entries, rule = policy.document.promotion.sign_off, policy.place("promotion.sign_off")
    if not entries or not row["package_path"]:
        return {}
    index, contracts = LabelIndex(tuple(Value(entry, rule) for entry in entries)), state.catalogs.current.by_name
    labels = signing.data_of(await asyncio.to_thread(signing.kept, state, row))
    then = {name: Resource(name, label) for name, label in labels.items()}
    now = {name: contracts[name].resource for name in labels if name in contracts}
    names = [name for name in labels if index.first(then[name]) or (name in now and index.first(now[name]))]
    owners = await published.owners_of(state, [{"inputs": [{"name": name} for name in names]}]) if names else {}
    return {name: owners.get(name, "") for name in names}


def missing(counting: Sequence[Row], owners: Mapping[str, str], needed: int) -> list[str]:
    """What keeps a job from being approved, in words; nothing where these approvals are enough."""
    lacking = needed - sum(1 for said in counting if said["as_reviewer"])
    signed = {name for said in counting for name in said["datasets"]}
    reviewers = [f"{lacking} more {'reviewer' if lacking == 1 else 'reviewers'} must approve it"] if lacking > 0 else []
    return reviewers + [f"{owner or 'whoever decides about it'} must approve it, for {name}" for name, owner in owners.items() if name not in signed]


async def _of_approvals(state: ControlState, row: Row, verified: Verified) -> list[Decision]:
    counting, void = await standing(state, row, verified)
    policy = state.policies.in_force
    lacking = missing(counting, await sign_offs(state, row), policy.document.promotion.approvals)
    if not lacking:
        return []
    again, rule = AGAIN.format(id=row["id"], digest=row["content_digest"]), policy.place("promotion.approvals")
    return [*void, *(Decision(False, f"{job_of(row)}: {one}", rule, again) for one in lacking)]


async def _of_policy(state: ControlState, row: Row) -> list[Decision]:
    """Suspensions, and the Python packages of its lock by the policy of today."""
    locked = await asyncio.to_thread(packages.names_in_archive, Path(row["package_path"]))
    await state.groups.refresh(row["principal"])
    try:
        policy = state.effective(row["principal"])
    except GuardrailsError as error:
        return [Decision(False, error.message, ONLY_APPROVED, error.next_step)]
    refused = packages.refused(locked, policy, state.clock()) if policy.checks["packages"].value == "require" else []
    return [*await stops.objections(state, stops.job_names(row), locked), *refused]


async def _of_identity(state: ControlState, row: Row, job: Job, run_as: str) -> list[Decision]:
    """Whether the account that it would run as is not suspended, and reads each input with masks as strict as in the clean run, or stricter."""
    identity = identity_of(state, row, run_as)
    inputs = [DeclaredInput.model_validate(entry.model_dump(include=DECLARED)) for entry in job.inputs]
    try:
        await state.groups.refresh(identity)
        if (row_of := (await rights(state, identity)).person) is not None:
            return [stopped(row_of)]
        await declared.check_job(replace(state, principal=identity), inputs)
    except GuardrailsError as error:
        rule = ONLY_APPROVED if not error.rule else RuleRef("", 0, error.rule)
        return [Decision(False, f"{identity}, as whom it would run, may not: {error.message}", rule, error.next_step)]
    return []


async def refuse_one_person(state: ControlState, row: Row, action: str) -> None:
    """Refused, and recorded, where this person submitted the job, or approved it, under another login."""
    said = [one for one in await state.records.read(decisions.of, row["id"]) if one["decision"] == "approve"]
    if (refusal := await four_eyes.refusal(state, row, said)) is not None:
        await authority.refuse(state, action, job_of(row), refusal)
