"""clean_run: each notebook from top to bottom in a new environment, a new folder and a new kernel under the production profile."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from jupyter_guardrails.control.interface.work import RUN_PREFIX, WorkerColumns, WorkerReached
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.governed import GovernedContext
from jupyter_guardrails.kernels.traced import Recording
from jupyter_guardrails.package.job import numbered
from jupyter_guardrails.promotion import cleanrun, compare, inputs, outputs, reuse, row_samples
from jupyter_guardrails.promotion.environments import environment
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, not_checked, passed, warned
from jupyter_guardrails.promotion.reuse import Ran
from jupyter_guardrails.promotion.traces import Traced, sort_out
from jupyter_guardrails.promotion.work import Progress, Work, named

NAME, TITLE = "clean_run", "A clean run from top to bottom"

NOT_MADE = "write it, relative to the notebook's folder, or take it out of the outputs"


def run(work: Work, progress: Progress) -> Result:
    """Build, execute, keep the executed notebooks as evidence, compare their outputs with the author's."""
    if work.interpreter is None or not work.locks:
        return not_checked("there is no environment to run it in")
    if findings := inputs.not_pinnable(work.inputs, work.order.details.pinned):
        return failed(f"{many(len(findings), 'dataset')} can't be pinned", findings)
    key = reuse.key_of(work)
    if key and (earlier := reuse.find(work, key)):
        seen = inputs.stamps(work.inputs)
        work.tables = dict(earlier.tables)
        return _outcome(work, earlier.runs, seen, before=f"{earlier.said}; ")
    progress(0, len(work.notebook.cells), "building the environment")
    try:
        python = environment(
            work.locks["kernel"], work.interpreter, store=Path(work.order.environments), scratch=work.scratch, wheels=work.wheelhouse
        )
    except GuardrailsError as error:
        return failed(error.message, [Finding(error.message, fix=error.next_step)])
    seen = inputs.stamps(work.inputs)
    with tempfile.TemporaryDirectory(prefix=RUN_PREFIX, dir=work.order.folder) as fresh:
        runs, whole = _run_all(work, Path(fresh), python, progress)
        work.tables = outputs.look_at(Path(fresh, work.order.notebook).parent, {name for one in runs for name in one.written})
    if work.order.sample and (not runs[-1].problem or _is_cut(work, runs[-1])):
        return sampled(work, runs, whole)
    if problem := runs[-1].problem:
        _write(work, runs)
        return _stopped(work, runs[-1], problem)
    result = _outcome(work, runs, seen)
    if key and result.state != "failed":
        reuse.keep(work, key, runs)
    return result


def _stopped(work: Work, last: Ran, problem: Finding) -> Result:
    """Of a run that did not come to its end, and what else may be why."""
    which = f"{last.view.order.notebook} of the job" if work.then else "the notebook"
    findings = [problem, *last.traced.undeclared_findings(), *last.traced.refused_findings()]
    on = f" on a sample of {work.order.sample}" if work.order.sample else ""
    return failed(f"{which} does not run by itself{on}", last.named(findings))


def _run_all(work: Work, workspace: Path, python: Path, progress: Progress) -> tuple[list[Ran], list[Finding]]:
    """In a copy of what the package will hold, and nothing else: each notebook in a kernel of its own, until one fails.

    With a finding for each dataset of which there is no sample, where it runs on samples.
    """
    shutil.copytree(work.order.frozen, workspace, dirs_exist_ok=True)
    for view in work.each():
        nbformat.write(cleanrun.stripped(view.notebook.node), workspace / view.order.notebook)  # type: ignore[no-untyped-call]
    env, whole = row_samples.make(work, workspace, work.order.sample_rows) if work.order.sample_rows else (dict[str, str](), list[Finding]())
    wall_s = work.order.resources.wall_s
    ends, runs = time.monotonic() + min(wall_s, work.order.sample_s or wall_s), list[Ran]()
    for view in work.each():
        tell = named(view.order.notebook, progress) if work.then else progress
        tell(0, len(view.notebook.cells), "starting a kernel")
        values = {} if runs else work.order.parameters
        runs.append(_run(view, workspace, python, values=values, timeout_s=max(1, math.ceil(ends - time.monotonic())), progress=tell, env=env))
        if runs[-1].problem:
            break
    return runs, whole


def _run(work: Work, workspace: Path, python: Path, *, values: dict[str, Any], timeout_s: int, progress: Progress, env: Mapping[str, str]) -> Ran:
    """One notebook, with what it opened."""
    with cleanrun.run_folder() as run_dir:
        recording = Recording()
        context = GovernedContext(work.control, workspace, run_dir, kind="clean_run", submission=work.order.submission, recording=recording)
        ran = cleanrun.execute(
            cleanrun.stripped(work.notebook.node),
            context=context,
            python=python,
            cwd=(workspace / work.order.notebook).parent,
            values=values,
            timeout_s=timeout_s,
            progress=progress,
            env=env,
        )
        return Ran(work, ran.node, ran.written, _traced(work, ran, recording, workspace), ran.problem)


def _traced(work: Work, ran: cleanrun.Run, recording: Recording, workspace: Path) -> Traced:
    """What it opened, as its tracer saw it, and what control gave it."""
    declared = frozenset(entry.name for entry in work.inputs)
    places = work.order.places | {entry.path: entry.name for entry in work.inputs if entry.path}
    real = {os.path.realpath(place): name for place, name in places.items()}  # a tracer says where links lead
    found = sort_out(recording.seen, ran.begun, workspace=workspace.resolve(), places=real, declared=declared)
    found.gap = recording.gap
    if ran.kernel_id:
        found.add_reached(work.control.call(WorkerReached(submission=work.order.submission, kernel_id=ran.kernel_id)), ran.begun)
    return found


def _write(work: Work, runs: Sequence[Ran]) -> None:
    work.traced[:] = [one.traced for one in runs]
    work.executed[:] = [Path(work.order.folder, numbered("executed.ipynb", number)) for number in range(len(runs))]
    for path, one in zip(work.executed, runs, strict=True):
        nbformat.write(one.node, path)  # type: ignore[no-untyped-call]


def _outcome(work: Work, runs: Sequence[Ran], seen: Mapping[str, inputs.Stamp], *, before: str = "") -> Result:
    """Of a run that came to its end; `seen`: its data's files as they were then, `before`: what is said first."""
    _write(work, runs)
    written = sorted({name for one in runs for name in one.written})
    if wrong := _undeclared(work, runs, written):
        return wrong
    changed = inputs.pin(work.inputs, seen)
    if inputs.lost(work.inputs, work.order.details.pinned):
        return failed("it runs, but a dataset of which only certain bytes count was changed meanwhile", changed)
    changed += inputs.describe(work.inputs, lambda name: work.control.call(WorkerColumns(submission=work.order.submission, name=name)))
    work.outputs = written
    refused = [finding for one in runs for finding in one.named(one.traced.refused_findings())]
    gaps = [finding for one in runs if one.traced.gap for finding in one.named([Finding(one.traced.gap)])]
    notes = [*refused, *_unread(work, [one.traced for one in runs]), *gaps, *changed]
    return _compared(work, runs, notes, before=before)


def _undeclared(work: Work, runs: Sequence[Ran], written: Sequence[str]) -> Result | None:
    """Where a run read or made something else than its author said; else None."""
    if undeclared := [finding for one in runs for finding in one.named(one.traced.undeclared_findings())]:
        return failed(f"it runs, but reads {many(len(undeclared), 'file')} that nobody declared", undeclared)
    if missing := [output for output in work.order.details.outputs if output.path not in written]:
        they = many(len(missing), "declared output was", "declared outputs were")
        return failed(f"{they} not made", [Finding(f"it wrote no {output.path}", fix=NOT_MADE) for output in missing])
    if unlike := outputs.unlike(work.order.details.outputs, work.tables):
        return failed(f"it made other tables than were declared: {many(len(unlike), 'difference')}", unlike)
    return None


def _compared(work: Work, runs: Sequence[Ran], notes: list[Finding], *, before: str) -> Result:
    """With what the author saw, unless other parameters were submitted; `notes`: what is to be known in any case."""
    wrote = f"it wrote {many(len(work.outputs), 'file')}{outputs.words(work.tables)}"
    if work.order.parameters:
        said = f"{before}ran with the submitted parameters, so its outputs were not compared; {wrote}"
        return warned(said, notes) if notes else passed(said)
    found = [finding for one in runs for finding in one.named(compare.differences(one.view.notebook.as_seen(), one.node.cells))]
    if found:
        return warned(f"{before}it runs; the outputs of {many(len(found), 'cell')} differ from what the author saw", [*found, *notes])
    said = f"{before}same outputs as the author saw; {wrote}"
    return warned(said, notes) if notes else passed(said)


def _is_cut(work: Work, last: Ran) -> bool:
    """Whether the sample's time was over, and not the job's."""
    too_long = last.problem is not None and last.problem.kind == cleanrun.TOO_LONG
    return too_long and (work.order.sample_s or 0) < work.order.resources.wall_s


def sampled(work: Work, runs: Sequence[Ran], whole: Sequence[Finding] = ()) -> Result:
    """What can be said of a run that was given a short time, or few rows: how far it came, and what was wrong so far. Never that all is well.

    `whole`: of what it was given all rows nevertheless.
    """
    _write(work, runs)
    if undeclared := [finding for one in runs for finding in one.named(one.traced.undeclared_findings())]:
        return failed(f"a sample of {work.order.sample} reads {many(len(undeclared), 'file')} that nobody declared", undeclared)
    found = [finding for one in runs for finding in one.named([*_differences_so_far(work, one), *one.traced.refused_findings()])]
    found += whole
    detail = f"a sample of {work.order.sample}, {_how_far(runs)}: it tells nothing about the whole, which runs when you submit"
    return warned(detail, found) if found else not_checked(detail)


def _how_far(runs: Sequence[Ran]) -> str:
    last = runs[-1]
    if not last.problem:
        return "in which all of it ran"
    where = f" of {last.view.order.notebook}" if last.view.then else ""
    return f"over in cell {last.problem.cell + 1}{where}" if last.problem.cell is not None else "over before its first cell"


def _differences_so_far(work: Work, one: Ran) -> list[Finding]:
    """Of the cells before the one that was ended. Other parameters, and fewer rows, have other outputs."""
    if work.order.parameters or work.order.sample_rows:
        return []
    found = compare.differences(one.view.notebook.as_seen(), one.node.cells)
    end = (one.problem.cell or 0) if one.problem else len(one.node.cells)
    return [finding for finding in found if (finding.cell or 0) < end]


def _unread(work: Work, traced: Sequence[Traced]) -> list[Finding]:
    """Datasets that are declared and were not opened: whoever runs the job has to be given them all the same."""
    fix = "take its name out of the code, or read it"
    opened = {name for one in traced for name in one.datasets}
    names = [entry.name for entry in work.inputs if entry.name not in opened] if not any(one.gap for one in traced) else []
    return [Finding(f"the dataset {name} is declared, and the clean run never opened it", fix=fix) for name in names]
