"""Packages in production: who may deploy which, as whom it runs, and what its runs came to.

Control decides and keeps; whoever operates an engine starts the job there, under an account of their own. In *own* mode, where nothing can be
approved, a deployment of what is in review is a self-test, and says so.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.control import authority, declared, packages, reviews, stops
from jupyter_guardrails.control.interface.deployments import DeploymentCreate, DeploymentEnd, DeploymentLive, DeploymentsList
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.state import Answer, ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, PackageError, Refused
from jupyter_guardrails.package import archive, signatures
from jupyter_guardrails.package.job import Job, read_job
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.records import deployments, submissions
from jupyter_guardrails.records.columns import iso

APPROVED = frozenset({"approved", "deployed", "superseded"})  # superseded: it goes back to production
OWN_ACCOUNT = frozenset({"local"})  # engines whose runs have the account of who deploys
SAME = ("id", "submission", "name", "version", "author", "engine", "deployed_by", "run_as", "schedule", "parameters")
STATED = ("state", "reason", "self_test", "content_digest", "evidence_digest")
RUN = ("number", "state", "engine_job", "exit_code", "peak_bytes", "cell", "error", "log_tail")


async def create(state: ControlState, request: DeploymentCreate, fds: list[int]) -> Answer:
    """A deployment to prepare, with the package's bytes."""
    row = await _found(state, request.submission)
    job = job_of(row)
    verdict = authority.on_job(state.effective(), job=job, submitted_by=row["principal"], service=state.service)
    if not verdict.allowed:
        await authority.refuse(state, "deployment.create", job, verdict)
    await authority.refuse_suspended_person(state, "deployment.create", job)
    run_as, schedule = _wanted(state, request, await asyncio.to_thread(_job_of, row))
    await deployable(state, row, run_as)
    said = {"id": uuid.uuid4().hex, "submission": row["id"], "deployed_by": state.principal, "run_as": run_as, "engine": request.engine}
    said |= {key: row[key] for key in ("content_digest", "evidence_digest")} | {"self_test": not state.service}
    said |= {"schedule": schedule, "parameters": request.parameters}
    reason = f"{request.engine}, as {run_as}, content {row['content_digest']}" + ("" if state.service else f"; {authority.SELF_TEST}")
    fields = state.audit_fields("deployment.create", job, reason=reason, rule=verdict.rule)
    made = await state.records.write(deployments.create, said, fields)
    return Answer({"deployment": shape(made, [])}, (os.open(row["package_path"], os.O_RDONLY | os.O_CLOEXEC),))


async def live(state: ControlState, request: DeploymentLive, fds: list[int]) -> dict[str, Any]:
    """In production from now on; what it replaces has ended in the same moment."""
    row = await operated(state, request.id)
    await deployable(state, await state.records.read(submissions.get, row["submission"]), row["run_as"])
    fields = state.audit_fields("deployment.live", job_of(row), reason=f"{row['engine']}: deployment {row['id']}")
    replaced = await state.records.write(deployments.make_live, row["id"], fields)
    found = await state.records.read(deployments.get, row["id"])
    return {"deployment": shape(found, []), "replaced": [shape(one, []) for one in replaced]}


async def end(state: ControlState, request: DeploymentEnd, fds: list[int]) -> dict[str, Any]:
    """Over when this answers: for who deployed it, its job's author, and its reviewers."""
    row = await _seen(state, request.id)
    reason = request.reason or f"ended by {state.principal}"
    await state.records.write(deployments.finish, row["id"], reason, state.audit_fields("deployment.end", job_of(row)))
    return {"deployment": shape(await state.records.read(deployments.get, row["id"]), [])}


async def listed(state: ControlState, request: DeploymentsList, fds: list[int]) -> dict[str, Any]:
    """With the last runs of each; others' don't exist."""
    rows = [row for row in await state.records.read(deployments.newest) if _may_see(state, row)]
    wanted = [row for row in rows if request.id in ("", row["id"], row["submission"])]
    if request.id and not wanted:
        raise NotFound(f"there is no deployment of {request.id}", next_step=deployments.NEXT_STEP)
    shown = [shape(row, await state.records.read(deployments.runs_of, row["id"])) for row in wanted]
    return {"deployments": shown, "profile": state.effective().production_profile.value.name}


async def deployable(state: ControlState, row: dict[str, Any], run_as: str) -> None:
    """Refused unless this very package is approved, verifies, is not stopped, and `run_as` may read all of its inputs, masked alike or more."""
    _check_state(state, row)
    job, locked = await asyncio.to_thread(_verified, state, row)
    if stopped := await stops.objections(state, stops.job_names(row), locked):
        await authority.refuse(state, "deployment.create", job_of(row), stopped[0])
    as_it = replace(state, principal=run_as)
    await as_it.groups.refresh(run_as)
    inputs = [DeclaredInput.model_validate(entry.model_dump(exclude={"path"})) for entry in job.inputs]
    try:
        await declared.check_job(as_it, inputs)
    except (Refused, NotFound) as refusal:
        reason = f"as {run_as}: {refusal.message}"
        await state.audit("deployment.create", job_of(row), allowed=False, reason=reason, rule=refusal.rule)
        raise Refused(f"{run_as} may not run {job_of(row)}: {refusal.message}", rule=refusal.rule, next_step=refusal.next_step) from refusal


def _wanted(state: ControlState, request: DeploymentCreate, job: Job) -> tuple[str, str]:
    """Whose rights its runs have, and when they start; BadRequest where the package says otherwise, or the engine can't do it."""
    run_as = request.run_as or job.run_as or state.principal
    if not is_principal(run_as):
        raise BadRequest(f"{run_as[:100]!r} can't be the name of an account", next_step="name the account that the engine runs it as")
    if job.run_as and run_as != job.run_as:
        raise BadRequest(
            f"{job.name} is to run as {job.run_as}, not as {run_as}", next_step=f"deploy it as {job.run_as}, or let its author submit it anew"
        )
    if request.engine in OWN_ACCOUNT and run_as != state.principal:
        raise BadRequest(f"what is deployed on {request.engine} runs as who deploys it, {state.principal}", next_step=f"deploy it as {run_as}")
    return run_as, job.schedule if request.schedule is None else request.schedule


def _check_state(state: ControlState, row: dict[str, Any]) -> None:
    wanted = APPROVED if state.service else APPROVED | {"in_review"}
    if row["state"] in wanted and not row["draft"]:
        return
    waits = row["state"] == "in_review"
    next_step = "its reviewers decide first: `jupyter guardrails job approve`" if waits else "`jupyter guardrails job show` says why"
    raise Conflict(f"{job_of(row)} is {row['state'].replace('_', ' ')}: only what is approved is deployed", next_step=next_step)


def _verified(state: ControlState, row: dict[str, Any]) -> tuple[Job, list[str]]:
    """The job and the Python packages of the stored file, which must be what was approved, byte for byte, and signed here."""
    path = Path(row["package_path"])
    with path.open("rb") as file:
        found = verify_archive(file, signatures.read_trust(state.settings.state_dir / "keys"))
    said = (found.digests.content, found.digests.evidence)
    if not found.trusted or said != (row["content_digest"], row["evidence_digest"]):
        problems = "; ".join(found.problems[:3]) or f"its content digest is {said[0]}"
        raise PackageError(f"{path.name} is not what was approved: {problems}", next_step="submit the notebook again")
    return found.job, packages.names_in_archive(path)


def _job_of(row: dict[str, Any]) -> Job:
    """What the package says of itself; Conflict where there is none."""
    if not row["package_path"]:
        raise Conflict(f"submission {row['id']} has no package: it is {row['state']}", next_step="its checks say what is missing")
    with tempfile.TemporaryDirectory(prefix="guardrails-look-") as folder:
        archive.unpack(row["package_path"], folder)
        return read_job(Path(folder))


async def operated(state: ControlState, id: str) -> dict[str, Any]:
    """A deployment that this person operates; others' don't exist."""
    row = await state.records.read(deployments.get, id)
    if row["deployed_by"] != state.principal:
        raise NotFound(f"there is no deployment {id} of yours", next_step=deployments.NEXT_STEP)
    return row


async def _found(state: ControlState, id: str) -> dict[str, Any]:
    row = await state.records.read(submissions.get, id)
    found = row if row["principal"] == state.principal else await reviews.reviewable(state, id)
    if found is None:
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list` shows those that you may see")
    return found


async def _seen(state: ControlState, id: str) -> dict[str, Any]:
    row = await state.records.read(deployments.get, id)
    if not _may_see(state, row):
        raise NotFound(f"there is no deployment {id}", next_step=deployments.NEXT_STEP)
    return row


def _may_see(state: ControlState, row: dict[str, Any]) -> bool:
    if state.principal in (row["author"], row["deployed_by"]):
        return True
    return authority.on_job(state.effective(), job=job_of(row), submitted_by=row["author"], service=state.service).allowed


def job_of(row: dict[str, Any]) -> str:
    """Its name and version."""
    return f"{row['name']}-{row['version']}"


def shape(row: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """A deployment as it is shown, with its last runs."""
    label = f"{row['state']}{' (self-test, not approved)' if row['self_test'] else ''}"
    times = {key: iso(row[key]) for key in ("created_at", "updated_at")}
    return {key: row[key] for key in (*SAME, *STATED)} | times | {"label": label, "runs": [run_shape(run) for run in runs]}


def run_shape(run: dict[str, Any]) -> dict[str, Any]:
    """A run as it is shown."""
    times = {key: iso(run[key]) if run[key] else None for key in ("started_at", "ended_at")}
    return {key: run[key] for key in RUN} | times


OPERATIONS: Operations = {DeploymentCreate: create, DeploymentLive: live, DeploymentEnd: end, DeploymentsList: listed}
