"""environment: what the kernel really has installed, locked so that another machine gets the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.promotion import interpreter as kernels
from jupyter_guardrails.promotion import locks
from jupyter_guardrails.promotion.results import Finding, Result, failed, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "environment", "The environment can be rebuilt"
STEPS = 4
AS_WHEEL = "install a released version from your package index (`pip install NAME==VERSION`), or put the module beside the notebook"


def run(work: Work, progress: Progress) -> Result:
    """Probe the kernel's own interpreter, refuse what no index has, make the two locks."""
    try:
        spec = kernels.find_kernelspec(work.order.kernelspec or work.notebook.kernelspec)
        found = kernels.probe(kernels.executable_of(spec), work.scratch)
        progress(1, STEPS, f"Python {found.version}")
        frozen = locks.freeze(found, work.scratch)
        findings = [*_local(found), *_missing(found, frozen)]
        if findings:
            return failed(f"{len(findings)} package(s) can't be locked", findings)
        progress(2, STEPS, f"{len(frozen)} packages")
        cache = Path(work.order.environments) / "uv-cache"
        work.locks["kernel"] = locks.lock_kernel(frozen, found, scratch=work.scratch, cache=cache)
        progress(3, STEPS, "runner")
        work.locks["runner"] = locks.lock_runner(found, scratch=work.scratch, cache=cache)
    except GuardrailsError as error:
        return failed(error.message, [Finding(error.message, fix=error.next_step)])
    work.interpreter = found
    conda = "; it is a conda environment: what conda alone installs is not in the lock" if found.conda else ""
    return passed(f"Python {found.version} with {len(frozen)} packages, each by version and hash{conda}")


def _local(found: kernels.Interpreter) -> Iterator[Finding]:
    for package in found.installed:
        if package.url and locks.canonical_name(package.name) not in locks.OURS:
            kind = "editable" if package.editable else "installed from " + ("a folder or file" if package.url.startswith("file:") else "an address")
            yield Finding(f"{package.name} {package.version} is {kind}: another machine can't get it", fix=AS_WHEEL)


def _missing(found: kernels.Interpreter, frozen: list[str]) -> Iterator[Finding]:
    """What `freeze` lists without a version from an index, and what runs a kernel when it isn't there."""
    named = {locks.canonical_name(package.name) for package in found.installed if package.url}
    for line in frozen:
        name = locks.name_of(line, found)
        if "==" not in line and name not in named:
            yield Finding(f"{name} is not from a package index", fix=AS_WHEEL)
    if "ipykernel" not in {locks.name_of(line, found) for line in frozen}:
        yield Finding("ipykernel is not installed in the kernel's environment", fix="`pip install ipykernel` in it")
