"""clean_run: the notebook from top to bottom in a new environment, a new folder and a new kernel under the production profile."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from jupyter_guardrails.control.interface.work import RUN_PREFIX, WorkerReached
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.governed import GovernedContext
from jupyter_guardrails.kernels.traced import Recording
from jupyter_guardrails.promotion import cleanrun, compare, reuse
from jupyter_guardrails.promotion.environments import environment
from jupyter_guardrails.promotion.results import Finding, Result, failed, not_checked, passed, warned
from jupyter_guardrails.promotion.traces import Traced, sort_out
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "clean_run", "A clean run from top to bottom"

NOT_MADE = "write it, relative to the notebook's folder, or take it out of the outputs"


def run(work: Work, progress: Progress) -> Result:
    """Build, execute, keep the executed notebook as evidence, compare its outputs with the author's."""
    if work.interpreter is None or not work.locks:
        return not_checked("there is no environment to run it in")
    key = reuse.key_of(work)
    if key and (earlier := reuse.find(work, key)):
        work.traced = earlier.traced
        return _outcome(work, earlier.node, earlier.written, earlier.traced, before=f"{earlier.said}; ")
    progress(0, len(work.notebook.cells), "building the environment")
    try:
        python = environment(
            work.locks["kernel"], work.interpreter, store=Path(work.order.environments), scratch=work.scratch, wheels=work.wheelhouse
        )
    except GuardrailsError as error:
        return failed(error.message, [Finding(error.message, fix=error.next_step)])
    ran = _run(work, python, progress)
    assert work.traced is not None
    if ran.problem:
        _write(work, ran.node)
        return failed("the notebook does not run by itself", [ran.problem, *work.traced.undeclared_findings(), *work.traced.refused_findings()])
    result = _outcome(work, ran.node, ran.written, work.traced)
    if key and result.state != "failed":
        reuse.keep(work, key, node=ran.node, written=ran.written, traced=work.traced)
    return result


def _run(work: Work, python: Path, progress: Progress) -> cleanrun.Run:
    """In a fresh folder; what it opened is in `work.traced` then."""
    progress(0, len(work.notebook.cells), "starting a kernel")
    with tempfile.TemporaryDirectory(prefix=RUN_PREFIX, dir=work.order.folder) as fresh, cleanrun.run_folder() as run_dir:
        recording = Recording()
        context = GovernedContext(work.control, Path(fresh), run_dir, kind="clean_run", submission=work.order.submission, recording=recording)
        ran = _execute(work, context, python, progress)
        work.traced = _traced(work, ran, recording, context.workspace)
    return ran


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


def _execute(work: Work, context: GovernedContext, python: Path, progress: Progress) -> cleanrun.Run:
    """In a copy of what the package will hold, and nothing else."""
    shutil.copytree(work.order.frozen, context.workspace, dirs_exist_ok=True)
    node = cleanrun.stripped(work.notebook.node)
    nbformat.write(node, context.workspace / work.order.notebook)  # type: ignore[no-untyped-call]
    return cleanrun.execute(
        node,
        context=context,
        python=python,
        cwd=(context.workspace / work.order.notebook).parent,
        values=work.order.parameters,
        timeout_s=work.order.resources.wall_s,
        progress=progress,
    )


def _write(work: Work, node: nbformat.NotebookNode) -> None:
    work.executed = Path(work.order.folder, "executed.ipynb")
    nbformat.write(node, work.executed)  # type: ignore[no-untyped-call]


def _outcome(work: Work, node: nbformat.NotebookNode, written: Sequence[str], traced: Traced, *, before: str = "") -> Result:
    """Of a run that came to its end; `before`: what is said first."""
    _write(work, node)
    if undeclared := traced.undeclared_findings():
        return failed(f"it runs, but reads {len(undeclared)} file(s) that nobody declared", undeclared)
    if missing := [output for output in work.order.details.outputs if output.path not in written]:
        return failed(f"{len(missing)} declared output(s) were not made", [Finding(f"it wrote no {output.path}", fix=NOT_MADE) for output in missing])
    work.outputs = list(written)
    wrote = f"it wrote {len(written)} file(s)"
    notes = [*traced.refused_findings(), *_unread(work, traced), *([Finding(traced.gap)] if traced.gap else [])]
    if work.order.parameters:
        said = f"{before}ran with the submitted parameters, so its outputs were not compared; {wrote}"
        return warned(said, notes) if notes else passed(said)
    found = list(compare.differences(work.notebook.as_seen(), node.cells))
    if found:
        return warned(f"{before}it runs; the outputs of {len(found)} cell(s) differ from what the author saw", [*found, *notes])
    said = f"{before}same outputs as the author saw; {wrote}"
    return warned(said, notes) if notes else passed(said)


def _unread(work: Work, traced: Traced) -> list[Finding]:
    """Datasets that are declared and were not opened: whoever runs the job has to be given them all the same."""
    fix = "take its name out of the code, or read it"
    names = [entry.name for entry in work.inputs if entry.name not in traced.datasets] if not traced.gap else []
    return [Finding(f"the dataset {name} is declared, and the clean run never opened it", fix=fix) for name in names]
