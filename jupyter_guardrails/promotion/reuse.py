"""Evidence of an earlier clean run that still stands: the same code cells, environment, files, parameters, policy and data gave it."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from pydantic import BaseModel, ConfigDict, ValidationError

import jupyter_guardrails
from jupyter_guardrails.control.interface.content import sealed
from jupyter_guardrails.control.interface.work import MAX_EVIDENCE_BYTES, WorkerEarlier, WorkerKeep
from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.tables import Found
from jupyter_guardrails.promotion import cleanrun
from jupyter_guardrails.promotion.results import Finding, in_notebook
from jupyter_guardrails.promotion.traces import Traced
from jupyter_guardrails.promotion.work import Work

FORMAT = 3
MOST_FILES = 10_000  # of a dataset that is a folder; one with more is read anew


class Part(BaseModel):
    """Of one notebook. Cells are code cells by their number: text between them may change."""

    model_config = ConfigDict(extra="forbid")
    cells: list[dict[str, Any]]  # outputs and execution_count of each code cell
    written: list[str]
    traced: dict[str, Any]


class Evidence(BaseModel):
    """What is kept of a job's clean run."""

    model_config = ConfigDict(extra="forbid")
    format: int = FORMAT
    job: str  # whose run it was: `sales-1`
    day: str
    notebooks: list[Part]  # in order
    tables: dict[str, Found]


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one notebook of the job; `problem` ended it early, and with it the job."""

    view: Work  # this notebook's
    node: nbformat.NotebookNode
    written: tuple[str, ...]
    traced: Traced
    problem: Finding | None = None

    def named(self, findings: Iterable[Finding]) -> list[Finding]:
        """With the notebook's name where the job has several."""
        return in_notebook(self.view.order.notebook, findings) if self.view.then else list(findings)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run as if it were this job's, notebook by notebook; `said` names it."""

    runs: tuple[Ran, ...]
    tables: Mapping[str, Found]
    said: str


def key_of(work: Work) -> str | None:
    """Names everything that a clean run depends on; None where some of it can't be seen from here (masked, filtered and streamed data)."""
    data = [_state_of(entry.path) for entry in work.inputs]
    if work.interpreter is None or None in data:
        return None
    order = work.order
    said = {
        "format": [FORMAT, jupyter_guardrails.__version__],
        "notebooks": [[view.order.notebook, [[cell.source, cell.tags] for cell in view.notebook.cells]] for view in work.each()],
        "parameters": order.parameters,
        "lock": work.locks["kernel"],
        "python": [work.interpreter.base, work.interpreter.version],
        "files": [[path.relative_to(order.frozen).as_posix(), _digest(path)] for path in _beside(work)],
        "data": [[entry.model_dump(mode="json"), state] for entry, state in zip(work.inputs, data, strict=True)],
        "policy": [order.policy_digest, order.profile, order.resources.model_dump(mode="json")],
    }
    return hashlib.sha256(canonical.dumps(said).encode()).hexdigest()


def find(work: Work, key: str) -> Earlier | None:
    """The evidence that control has kept under this key; None where there is none that can be used."""
    said, fds = work.control.call_with_fds(WorkerEarlier(submission=work.order.submission, key=key))
    if not said["found"]:
        return None
    with open(fds[0], "rb") as file:
        try:
            kept = Evidence.model_validate_json(file.read(MAX_EVIDENCE_BYTES))
        except ValidationError:
            return None  # of another version
    same = [len(part.cells) for part in kept.notebooks] == [len(view.notebook.cells) for view in work.each()]
    return _as_ours(work, kept) if kept.format == FORMAT and same else None


def keep(work: Work, key: str, runs: Sequence[Ran]) -> bool:
    """Have control keep the evidence of a run that went well; False where another run could give something else, or it is too large."""
    names = set(work.notebooks)
    if any(one.traced.hosts or one.traced.gap or names & one.traced.files.keys() for one in runs):
        return False
    job = f"{work.order.name}-{work.order.version}"
    parts = [_part(one) for one in runs]
    said = Evidence(job=job, day=work.order.submitted_on, notebooks=parts, tables=dict(work.tables))
    text = said.model_dump_json().encode()
    if len(text) > MAX_EVIDENCE_BYTES:
        return False
    memory = sealed(io.BytesIO(text), limit_bytes=MAX_EVIDENCE_BYTES)
    try:
        work.control.call(WorkerKeep(submission=work.order.submission, key=key), fds=[memory])
    finally:
        os.close(memory)
    return True


def _part(one: Ran) -> Part:
    places = {cell.index: number for number, cell in enumerate(one.view.notebook.cells)}
    cells = [{"outputs": one.node.cells[index].outputs, "execution_count": one.node.cells[index].execution_count} for index in places]
    return Part(cells=cells, written=list(one.written), traced=one.traced.moved(places).to_json())


def _as_ours(work: Work, kept: Evidence) -> Earlier:
    runs = tuple(_as_run(view, part) for view, part in zip(work.each(), kept.notebooks, strict=True))
    return Earlier(runs, kept.tables, f"not run again: {kept.job} of {kept.day} had the same code, environment, files and data")


def _as_run(view: Work, part: Part) -> Ran:
    node = cleanrun.stripped(view.notebook.node)
    for cell, found in zip(view.notebook.cells, part.cells, strict=True):
        node.cells[cell.index].update(nbformat.from_dict(found))  # type: ignore[no-untyped-call]
    places = {number: cell.index for number, cell in enumerate(view.notebook.cells)}
    return Ran(view, node, tuple(part.written), Traced.from_json(part.traced).moved(places))


def _beside(work: Work) -> list[Path]:
    """The workspace files that go along."""
    notebooks = {work.order.frozen / name for name in work.notebooks}
    return sorted(path for path in work.order.frozen.rglob("*") if path.is_file() and path not in notebooks)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state_of(place: str | None) -> list[list[Any]] | None:
    """A dataset's files as the file system knows them, of which nobody can set the time of the last change back; None for what is no such place."""
    if place is None:
        return None
    try:
        top = Path(place)
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        if len(files) > MOST_FILES:
            return None
        return [[str(path), *_stamp(path.stat())] for path in files]
    except OSError:
        return None


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
