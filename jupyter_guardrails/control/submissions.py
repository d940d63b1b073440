"""Submissions: frozen, checked by a worker, packaged and signed by control. Nothing of the author's runs in this process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import stat
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.labels import Label
from jupyter_guardrails.control import (
    authority,
    clean_runs,
    declared,
    lifecycle,
    own_checks,
    packages,
    reviews,
    shapes,
    sharing,
    stations,
    stops,
    submission_work,
    trusting,
    workers,
)
from jupyter_guardrails.control.interface.content import is_sealed
from jupyter_guardrails.control.interface.messages import (
    PackageVerify,
    SubmissionCancel,
    SubmissionCreate,
    SubmissionPackage,
    SubmissionShow,
    SubmissionsList,
    WorkerFinish,
    WorkerProgress,
)
from jupyter_guardrails.control.interface.work import StationOpen, WorkerInputs, WorkerPart
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.state import Answer, ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError, NotFound, Refused
from jupyter_guardrails.package.job import read_job
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.records import submissions

UNFINISHED = frozenset({"submitted", "checking"})
RESTARTED = "restarted"  # a mark in the submission's folder: its worker was started a second time
_cleared: dict[str, asyncio.Event] = {}  # submission that is worked on -> set once its worker has ended and nothing is left; one control a process


async def create(state: ControlState, request: SubmissionCreate, fds: list[int]) -> dict[str, Any]:
    """Freeze the job's notebooks, write the row, start the worker; the same key gives the first submission back."""
    decision = allowed(state.effective(), "promotion.submit", request.notebook, state.clock())
    if decision.blocks:
        await state.audit("promotion.submit", request.notebook, decision)
        raise Refused(decision.reason, next_step=decision.next_step, rule=str(decision.rule))
    await authority.refuse_suspended_person(state, "promotion.submit", request.notebook)
    await submission_work.check_asked(state, request)
    submission_work.check_room(state, await state.records.read(submissions.newest, state.principal), request)
    id = uuid.uuid4().hex
    folder = workers.folder_of(state, id)
    try:
        row = await _freeze(state, request, id, folder, fds)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if row["id"] != id:
        shutil.rmtree(folder)
    elif row["state"] in UNFINISHED | {"draft"} and _can_begin(state):
        row = await _begin(state, row)
    return shapes.submission(row, service=state.service)


async def _freeze(state: ControlState, request: SubmissionCreate, id: str, folder: Path, fds: list[int]) -> dict[str, Any]:
    """Files first, then the row."""
    notebook = submission_work.name_of(request)
    with contextlib.ExitStack() as opened:
        sources = submission_work.notebooks_of(state, request, fds, opened)
        folder.mkdir(mode=0o700, parents=True)
        digests = await asyncio.to_thread(packages.freeze_notebooks, sources, folder)
    workspace = request.workspace if state.settings.service else os.path.realpath(request.workspace)
    asked: dict[str, Any] = {"workspace": workspace, "kernelspec": request.kernelspec, "details": request.details.model_dump()}
    asked |= {"sample_s": request.sample_s, "sample_rows": request.sample_rows}
    (folder / "asked.json").write_text(json.dumps(asked))
    return await state.records.write(
        submissions.create,
        now=state.clock(),
        id=id,
        principal=state.principal,
        notebook=notebook,
        name=packages.job_name(notebook),
        key=request.key,
        draft=request.draft,
        frozen=str(folder / "frozen"),
        notebook_digest=digests[notebook],
        parameters=request.parameters,
        reason=request.reason,
        policy_digest=state.policy_digest,
        uid=state.own_uid,
    )


def _can_begin(state: ControlState) -> bool:
    """An own control starts workers itself; a service needs a station of the author's."""
    return not state.settings.service or stations.is_there(state)


async def _begin(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    """Move to `checking` and let a worker run beside the requests."""
    row = await _move(state, row["id"], "checking")
    _cleared[row["id"]] = asyncio.Event()
    state.spawn(_watch(state, row), f"submission {row['id']}")
    return row


async def _watch(state: ControlState, row: dict[str, Any]) -> None:
    """A worker that ends without an answer has failed, with what it said; one that control's end stopped goes on at the next start."""
    try:
        ended = await workers.run(state, row)
        await clean_runs.clear(state, row["id"])
    except (GuardrailsError, OSError) as failure:
        await _fail(state, row["id"], f"the worker could not be started, or what it left could not be cleared: {failure}")
        return
    finally:
        if cleared := _cleared.pop(row["id"], None):
            cleared.set()
    if ended.gone and not ended.by_us and not state.ending:
        await _put_back(state, row["id"])
    elif not ended.by_us and not ended.gone and (await state.records.read(submissions.get, row["id"]))["state"] == "checking":
        await _fail(state, row["id"], f"the worker ended with exit code {ended.code}: {ended.said or 'it said nothing'}")


async def _put_back(state: ControlState, id: str) -> None:
    """The station that worked on it has ended: another one of the author's goes on, now or when it comes, once."""
    row = await state.records.read(submissions.get, id)
    if row["state"] != "checking":
        return
    mark = workers.folder_of(state, id) / RESTARTED
    if mark.exists():
        await _fail(state, id, "the server or command that checked it ended twice meanwhile; submit it again")
        return
    mark.touch()
    row = await _move(state, id, "submitted")
    if stations.is_there(state):
        await _begin(state, row)


async def open_station(state: ControlState, request: StationOpen, fds: list[int]) -> dict[str, Any]:
    """A process of this account starts workers from now on: what of its submissions waited goes to it."""
    stations.register(state, fds)
    for row in await state.records.read(submissions.newest, state.principal):
        if row["state"] == "submitted":
            with contextlib.suppress(Conflict):  # another station has it already, or it was cancelled
                await _begin(state, row)
    return {}


async def take_inputs(state: ControlState, request: WorkerInputs, fds: list[int]) -> dict[str, Any]:
    """A worker's word on what its notebook names; it hears how its author reads that, which is what the package says."""
    await _worked_on(state, request.submission)
    inputs = await declared.of_clean_run(state, request.names)
    await asyncio.to_thread(submission_work.write_inputs, state, request.submission, inputs)
    return {"inputs": [entry.model_dump() for entry in inputs]}


async def take_part(state: ControlState, request: WorkerPart, fds: list[int]) -> dict[str, Any]:
    """A part of the package that a worker built elsewhere."""
    row = await _worked_on(state, request.submission)
    if row["state"] != "checking":
        raise Conflict(f"submission {row['id']} is {row['state']}")
    return await submission_work.take_part(state, request, fds)


async def _fail(state: ControlState, id: str, error: str) -> None:
    """Checks that were under way did not come to an end; the submission failed with the reason."""
    await state.records.write(lifecycle.broken_off, state, id, error, **_said(state))


async def _move(state: ControlState, id: str, to_state: str, error: str = "") -> dict[str, Any]:
    return await state.records.write(lifecycle.moved, state, id, to_state, error=error, **_said(state))


def _said(state: ControlState) -> dict[str, Any]:
    return {"now": state.clock(), "actor": state.principal, "policy_digest": state.policy_digest}


async def _mine(state: ControlState, id: str) -> dict[str, Any]:
    """One's own submission; others' don't exist. A worker sees its own only."""
    row = await state.records.read(submissions.get, id)
    if row["principal"] != state.principal or state.worker not in (None, id):
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list` shows yours")
    return row


async def _seen(state: ControlState, id: str) -> dict[str, Any]:
    """One's own, or one that this person may review."""
    if state.worker is None and (row := await reviews.reviewable(state, id)) is not None:
        return row
    return await _mine(state, id)


async def newest(state: ControlState, request: SubmissionsList, fds: list[int]) -> dict[str, Any]:
    """One's own submissions, newest first, and how many there are."""
    rows = await state.records.read(submissions.newest, state.principal, limit=request.limit, words=request.words)
    total = await state.records.read(submissions.count, state.principal, words=request.words)
    shown = await asyncio.to_thread(lambda: [sharing.shown(state, row) for row in rows])
    return {"submissions": shown, "total": total}


async def show(state: ControlState, request: SubmissionShow, fds: list[int]) -> dict[str, Any]:
    """One submission with all its checks; for reviewers also what is submitted by others."""
    return sharing.shown(state, await _seen(state, request.id))


async def cancel(state: ControlState, request: SubmissionCancel, fds: list[int]) -> dict[str, Any]:
    """Cancelled at once; its worker and clean run are ended before this answers."""
    await _mine(state, request.id)
    row = await _move(state, request.id, "cancelled")
    cleared = _cleared.get(request.id)
    await workers.stop(state, request.id)
    if cleared:
        with contextlib.suppress(TimeoutError):  # a station that has stopped answering
            await asyncio.wait_for(cleared.wait(), workers.END_WAIT_S)
    return shapes.submission(row, service=state.service)


async def package(state: ControlState, request: SubmissionPackage, fds: list[int]) -> Answer:
    """The package's zip as a read-only descriptor; for reviewers too."""
    row = await _seen(state, request.id)
    if not row["package_path"]:
        raise Conflict(f"submission {request.id} has no package: it is {row['state']}", next_step="its checks say what is missing")
    fd = os.open(row["package_path"], os.O_RDONLY | os.O_CLOEXEC)
    said = {"name": row["package"], "content_digest": row["content_digest"], "evidence_digest": row["evidence_digest"]}
    return Answer(said | {"size_bytes": os.fstat(fd).st_size}, (fd,))


async def progress(state: ControlState, request: WorkerProgress, fds: list[int]) -> dict[str, Any]:
    """A worker's word on one check; it hears whether to stop."""
    await _worked_on(state, request.submission)
    checking = await state.records.write(
        submissions.report_check,
        request.submission,
        request.check,
        title=request.title,
        state=request.state,
        detail=request.detail,
        findings=request.findings,
        progress=request.progress,
        seconds=request.seconds,
        now=state.clock(),
    )
    return {"cancelled": not checking}


async def finish(state: ControlState, request: WorkerFinish, fds: list[int]) -> dict[str, Any]:
    """A worker's end: failed, or built, which control recomputes, signs and keeps."""
    row = await _worked_on(state, request.submission)
    if row["state"] != "checking":
        raise Conflict(f"submission {row['id']} is {row['state']}")
    if request.state == "checks_failed":
        return shapes.submission(await _move(state, row["id"], "checks_failed", request.error), service=state.service)
    folder = await submission_work.built_folder(state, row["id"], request.folder)
    if refusals := await own_checks.refused_packages(state, row, folder):
        return shapes.submission(await _move(state, row["id"], "checks_failed", refusals), service=state.service)
    inherited = await own_checks.inherit(state, row)
    row = await state.records.read(submissions.get, row["id"])
    if row["draft"]:
        return shapes.submission(await _move(state, row["id"], "draft"), service=state.service)
    if unexplained := own_checks.unexplained(row):
        return shapes.submission(await _move(state, row["id"], "checks_failed", unexplained), service=state.service)
    kept = await asyncio.to_thread(_keep, state, row, folder, inherited)
    await state.records.write(_note, state, row["id"], kept)
    shutil.rmtree(folder)
    return shapes.submission(await state.records.read(submissions.get, row["id"]), service=state.service)


def _keep(state: ControlState, row: dict[str, Any], folder: Path, inherited: Label) -> packages.Kept:
    inputs = submission_work.declared_inputs(state, row["id"])
    details = submission_work.details_of(state, row["id"])
    packages.check_job(read_job(folder), row, state.effective(row["principal"]).digest, inputs, details)
    data = packages.Data(inherited, inputs, details.then)
    return packages.keep(folder, row, state.settings.state_dir, now=state.clock(), service=state.service, data=data)


def _note(connection: Connection, state: ControlState, id: str, kept: packages.Kept) -> None:
    """The package and the move to review: one transaction."""
    now = state.clock()
    said = {"name": kept.name, "content_digest": kept.digests.content, "evidence_digest": kept.digests.evidence, "path": str(kept.path)}
    submissions.set_package(connection, id, **said, now=now)
    lifecycle.moved(connection, state, id, "in_review", now=now, actor=state.principal, policy_digest=state.policy_digest)


async def _worked_on(state: ControlState, id: str) -> dict[str, Any]:
    """The row, for the worker of this very submission."""
    row = await state.records.read(submissions.get, id) if state.worker == id else None
    if row is None or row["principal"] != state.principal:
        raise Refused("only a submission's own worker may report on it")
    return row


async def verify(state: ControlState, request: PackageVerify, fds: list[int]) -> dict[str, Any]:
    """Verify any package against control's own trust store."""
    if len(fds) != 1 or not (is_sealed(fds[0]) or _is_own_file(state, fds[0])):
        raise BadRequest("send one descriptor of a package's zip, in sealed memory to a service", next_step="`jupyter guardrails job verify FILE`")
    with open(fds.pop(), "rb") as file:
        found = await asyncio.to_thread(verify_archive, file, await asyncio.to_thread(trusting.trusted, state))
        locked = await asyncio.to_thread(packages.names_in_archive, file) if found.trusted else []
    answer = found.to_json() | {"profile": state.effective().production_profile.value.name, "self_test": not state.service}
    if stopped := await stops.objections(state, stops.job_names(answer), locked):
        answer |= {"trusted": False, "problems": [*answer["problems"], *(decision.reason for decision in stopped)]}
    return answer


def _is_own_file(state: ControlState, fd: int) -> bool:
    """Files of another account are not even looked at: that may wait for as long as it likes."""
    return not state.settings.service and stat.S_ISREG(os.fstat(fd).st_mode)


async def resume(state: ControlState) -> None:
    """Called when control starts: what a killed control left unfinished runs once more, or fails with the reason.

    Requests are served beside it, so what it looks at is fixed before it first waits: a new submission is none of its business.
    """
    state.at_end.append(functools.partial(_end_orderly, state))
    started, store = state.clock(), state.settings.state_dir / "submissions"
    folders = list(store.iterdir()) if store.is_dir() else []
    for row in await state.records.read(submissions.newest, None):
        if row["state"] in UNFINISHED and row["created_at"] < started:
            await _resume_one(dataclasses.replace(state, principal=row["principal"]), row)
    for folder in folders:
        if await _is_orphan(state, folder.name):
            await asyncio.to_thread(shutil.rmtree, folder)


async def _end_orderly(state: ControlState) -> None:
    """Called at control's end: its workers end and go on at the next start, however often that happens."""
    for id in workers.running():
        (workers.folder_of(state, id) / RESTARTED).unlink(missing_ok=True)
    await workers.stop_all(state)


async def _resume_one(state: ControlState, row: dict[str, Any]) -> None:
    mark = workers.folder_of(state, row["id"]) / RESTARTED
    await workers.end_left_over(state, row["id"])
    await clean_runs.clear(state, row["id"])
    if state.settings.service and row["state"] == "submitted":
        return  # its author's next station works on it
    if row["state"] == "submitted":
        await _begin(state, row)
    elif mark.exists() or not mark.parent.is_dir():
        await _fail(state, row["id"], "control ended twice while this was being checked; submit it again")
    else:
        mark.touch()
        row = await _move(state, row["id"], "submitted")
        if not state.settings.service:
            await _begin(state, row)


async def _is_orphan(state: ControlState, id: str) -> bool:
    """A folder whose row was never written."""
    try:
        await state.records.read(submissions.get, id)
    except NotFound:
        return True
    return False


OPERATIONS: Operations = {
    SubmissionCreate: create,
    SubmissionsList: newest,
    SubmissionShow: show,
    SubmissionCancel: cancel,
    SubmissionPackage: package,
    WorkerProgress: progress,
    WorkerFinish: finish,
    PackageVerify: verify,
    StationOpen: open_station,
    WorkerInputs: take_inputs,
    WorkerPart: take_part,
}
