"""What a production run made becomes a dataset: whoever operates the deployment hands the file over, others decide who reads it.

Nothing is taken at its word: the file has the bytes that the run's record names, the job is the one that was approved, and its data's labels
are inherited as control signed them, and as they are today.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from jupyter_guardrails.catalog.labels import Input, Label, label_of
from jupyter_guardrails.catalog.published import contract_of
from jupyter_guardrails.control import labels, publications, publishing, signing
from jupyter_guardrails.control.deployments import job_of, operated
from jupyter_guardrails.control.interface.publishing import format_of
from jupyter_guardrails.control.interface.run_outputs import RunPublish
from jupyter_guardrails.control.lineage_events import Run
from jupyter_guardrails.control.rights import rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict
from jupyter_guardrails.package import signatures, tables
from jupyter_guardrails.package.details import Output
from jupyter_guardrails.package.verify import Verified
from jupyter_guardrails.records import deployments, submissions
from jupyter_guardrails.records import publications as published_rows


async def publish(state: ControlState, request: RunPublish, fds: list[int]) -> dict[str, Any]:
    """A private publication of one output of a complete run; the next version of its dataset where there is one."""
    if len(fds) != 1:
        raise BadRequest("send one descriptor of the file")
    row = await operated(state, request.deployment)
    run = await state.records.read(deployments.run_of, row["id"], request.number)
    recorded = _recorded(row, run, request.output)
    submission = await state.records.read(submissions.get, row["submission"])
    package = await asyncio.to_thread(signing.kept, state, submission)
    said = next((one for one in package.job.outputs if one.path == request.output), Output(name=request.output, path=request.output))
    name = request.name or said.dataset
    if not name:
        raise BadRequest(f"{job_of(row)} doesn't say which dataset {request.output} is", next_step="name one, like team/churn")
    description = request.description or f"{said.name} of the job {row['name']}"
    wanted = publishing.Wanted(name, description, format_of(PurePosixPath(request.output)), made=_made(row, run, recorded))
    made = await publishing.take(state, wanted, fds[0], lambda: inherited(state, package, row["run_as"]))
    ran = Run(f"{row['id']}/{run['number']}", row["id"], row["name"], row["author"])
    state.lineage.published(ran, contract_of(made, ""), state.clock(), state.spawn)
    state.lineage.ended(ran.lease, state.clock(), state.spawn)
    return await publications.shape(state, made) | {"differs": unlike(said, made)}


def _recorded(row: dict[str, Any], run: dict[str, Any], output: str) -> dict[str, Any]:
    """The record of that file; Conflict where no complete run left it."""
    if run["state"] != "complete":
        raise Conflict(f"run {run['number']} of {job_of(row)} is {run['state']}: only what a complete run made is published")
    outputs = (run["data"] or {}).get("outputs", [])
    found = next((one for one in outputs if one["path"] == output), None)
    if found is None:
        there = ", ".join(one["path"] for one in outputs[:10]) or "no file that is on the records"
        raise Conflict(f"run {run['number']} of {job_of(row)} made no {output[:200]!a}, but {there}")
    return dict(found)


def _made(row: dict[str, Any], run: dict[str, Any], recorded: dict[str, Any]) -> publishing.Made:
    said = {"job": row["name"], "version": row["version"], "content_digest": row["content_digest"], "self_test": row["self_test"]}
    said |= {"deployment": row["id"], "run": run["number"], "output": recorded["path"]}
    return publishing.Made(recorded["sha256"], said)


async def inherited(state: ControlState, package: Verified, run_as: str) -> Label:
    """Of all that control signed as this job's data, as it was bound then, and of the same datasets as they are bound today."""
    signed = _signed(package)
    held, contracts = await rights(state, run_as), state.catalogs.current.by_name
    today: list[Input] = []
    for name in {item.name for item in signed}:
        if name in contracts:
            today += labels.given(state, held, contracts[name], run_as)
        else:
            rows = await state.records.read(published_rows.of_name, name)
            today += [item for row in rows if row["state"] == "published" for item in labels.given(state, held, contract_of(row, ""), run_as)]
    return label_of({*signed, *today})


def _signed(package: Verified) -> list[Input]:
    found: list[Input] = []
    for one in package.vouched:
        if one.predicate_type == signatures.PROVENANCE:
            built = one.predicate.get("buildDefinition", {})
            purposes = tuple(built.get("internalParameters", {}).get("purposes", ()))
            found += _inputs(built.get("resolvedDependencies", ()), purposes)
    return found


def _inputs(said: Iterable[dict[str, Any]], purposes: tuple[str, ...]) -> Iterable[Input]:
    for entry in said:
        notes = entry.get("annotations", {})
        yield Input(entry["name"], notes.get("version", ""), notes.get("classification", ""), purposes)


def unlike(said: Output, made: dict[str, Any]) -> list[str]:
    """How the columns of the file differ from those that the job's package names, in sentences."""
    seen = {column["name"]: column["type"] for column in made["content"]["columns"]}
    return tables.differences(said.columns, seen, form=made["format"], extra=True) if said.columns else []


OPERATIONS: Operations = {RunPublish: publish}
