"""Packages in production: who may deploy which, as whom it runs, and what its runs came to.

Control decides and keeps; whoever operates an engine starts the job there, under an account of their own. In *own* mode, where nothing can be
approved, a deployment of what is in review is a self-test, and says so.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import approvals, authority, contract_drift, lifecycle, reviews, signing
from jupyter_guardrails.control.interface.deployments import DeploymentCreate, DeploymentEnd, DeploymentLive, DeploymentsList
from jupyter_guardrails.control.state import Answer, ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, PackageError
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.policy import Decision
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.records import deployments, submissions
from jupyter_guardrails.records.columns import iso

NOT_FOR_PRODUCTION = frozenset({"superseded", "retired", "withdrawn"})
OWN_ACCOUNT = frozenset({"local", "slurm", "airflow"})  # engines whose runs have the account of who deploys
SAME = ("id", "submission", "name", "version", "author", "engine", "deployed_by", "run_as", "schedule", "parameters")
STATED = ("state", "reason", "self_test", "content_digest", "evidence_digest")
RUN = ("number", "state", "engine_job", "exit_code", "peak_bytes", "attempts", "cell", "error", "log_tail")


async def create(state: ControlState, request: DeploymentCreate, fds: list[int]) -> Answer:
    """A deployment to prepare, with the package's bytes."""
    row = await _found(state, request.submission)
    job = job_of(row)
    verdict = authority.on_job(state.effective(), job=job, submitted_by=row["principal"], service=state.service)
    if not verdict.allowed:
        await authority.refuse(state, "deployment.create", job, verdict)
    await authority.refuse_suspended_person(state, "deployment.create", job)
    await approvals.refuse_one_person(state, row, "deployment.create")
    settings = await _engine(state, request.engine, job)
    run_as, schedule = _wanted(state, request, await _job_of(state, row))
    await deployable(state, row, run_as)
    said = {"id": uuid.uuid4().hex, "submission": row["id"], "deployed_by": state.principal, "run_as": run_as, "engine": request.engine}
    said |= {key: row[key] for key in ("content_digest", "evidence_digest")} | {"self_test": not state.service}
    said |= {"schedule": schedule, "parameters": request.parameters}
    reason = f"{request.engine}, as {run_as}, content {row['content_digest']}" + ("" if state.service else f"; {authority.SELF_TEST}")
    fields = state.audit_fields("deployment.create", job, reason=reason, rule=verdict.rule)
    made = await state.records.write(deployments.create, said, fields)
    return Answer({"deployment": shape(made, []), "settings": settings}, (os.open(row["package_path"], os.O_RDONLY | os.O_CLOEXEC),))


async def live(state: ControlState, request: DeploymentLive, fds: list[int]) -> dict[str, Any]:
    """In production from now on; what it replaces has ended in the same moment."""
    row = await operated(state, request.id)
    await deployable(state, await state.records.read(submissions.get, row["submission"]), row["run_as"])
    fields = state.audit_fields("deployment.live", job_of(row), reason=f"{row['engine']}: deployment {row['id']}")
    replaced = await state.records.write(_make_live, state, row["id"], fields)
    found = await state.records.read(deployments.get, row["id"])
    return {"deployment": shape(found, []), "replaced": [shape(one, []) for one in replaced]}


def _make_live(connection: Connection, state: ControlState, id: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Deployment, submission and the version before it move in one transaction."""
    row, replaced = deployments.get(connection, id), deployments.make_live(connection, id, fields)
    if row["self_test"]:
        return replaced
    said = {"now": fields["now"], "actor": fields["principal"], "policy_digest": fields["policy_digest"]}
    submission = submissions.get(connection, row["submission"])
    for older in submissions.others(connection, submission, "deployed"):
        lifecycle.moved(connection, state, older["id"], "superseded", error=f"{job_of(row)} was deployed", **said)
    if submission["state"] != "deployed":
        lifecycle.moved(connection, state, submission["id"], "deployed", **said)
    return replaced


def _follow(connection: Connection, state: ControlState, row: dict[str, Any]) -> None:
    """What is no longer for production is deployed nowhere."""
    if row["state"] in NOT_FOR_PRODUCTION:
        fields = state.audit_fields("deployment.end", job_of(row), now=row["updated_at"])
        deployments.end_of_submission(connection, row["id"], row["error"] or f"{job_of(row)} is {row['state']}", fields)


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
    shown = [shape(row, await state.records.read(deployments.runs_of, row["id"])) | {"drift": await contract_drift_of(state, row)} for row in wanted]
    return {"deployments": shown, "profile": state.effective().production_profile.value.name}


async def contract_drift_of(state: ControlState, row: dict[str, Any]) -> list[str]:
    """What is other than when it was approved, of the contracts of what a live deployment reads: in sentences."""
    if row["state"] != "live":
        return []
    try:
        job = await _job_of(state, await state.records.read(submissions.get, row["submission"]))
    except PackageError as error:
        return [f"its package can't be read any more: {error.message}"]
    return contract_drift.changed(job, state.catalogs.current.by_name)


async def may_run(state: ControlState, deployment: dict[str, Any]) -> None:
    """Refused unless a run of this deployment may begin now. By `promotion.on_lapse: continue` ended approvals keep it from nothing."""
    row = await state.records.read(submissions.get, deployment["submission"])
    goes_on = row["state"] == "deployed" and state.policies.in_force.document.promotion.on_lapse == "continue"
    if not goes_on:
        await deployable(state, row, deployment["run_as"], action="deployment.run")
    else:
        await _refuse(state, row, "deployment.run", await approvals.objections_of_today(state, row, deployment["run_as"]))


async def deployable(state: ControlState, row: dict[str, Any], run_as: str, *, action: str = "deployment.create") -> None:
    """Refused unless this very package is approved, nothing of it is stopped, and `run_as` may read all of its inputs, masked alike or more.

    In *own* mode nothing can be approved: there what is in review may be tried, under all other rules.
    """
    if state.service or row["state"] != "in_review" or row["draft"]:
        await approvals.deployable(state, row["id"], action=action, run_as=run_as)
        return
    await _refuse(state, row, action, await approvals.objections_of_today(state, row, run_as))


async def _refuse(state: ControlState, row: dict[str, Any], action: str, found: list[Decision]) -> None:
    if found:
        await authority.refuse(state, action, job_of(row), replace(found[0], reason="; ".join(one.reason for one in found)))


async def _engine(state: ControlState, engine: str, job: str) -> dict[str, Any]:
    """What the policy says of an engine; Refused for one that it doesn't name."""
    policy = state.policies.in_force
    engines = policy.document.promotion.engines
    if engine not in engines:
        reason = f"jobs are not deployed to {engine} here, but to: {', '.join(engines) or 'nothing'}"
        next_step = f"an admin names it under promotion.engines ({state.effective().admins})"
        await authority.refuse(state, "deployment.create", job, Decision(False, reason, policy.place("promotion.engines"), next_step))
    return dict(engines[engine])


def _wanted(state: ControlState, request: DeploymentCreate, job: Job) -> tuple[str, str]:
    """Whose rights its runs have, and when they start; BadRequest where the package says otherwise, or the engine can't do it."""
    run_as = request.run_as or job.run_as or state.policies.in_force.document.promotion.run_as or state.principal
    if not is_principal(run_as):
        raise BadRequest(f"{run_as[:100]!r} can't be the name of an account", next_step="name the account that the engine runs it as")
    if job.run_as and run_as != job.run_as:
        raise BadRequest(
            f"{job.name} is to run as {job.run_as}, not as {run_as}", next_step=f"deploy it as {job.run_as}, or let its author submit it anew"
        )
    if request.engine in OWN_ACCOUNT and run_as != state.principal:
        raise BadRequest(f"what is deployed on {request.engine} runs as who deploys it, {state.principal}", next_step=f"deploy it as {run_as}")
    return run_as, job.schedule if request.schedule is None else request.schedule


async def _job_of(state: ControlState, row: dict[str, Any]) -> Job:
    """What the package says of itself; Conflict where there is none."""
    if not row["package_path"]:
        raise Conflict(f"submission {row['id']} has no package: it is {row['state']}", next_step="its checks say what is missing")
    return (await asyncio.to_thread(signing.kept, state, row)).job


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
    return {key: run[key] for key in RUN} | times | {key: (run["data"] or {}).get(key, []) for key in ("outputs", "drift")}


OPERATIONS: Operations = {DeploymentCreate: create, DeploymentLive: live, DeploymentEnd: end, DeploymentsList: listed}
lifecycle.AT_MOVE.append(_follow)
