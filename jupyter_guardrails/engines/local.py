"""The local engine: a package in a folder of its own, its environments built first, then the job under whatever sandbox it is given."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_guardrails.errors import Conflict, GuardrailsError
from jupyter_guardrails.package import archive
from jupyter_guardrails.package.job import Job, read_job


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a job and what it has to reach: `index` = the network of the package index, else none."""

    argv: tuple[str, ...]
    cwd: Path
    read: tuple[str, ...]
    write: tuple[str, ...]
    index: bool = False


Start = Callable[[Step], int]  # runs a step in a sandbox and gives its exit code


@dataclass(frozen=True, slots=True)
class Request:
    """One run of a package: parameters as text (run.py types them), datasets by name, results to `out`."""

    package: Path
    folder: Path  # the job's own, new
    out: Path
    environments: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    brokered: tuple[str, ...] = ()  # those that are read through control instead
    masked: tuple[str, ...] = ()  # those of `datasets` that are said to have the clean run's masks


def unpack(request: Request) -> Job:
    """Unpack the package into the job's folder; PackageError when it is unsafe, Conflict when there are results already."""
    if request.out.exists() and any(request.out.iterdir()):
        raise Conflict(f"{request.out} is not empty", next_step="name another folder with --out")
    if request.package.is_dir():
        shutil.copytree(request.package, request.folder / "job", symlinks=True)
    else:
        archive.unpack(request.package, request.folder / "job")
    return read_job(request.folder / "job")


def run(request: Request, start: Start) -> int:
    """Build the environments with the index, then run the job without a network; the job's exit code."""
    request.environments.mkdir(parents=True, exist_ok=True)
    request.out.mkdir(parents=True, exist_ok=True)
    if code := start(building(request)):
        raise GuardrailsError(f"the job's environments were not built (exit code {code})", next_step="see what it printed above")
    return start(running(request))


def building(request: Request, name: str = "job") -> Step:
    """The step that builds a job's environments; `name`: the folder's that the package is unpacked in."""
    return _step(request, ["--prepare"], write=(str(request.environments),), index=True, name=name)


def running(request: Request, name: str = "job") -> Step:
    """The step that is the job itself; `name` as above."""
    given = [f"--param={name}={text}" for name, text in request.parameters.items()]
    given += [f"--dataset={name}={path}" for name, path in request.datasets.items()]
    given += [f"--brokered={name}" for name in request.brokered] + [f"--masked={name}" for name in request.masked]
    return _step(request, [*given, f"--out={request.out}"], read=tuple(request.datasets.values()), write=(str(request.out),), name=name)


def _step(
    request: Request, options: list[str], *, write: tuple[str, ...], read: tuple[str, ...] = (), index: bool = False, name: str = "job"
) -> Step:
    folder = request.folder / name
    python = str(getattr(sys, "_base_executable", "") or sys.executable)
    argv = (python, "-I", str(folder / "run.py"), f"--environments={request.environments}", *options)
    return Step(argv, folder, (str(folder), str(request.environments), *read), write, index)
