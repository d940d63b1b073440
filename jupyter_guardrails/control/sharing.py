"""Drafts that their authors show to reviewers: looked at, never decided on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_guardrails.control import authority, shapes, submission_work, workers
from jupyter_guardrails.control.interface.sharing import SubmissionShare
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import submissions

MARK = "shared"  # in a submission's folder
STATES = frozenset({"submitted", "checking", "draft", "checks_failed"})


async def share(state: ControlState, request: SubmissionShare, fds: list[int]) -> dict[str, Any]:
    """Set or take away the mark; audited as `submission.shared` and `submission.unshared`."""
    row = await state.records.read(submissions.get, request.id)
    if row["principal"] != state.principal:
        raise NotFound(f"there is no submission {request.id}", next_step="`jupyter guardrails job list` shows yours")
    job, mark = f"{row['name']}-{row['version']}", _mark(state, row["id"])
    if request.shared:
        await authority.refuse_suspended_person(state, "submission.shared", job)
        if row["state"] not in STATES or not mark.parent.is_dir():
            raise Conflict(f"{job} is {row['state']}: only drafts and what failed its checks are shared", next_step="reviewers see what is in review")
    said = {"allowed": True, "reason": "its author shows it to reviewers" if request.shared else "its author shows it no longer"}
    said |= {"rule": "", "notebook": row["notebook"]}
    await state.audit("submission.shared" if request.shared else "submission.unshared", job, None, **said)
    if request.shared:
        mark.touch()
    else:
        mark.unlink(missing_ok=True)
    return shown(state, row)


def is_shared(state: ControlState, row: dict[str, Any]) -> bool:
    """Whether reviewers may look at it though it isn't in review."""
    return row["state"] in STATES and _mark(state, row["id"]).exists()


def shown(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    """A submission as its author sees it: also whether reviewers may look at it, and whether its clean run was a sample."""
    said = shapes.submission(row, service=state.service) | {"shared": is_shared(state, row)}
    return said | {"sample": submission_work.is_sample(state, row["id"])} if row["draft"] else said


def _mark(state: ControlState, submission: str) -> Path:
    return workers.folder_of(state, submission) / MARK


OPERATIONS: Operations = {SubmissionShare: share}
