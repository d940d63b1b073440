"""environment: what the kernel really has installed, locked so that another machine gets the same files."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.promotion import code, locks
from jupyter_guardrails.promotion import interpreter as kernels
from jupyter_guardrails.promotion.offers import install
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, passed
from jupyter_guardrails.promotion.wheels import NEXT_STEP, Bench, wheel_of
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "environment", "The environment can be rebuilt"
STEPS = 4


def run(work: Work, progress: Progress) -> Result:
    """Probe the kernel's own interpreter, refuse what no index has, make the two locks."""
    try:
        spec = kernels.find_kernelspec(work.order.kernelspec or work.notebook.named_kernelspec)
        found = kernels.probe(kernels.executable_of(spec), work.probing)
        progress(1, STEPS, f"Python {found.version}")
        cache = Path(work.order.environments) / "uv-cache"
        runner = work.threads.submit(locks.lock_runner, found, scratch=work.scratch, cache=cache)  # it depends on the interpreter alone
        frozen = locks.freeze(found, work.probing)
        system = locks.of_system(found, frozen, imported_modules(work)) if found.system_site else []
        frozen += system
        if findings := [*_wheels(work, found, progress), *_missing(found, frozen)]:
            return failed(f"{many(len(findings), 'package')} can't be locked", findings)
        progress(2, STEPS, f"{len(frozen)} packages")
        local = {package.canonical for package in _local(found)}
        indexed = [line for line in frozen if locks.name_of(line, found) not in local]
        work.locks["kernel"] = locks.lock_kernel(indexed, found, scratch=work.scratch, cache=cache, wheels=work.wheels)
        progress(3, STEPS, "runner")
        work.locks["runner"] = runner.result()
    except GuardrailsError as error:
        return failed(error.message, [Finding(error.message, fix=error.next_step, kind="no_environment")])
    work.interpreter = found
    along = f"; {', '.join(wheel.name for wheel in work.wheels)} goes along" if work.wheels else ""
    along += f"; of the system's packages that it sees it needs {len(system)}, which are in the lock" if found.system_site else ""
    conda = "; it is a conda environment: what conda alone installs is not in the lock" if found.conda else ""
    return passed(f"Python {found.version} with {len(frozen)} packages, each by version and hash{along}{conda}")


def imported_modules(work: Work) -> set[str]:
    """The modules that its notebooks and their own modules name, at their top."""
    trees = [cell.tree for notebook in (work.notebook, *work.then) for cell in notebook.cells if cell.tree]
    for file in sorted(work.order.frozen.rglob("*.py")):
        with contextlib.suppress(SyntaxError, ValueError):  # the check of paths says so
            trees.append(ast.parse(file.read_bytes()))
    return {module for tree in trees for module in code.imports(tree)}


def _local(found: kernels.Interpreter) -> list[kernels.Installed]:
    """What came from elsewhere than an index, without us."""
    return [package for package in found.installed if package.url and package.canonical not in locks.OURS]


def _wheels(work: Work, found: kernels.Interpreter, progress: Progress) -> Iterator[Finding]:
    """Make a wheel of each of those; a finding for each that can't be had elsewhere."""
    bench = Bench(Path(work.order.workspace), work.scratch, Path(work.order.environments), found)
    for package in _local(found):
        progress(1, STEPS, f"a wheel of {package.name}")
        try:
            work.wheels.append(wheel_of(package, bench))
        except GuardrailsError as error:
            yield Finding(error.message, fix=error.next_step, kind="not_from_index")


def _missing(found: kernels.Interpreter, frozen: list[str]) -> Iterator[Finding]:
    """What `freeze` lists without a version from an index, and what runs a kernel when it isn't there."""
    named = {package.canonical for package in found.installed if package.url}
    for line in frozen:
        name = locks.name_of(line, found)
        if "==" not in line and name not in named:
            yield Finding(f"{name} is not from a package index", fix=NEXT_STEP, kind="not_from_index")
    if "ipykernel" not in {locks.name_of(line, found) for line in frozen}:
        yield Finding(
            "ipykernel is not installed in the kernel's environment",
            fix="`pip install ipykernel` in it",
            kind="no_ipykernel",
            offer=install("ipykernel"),
        )
