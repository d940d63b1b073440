"""Executing the frozen notebook once: a fresh folder, a fresh kernel under the production profile, cell by cell."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from jupyter_guardrails.control.interface.auditing import KernelCells, cell_of
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels.folders import make_run_dir
from jupyter_guardrails.kernels.governed import GovernedContext, kernel_manager_class
from jupyter_guardrails.promotion.bounded import MAX_OUTPUT_BYTES, BoundedClient
from jupyter_guardrails.promotion.results import Finding
from jupyter_guardrails.promotion.traces import Begun

INJECTED = "injected-parameters"
TOO_LONG = "too_long"  # the kind of the finding at the cell in which a run's time was over
ERROR_TAIL = 2000
SAID_AFTER_S = 0.3  # a cell that takes longer is named while it runs
ASKS = "StdinNotImplementedError"  # ipykernel's, for input() where nobody can answer


@dataclass(frozen=True, slots=True)
class Run:
    """The executed notebook (without the cell of injected parameters), the files that it wrote, when its cells began, and what ended it early."""

    node: nbformat.NotebookNode
    kernel_id: str
    written: tuple[str, ...]
    begun: tuple[Begun, ...]
    problem: Finding | None


def stripped(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy without outputs, counts and what the author's session left in the metadata."""
    copy: nbformat.NotebookNode = nbformat.from_dict(node)  # type: ignore[no-untyped-call]
    copy.metadata = nbformat.from_dict({"language_info": {"name": "python"}})  # type: ignore[no-untyped-call]
    for cell in copy.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": list(tags)} if tags else {})  # type: ignore[no-untyped-call]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy


@dataclass
class Steps:
    """Tells how far a run is: after each cell, and which one runs when it takes a moment."""

    total: int
    say: Callable[[int, int, str], None]  # done, total, one sentence
    done: int = 0
    begun: list[tuple[float, float, nbformat.NotebookNode]] = field(default_factory=list)  # monotonic, since the epoch
    kernel_id: str = ""
    _soon: asyncio.TimerHandle | None = None

    def begin(self, cell: nbformat.NotebookNode) -> None:
        """A cell starts."""
        self.begun.append((time.monotonic(), time.time(), cell))
        words = f"cell {self.done + 1} of {self.total} is running"
        self._soon = asyncio.get_running_loop().call_later(SAID_AFTER_S, self.say, self.done, self.total, words)

    def end(self) -> None:
        """It has ended."""
        if self._soon:
            self._soon.cancel()
        self.done += 1
        self.say(self.done, self.total, f"cell {self.done} of {self.total}")


def execute(
    node: nbformat.NotebookNode,
    *,
    context: GovernedContext,
    python: Path,
    cwd: Path,
    values: Mapping[str, Any],
    timeout_s: int,
    progress: Callable[[int, int, str], None],
    env: Mapping[str, str] | None = None,
) -> Run:
    """Run every cell of a stripped notebook; `cwd` is its folder in the fresh one. A failing cell ends the run and is the problem.

    `env`: further variables of its kernel.
    """
    before = _snapshot(cwd)
    _inject(node, values)
    # those that nbclient executes: it passes empty ones by
    steps = Steps(sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in node.cells), progress)
    client = _client(node, steps, context=context, python=python, cwd=cwd, env=env)
    client.limit(timeout_s)
    said: list[str] = []
    context.tell = lambda _, reason: said.append(reason)
    problem = _run(client, steps, timeout_s, said)
    node.metadata = nbformat.from_dict({"language_info": {"name": "python"}})  # type: ignore[no-untyped-call]
    node.cells = [cell for cell in node.cells if INJECTED not in cell.metadata.get("tags", [])]
    after = _snapshot(cwd)
    written = tuple(sorted(name for name in after if after[name] != before.get(name)))
    begun = tuple(Begun(monotonic_s, epoch_s, _place(node.cells, cell)) for monotonic_s, epoch_s, cell in steps.begun)
    return Run(node, steps.kernel_id, written, begun, problem)


def _client(
    node: nbformat.NotebookNode, steps: Steps, *, context: GovernedContext, python: Path, cwd: Path, env: Mapping[str, str] | None
) -> BoundedClient:
    """What executes the notebook in a governed kernel, and tells `steps` how far it is."""

    def executing(cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Called by nbclient before each cell: a run whose cells can't be recorded proves nothing."""
        assert client.km is not None, "it made the kernel that the cell is for"
        steps.kernel_id = client.km.kernel_id
        context.control.call(KernelCells(cells=[cell_of(steps.kernel_id, cell.source)]))
        steps.begin(cell)

    def executed(cell: nbformat.NotebookNode, cell_index: int, execute_reply: Any) -> None:
        """Called by nbclient after each cell; after the last one what the notebook's code does at its end is waited for."""
        steps.end()
        if steps.done == steps.total:
            client.shutdown_kernel = "graceful"

    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client = BoundedClient(
        node,
        kernel_manager_class=kernel_manager_class(context, argv, env),
        resources={"metadata": {"path": str(cwd)}},
        on_cell_execute=executing,
        on_cell_executed=executed,
        record_timing=False,
        store_widget_state=False,
        shutdown_kernel="immediate",  # whatever ends it early must not wait for its kernel
    )
    return client


def _run(client: BoundedClient, steps: Steps, timeout_s: int, said: list[str]) -> Finding | None:
    """None, or why the run ended early; `said` is what was told about its kernel meanwhile."""
    try:
        client.execute()
    except CellExecutionError as error:
        if error.ename == ASKS:
            return _at(client, steps, "this cell asks for input, and a job has nobody to ask", "make it a parameter: a cell tagged `parameters`")
        message = f"{error.ename}: {error.evalue}"[-ERROR_TAIL:]
        return _at(client, steps, message, "run the notebook from top to bottom in a fresh kernel, correct this cell")
    except CellTimeoutError:
        message = f"the run took longer than the {timeout_s} s that a job may, and was in this cell"
        return replace(_at(client, steps, message, "make it faster, or ask for a longer job"), kind=TOO_LONG)
    except DeadKernelError as error:
        if client.overflowed:
            message = f"the outputs are more than {MAX_OUTPUT_BYTES >> 20} MiB, and were ended in this cell"
            return _at(client, steps, message, "print less, and write results to a file")
        why = said[-1] if said else str(error)
        return _at(client, steps, f"the kernel ended: {why}", "it may have used more memory than the production profile gives")
    except GuardrailsError as error:
        return Finding(str(error), fix=error.next_step)
    except RuntimeError as error:  # jupyter_client's, for a kernel that ends before it answers (8.10)
        return Finding(f"the kernel did not start: {error}", fix="start a notebook with this kernel and see what it prints")
    return None


def _at(client: BoundedClient, steps: Steps, message: str, fix: str) -> Finding:
    """The finding at the cell that was begun last, in the notebook's own counting."""
    cells = [cell for cell in client.nb.cells if INJECTED not in cell.metadata.get("tags", [])]
    return Finding(message, _place(cells, steps.begun[-1][2]) if steps.begun else None, fix=fix)


def _place(cells: list[nbformat.NotebookNode], cell: nbformat.NotebookNode) -> int | None:
    return next((n for n, one in enumerate(cells) if one is cell), None)


def _inject(node: nbformat.NotebookNode, values: Mapping[str, Any]) -> None:
    if values:
        after = next((n for n, cell in enumerate(node.cells, 1) if "parameters" in cell.metadata.get("tags", [])), 0)
        source = "".join(f"{name} = {value!r}\n" for name, value in sorted(values.items()))
        node.cells.insert(after, nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]}, id=INJECTED))  # type: ignore[no-untyped-call]


def _snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


@contextlib.contextmanager
def run_folder() -> Any:
    """A private folder with a short path for the kernel's sockets, removed afterwards."""
    folder = make_run_dir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
