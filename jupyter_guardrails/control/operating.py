"""Runs of what is deployed: each begins with control's word, and what came of it is told by who operates it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing
from jupyter_guardrails.control.deployments import contract_drift_of, job_of, may_run, operated, run_shape
from jupyter_guardrails.control.interface.deployments import RunBegin, RunReport
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.records import deployments
from jupyter_guardrails.records.columns import storable


async def begin(state: ControlState, request: RunBegin, fds: list[int]) -> dict[str, Any]:
    """The run's number; refused where it could not be deployed now."""
    row = await operated(state, request.deployment)
    await may_run(state, row)
    number = await state.records.write(deployments.begin_run, row["id"], state.audit_fields("deployment.run", job_of(row)))
    return {"number": number}


async def report(state: ControlState, request: RunReport, fds: list[int]) -> dict[str, Any]:
    """Kept for the job's author, its reviewers and its operator."""
    row = await operated(state, request.deployment)
    said = request.model_dump(exclude={"deployment", "number", "outputs", "drift", *(() if request.engine_job else ("engine_job",))})
    if request.outputs or request.drift:
        said["data"] = {"outputs": [one.model_dump() for one in request.outputs], "drift": [storable(text) for text in request.drift]}
    said["ended_at"] = None if request.state == "running" else state.clock()
    fields, told = state.audit_fields("deployment.run_ended", job_of(row)), await _drifted(state, row, request)
    return run_shape(await state.records.write(_note, row, request, said, fields, told))


def _note(
    connection: Connection, row: dict[str, Any], request: RunReport, said: dict[str, Any], fields: Mapping[str, Any], told: announcing.Notice | None
) -> dict[str, Any]:
    if told is not None:
        told.put(connection)
    return deployments.note_run(connection, row["id"], request.number, said, fields)


async def _drifted(state: ControlState, row: dict[str, Any], request: RunReport) -> announcing.Notice | None:
    """For who wrote the job and who operates it: what its run found, and what its contracts say now.

    The same again of the same deployment is told once: a nightly run need not say it each night.
    """
    found = [] if request.state == "running" else [*request.drift, *await contract_drift_of(state, row)]
    if not found:
        return None
    job, reason = job_of(row), "; ".join(found)
    id = f"drift-{row['id']}-{hashlib.sha256(reason.encode()).hexdigest()[:24]}"
    title = f"the data of {job} of {row['author']} is not what its clean run saw: run {request.number}, operated by {row['deployed_by']}"
    next_step = f"jupyter guardrails job runs {row['id']}; its author: jupyter guardrails job reopen {row['submission']}"
    return announcing.notice(state, "job.drift", title, resource=job, person=row["author"], reason=reason, next_step=next_step, id=id)


OPERATIONS: Operations = {RunBegin: begin, RunReport: report}
