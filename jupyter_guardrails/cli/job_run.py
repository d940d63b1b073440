"""`jupyter guardrails job run PACKAGE`: the local engine, under the sandbox of the production profile."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from jupyter_guardrails.cli.connection import connected, home_of
from jupyter_guardrails.cli.exec_command import follow
from jupyter_guardrails.control.interface import Admission, ControlClient
from jupyter_guardrails.control.interface.jobs import DECLARED, DeclaredInput
from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelSettle
from jupyter_guardrails.engines import local
from jupyter_guardrails.errors import BadRequest, NotFound, PackageError
from jupyter_guardrails.kernels import plan, run_dirs
from jupyter_guardrails.kernels.folders import make_folders
from jupyter_guardrails.kernels.forwards import write_hosts
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.package.archive import unpack
from jupyter_guardrails.package.job import Input, Job, read_job
from jupyter_guardrails.promotion.confine import index_environ, index_files, run_confined
from jupyter_guardrails.sandbox.run import start


def add_parser(commands: Any) -> None:
    """`job run PACKAGE [--dataset NAME=PATH [--masked NAME]] [--param NAME=VALUE] [--out DIR]`."""
    parser = commands.add_parser("run", help="run a package under the production sandbox of this machine")
    parser.add_argument("package", type=Path, help="a .job.zip file")
    parser.add_argument("--dataset", action="append", default=[], metavar="NAME=PATH", help="where a dataset is (default: as you were granted it)")
    parser.add_argument("--masked", action="append", default=[], metavar="NAME", help="a file given by --dataset has the masks of the clean run")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, default=Path("out"), help="a new folder for results (default: ./out)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The job's exit code; nothing of a package runs that no trusted key vouches for."""
    if not arguments.package.is_file():
        raise NotFound(f"there is no file {arguments.package}", next_step="`jupyter guardrails job list`, then `job save ID`")
    with connected(os.environ) as client, run_dirs.held() as private:
        profile = _trusted(client, arguments.package)
        folder, out = private, arguments.out.resolve()
        job = _job(arguments.package, folder)
        given = pairs(arguments.dataset, "--dataset")
        admission = admit(client, out, profile, [entry for entry in job.inputs if entry.name not in given])
        try:
            request = _request(arguments, job, admission, folder, out)
            local.unpack(request)
            return local.run(request, lambda step: run_step(client, admission, step, folder, secrets=job.secrets))
        except BaseException:
            client.call(KernelSettle(lease=admission.lease, reason="the job did not run"))
            raise


def _trusted(client: ControlClient, package: Path) -> str:
    """The production profile's name, or PackageError when control does not trust this file."""
    with package.open("rb") as file:
        found = client.verify(file)
    if not found["trusted"]:
        raise PackageError(
            f"{package.name} is not trusted here: {'; '.join(found['problems'][:3])}",
            next_step="get it from who submitted it, with their *.public.json for the keys folder of control's state directory",
        )
    return str(found["profile"])


def _job(package: Path, folder: Path) -> Job:
    unpack(package, folder / "look")
    return read_job(folder / "look")


def admit(client: ControlClient, out: Path, profile: str, inputs: list[Input]) -> Admission:
    """What the job may have. Control refuses it where this person may not read an input, or would see more of it than the clean run did."""
    name = f"job-{uuid.uuid4()}"
    seen = [DeclaredInput.model_validate(entry.model_dump(include=DECLARED)) for entry in inputs]
    request = KernelAdmit(kernel_id=name, kernelspec="job", workspace=str(out), key=name, kind="exec", profile=profile, inputs=seen)
    return client.admit(request)


def _request(arguments: argparse.Namespace, job: Job, admission: Admission, folder: Path, out: Path) -> local.Request:
    """Datasets by flag, else by path as this person was granted them, else through control."""
    given = {name: str(Path(path).resolve()) for name, path in pairs(arguments.dataset, "--dataset").items()}
    datasets = admission.datasets | given
    brokered = tuple(entry.name for entry in job.inputs if entry.name not in datasets)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home_of(os.environ) / ".cache") / "guardrails-jobs"
    parameters = pairs(arguments.param, "--param")
    return local.Request(arguments.package, folder, out, cache, parameters, datasets, brokered, tuple(arguments.masked))


def pairs(given: list[str], flag: str) -> dict[str, str]:
    """NAME=VALUE arguments as a dict."""
    if wrong := [text for text in given if "=" not in text]:
        raise BadRequest(f"{flag} takes NAME=VALUE, not {wrong[0]!r}")
    return dict(text.split("=", 1) for text in given)


def run_step(
    client: ControlClient,
    admission: Admission,
    step: local.Step,
    folder: Path,
    *,
    secrets: Sequence[str],
    measured: Callable[[Beat], object] = lambda last: None,
) -> int:
    """Building: confined, with the network for the index. The job itself: the sandbox of a kernel, followed and charged like one."""
    if step.index:
        return build(step, folder)
    read = [*step.read, *interpreter_folders(step.argv[0])]
    kernel_folders = make_folders(folder)
    write_hosts(kernel_folders, admission.forwards)
    kernel_dir = kernel_folders.root
    out = Path(step.write[0])
    bound = {name: os.environ[name] for name in secrets if name in os.environ}
    # the job's own inputs are in step.read: no other grant is; its secrets go as they are
    only = admission.model_copy(update={"datasets": {}, "env_set": {**admission.env_set, **bound}})
    spec = plan.make_spec(
        only,
        argv=step.argv,
        env=os.environ,
        cwd=str(step.cwd),
        workspace=out,
        kernel_dir=kernel_dir,
        read=read,
        write=step.write,
        channel=f"guardrails-{admission.lease}",
    )
    started = start(spec)
    try:
        return follow(client, admission, started, ("channel", "proxy"), say=False, measured=measured)
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.process.kill()


def build(step: local.Step, folder: Path) -> int:
    """Build the environments of a package, confined, with the network for the index; the exit code."""
    scratch = folder / "scratch"
    scratch.mkdir()
    uv = find_uv_bin()
    tools = {"PATH": f"{os.path.dirname(uv)}:/usr/bin:/bin", "UV_CACHE_DIR": f"{step.write[0]}/uv-cache"}
    files = [*step.read, *interpreter_folders(step.argv[0]), uv, *index_files()]
    ran = run_confined(step.argv, scratch=scratch, read=files, write=step.write, network="host", env=index_environ() | tools)
    sys.stdout.write(ran.out)
    sys.stderr.write(ran.err)
    return ran.code
