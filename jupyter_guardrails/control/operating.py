"""Runs of what is deployed: each begins with control's word, and what came of it is told by who operates it."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control.deployments import job_of, may_run, operated, run_shape
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
    fields = state.audit_fields("deployment.run_ended", job_of(row))
    return run_shape(await state.records.write(deployments.note_run, row["id"], request.number, said, fields))


OPERATIONS: Operations = {RunBegin: begin, RunReport: report}
