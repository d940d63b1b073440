"""What crosses between control and those who work on submissions: the notebook, declared datasets, the built package, stations."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any

from jupyter_guardrails.control import authority, stations, workers
from jupyter_guardrails.control.interface.content import (
    MAX_NOTEBOOK_BYTES,
    MAX_OPENED_BYTES,
    MAX_PACKAGE_BYTES,
    check_together,
    open_notebook,
    read_sealed,
)
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.messages import SubmissionCreate
from jupyter_guardrails.control.interface.work import PART_BYTES, WorkerPart
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached
from jupyter_guardrails.package import archive
from jupyter_guardrails.package.details import Details

UPLOAD, INPUTS = "package.upload", "inputs.json"
MAX_UNFINISHED = 20  # submissions of one account: each is a notebook on control's disk
MAX_NAME_BYTES = 1024


def notebooks_of(state: ControlState, request: SubmissionCreate, fds: list[int], opened: ExitStack) -> dict[str, IO[bytes]]:
    """All the job's notebooks, by name and in order, which `opened` closes: sent by their author, where control is another account; else opened
    beneath the workspace. All are open before one is read."""
    names = [name_of(request), *request.details.then]
    service = state.settings.service
    if service and len(fds) != len(names):
        raise BadRequest("a service reads no files of its accounts: send each notebook in sealed memory", next_step="use ControlClient.submit")
    found: dict[str, IO[bytes]] = {}
    for name in names:
        found[name] = _received(fds) if service else open(open_notebook(Path(request.workspace), name), "rb")  # noqa: SIM115 - `opened` closes it
        opened.callback(found[name].close)
    check_together([file.fileno() for file in found.values()], limit_bytes=MAX_NOTEBOOK_BYTES if service else MAX_OPENED_BYTES)
    return found


def _received(fds: list[int]) -> IO[bytes]:
    source = read_sealed(fds[0], limit_bytes=MAX_NOTEBOOK_BYTES)
    del fds[0]  # the file's own now
    return source


def name_of(request: SubmissionCreate) -> str:
    """The notebook's name in the workspace, which is where control writes it in the submission's folder, too."""
    name = os.path.normpath(request.notebook)
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name or len(os.fsencode(name)) > MAX_NAME_BYTES or name == ".":
        raise BadRequest(f"{request.notebook[:200]!r} is no name in a workspace", next_step="name a notebook by its path in the workspace")
    return name


async def check_asked(state: ControlState, request: SubmissionCreate) -> None:
    """BadRequest unless the workspace is a folder, as far as control's account can see; Refused, and recorded, for a host that policy shuts."""
    workspace = Path(request.workspace)
    if not workspace.is_absolute() or not (state.settings.service or workspace.is_dir()):
        raise BadRequest(f"{request.workspace} is no folder", next_step="name the workspace by its absolute path")
    if (request.sample_s or request.sample_rows) and not request.draft:
        raise BadRequest("a sample run is for a draft: what is submitted runs whole", next_step="say that it is a draft, or leave the sample out")
    _check_others(request)
    for host in request.details.network:
        decision = allowed(state.effective(), "network.connect", host, state.clock())
        if decision.blocks:
            await authority.refuse(state, "promotion.submit", request.notebook, decision)


def _check_others(request: SubmissionCreate) -> None:
    """BadRequest unless the job's further notebooks are others, and lie beside the first."""
    first = PurePosixPath(name_of(request))
    for name in map(PurePosixPath, request.details.then):
        if name == first or name.parent != first.parent:
            said = f"{name} is the first one already" if name == first else f"{name} is in another folder than {first}"
            message = f"a job's notebooks are different ones of one folder: {said}"
            raise BadRequest(message, next_step="name each once, and keep them together", fields={"details.then": said})


def details_of(state: ControlState, submission: str) -> Details:
    """What its submitter said about the job."""
    asked = json.loads((workers.folder_of(state, submission) / "asked.json").read_text())
    return Details.model_validate(asked.get("details", {}))


def is_sample(state: ControlState, submission: str) -> bool:
    """Whether a draft's clean run is one of some seconds, or of some rows; not where its folder is gone."""
    try:
        asked = json.loads((workers.folder_of(state, submission) / "asked.json").read_text())
    except FileNotFoundError:
        return False
    return any(asked.get(key) is not None for key in ("sample_s", "sample_rows"))


def check_room(state: ControlState, rows: list[dict[str, Any]], request: SubmissionCreate) -> None:
    """LimitReached where too many of one's submissions are under way; Conflict for a draft that nobody could check."""
    if sum(1 for row in rows if row["state"] in ("submitted", "checking") and row["key"] != request.key) >= MAX_UNFINISHED:
        raise LimitReached(f"{MAX_UNFINISHED} submissions of yours are being checked", next_step="wait for them, or cancel some")
    if request.draft and state.settings.service and not stations.is_there(state):
        raise Conflict("nothing of yours runs here that could check a draft", next_step="jupyter guardrails submit --draft NOTEBOOK")


def write_inputs(state: ControlState, submission: str, inputs: list[DeclaredInput]) -> None:
    """What its notebook names; see `declared_inputs`."""
    said = [entry.model_dump() for entry in sorted(inputs, key=lambda entry: entry.name)]
    (workers.folder_of(state, submission) / INPUTS).write_text(json.dumps(said))


def declared_inputs(state: ControlState, submission: str) -> tuple[DeclaredInput, ...]:
    """What a submission's notebook names, as its worker found, and what it was bound to then: a clean run reads these and no others."""
    try:
        said = json.loads((workers.folder_of(state, submission) / INPUTS).read_text())
    except (OSError, ValueError):
        return ()
    return tuple(DeclaredInput.model_validate(entry) for entry in said)


async def take_part(state: ControlState, request: WorkerPart, fds: list[int]) -> dict[str, Any]:
    """Append a part of the package's zip; parts come in order, and a worker that starts anew begins at 0."""
    if len(fds) != 1:
        raise BadRequest("a part is one descriptor of sealed memory")
    with read_sealed(fds[0], limit_bytes=PART_BYTES) as part:
        fds.pop()
        return {"size_bytes": await asyncio.to_thread(_append, workers.folder_of(state, request.submission) / UPLOAD, request.offset, part)}


def _append(path: Path, offset: int, part: IO[bytes]) -> int:
    with path.open("wb" if offset == 0 else "ab") as sink:
        if sink.tell() != offset:
            raise Conflict(f"the part at {offset} follows {sink.tell()} bytes", next_step="submit again")
        shutil.copyfileobj(part, sink, 1 << 20)
        if sink.tell() > MAX_PACKAGE_BYTES:
            raise BadRequest(f"the package is more than {MAX_PACKAGE_BYTES >> 30} GiB", next_step="leave big files out of the workspace's jobs")
        return sink.tell()


async def built_folder(state: ControlState, submission: str, named: str | None) -> Path:
    """The unpacked package: in its worker's own folder, or out of what was uploaded, which is read as a hostile one."""
    folder = workers.folder_of(state, submission)
    if not state.settings.service:
        if named != str(folder / "package"):
            raise BadRequest("a worker builds in its own folder only")
        return folder / "package"
    shutil.rmtree(folder / "package", ignore_errors=True)
    try:
        await asyncio.to_thread(archive.unpack, folder / UPLOAD, folder / "package")
    except FileNotFoundError as error:
        raise BadRequest("no package came before its end was told", next_step="submit again") from error
    (folder / UPLOAD).unlink()
    return folder / "package"
