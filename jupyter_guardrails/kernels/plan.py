"""From what control admitted and what a kernelspec wants to start: the one plain value that the sandbox is made from. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.kernels import accounts, variables
from jupyter_guardrails.kernels.folders import KernelFolders
from jupyter_guardrails.kernels.forwards import HOSTS
from jupyter_guardrails.sandbox.spec import Limits, SandboxSpec

SYSTEM_READ = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc",
    "/proc",
    "/sys/devices/system/cpu",
    "/var/cache/fontconfig",  # fc-list, which matplotlib starts, reads the fonts that it knows from there
    "/sys/fs/cgroup",  # DuckDB aborts without it
    "/sys/kernel/mm/transparent_hugepage",  # jemalloc, which pyarrow brings along, reads it when it is loaded
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")
SHARED_MEMORY = "/dev/shm"  # multiprocessing needs it
PROXY_PORT = 3128
CLIENT_DIR = Path(__file__).resolve().parents[1] / "client"


def make_spec(
    admission: Admission,
    *,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    workspace: Path | str,
    kernel_dir: Path | str,
    own: Mapping[str, str] = MappingProxyType({}),
    read: Sequence[str] = (),
    write: Sequence[str] = (),
    shut: Sequence[str] = (),
    channel: str | None = None,
    netless_port: int | None = PROXY_PORT,
    tty: bool = False,
    unlisted: bool = False,
    record: bool = False,
) -> SandboxSpec:
    """The sandbox of one process. Where the policy only observes, the lists say what would be refused, `shut` (with the admission's) what is.

    `env` is the environment of whoever starts it, of which only the allow-list passes; `own` are the kernelspec's variables, for the kernel alone.
    `kernel_dir` was made by `folders.make_folders`; `read` are the environment's folders (see kernelspecs). `netless_port` is where the proxy listens
    inside the empty network namespace: a host that isn't approved is then refused with a reason instead of failing to resolve.
    `unlisted`: the account is not in /etc/passwd, so the files of `accounts.write_account` stand for it. `record`: see `_recorded`.
    """
    observed, open_network = "files" in admission.observed, "network" in admission.observed
    port = None if open_network else netless_port
    forwards, folders = [] if port is None else admission.forwards, KernelFolders(Path(kernel_dir))
    facts = variables.Facts(workspace=Path(workspace), folders=folders, client_dir=CLIENT_DIR, channel=channel, proxy_port=port)
    spec = SandboxSpec(
        argv=tuple(argv),
        env=variables.complete(admission, variables.substituted(own, variables.allowed(env, admission.env_pass, program=argv[0])), facts),
        cwd=cwd,
        read=_readable(admission, folders, read),
        write=_writable(admission, folders, str(workspace), write),
        devices=unique(*DEVICES, *admission.devices),
        network="host" if open_network else "none",
        proxy_port=port,
        forwards=tuple((forward.address, forward.port) for forward in forwards),
        channel=channel,
        limits=limits_of(admission),
        require=tuple(admission.required),
        tty=tty,
        temporary=str(folders.temporary),
        covers=(*(((str(folders.hosts), HOSTS),) if forwards else ()), *(accounts.covers(folders) if unlisted else ())),
        observed=observed,
        shut=unique(*admission.shut, *shut) if observed else (),
        trace=observed,
    )
    return _recorded(spec, admission, folders, str(workspace), read) if record else spec


def _readable(admission: Admission, folders: KernelFolders, read: Sequence[str]) -> tuple[str, ...]:
    granted = (path for name, path in admission.datasets.items() if name not in admission.softly)
    return unique(*SYSTEM_READ, str(CLIENT_DIR), str(folders.data), str(folders.configuration), *read, *admission.read_paths, *granted)


def _writable(admission: Admission, folders: KernelFolders, workspace: str, write: Sequence[str]) -> tuple[str, ...]:
    own = (folders.connection, folders.temporary, folders.state, folders.migrated)
    return unique(workspace, *map(str, own), SHARED_MEMORY, *write, *admission.write_paths)


def _recorded(spec: SandboxSpec, admission: Admission, folders: KernelFolders, workspace: str, read: Sequence[str]) -> SandboxSpec:
    """The same with a tracer that tells which files are opened that are no part of the system, the environment or the kernel's own folders."""
    beside = unique(*SYSTEM_READ, "/dev", "/sys", str(CLIENT_DIR), str(folders.root), *read)
    return replace(spec, trace=True, told=unique(workspace, *admission.datasets.values()), beside=beside)


def limits_of(admission: Admission) -> Limits:
    """The numbers of the admitted profile."""
    return Limits(
        memory_bytes=admission.memory_bytes,
        cpus=admission.cpus,
        tasks=admission.tasks,
        file_size_bytes=admission.file_size_bytes,
        shm_bytes=admission.shm_bytes,
        lifetime_s=admission.lifetime_s,
    )


def working_folder(asked: str | None, workspace: Path) -> str:
    """Where a kernel starts: the asked folder when it really lies in the workspace, else the workspace."""
    if asked is None:
        return str(workspace)
    folder = Path(asked).resolve()
    return str(folder) if folder.is_dir() and folder.is_relative_to(workspace.resolve()) else str(workspace)


def relative_to_workspace(session: str, workspace: Path) -> str | None:
    """The notebook that a session's name (JPY_SESSION_NAME, an absolute or API path) means, relative to the workspace; None for anything else."""
    path = Path(os.path.realpath(workspace / session))
    return str(path.relative_to(workspace)) if session and path.is_relative_to(workspace) else None


def kernel_start_variables(argv: Sequence[str]) -> dict[str, str]:
    """Variables for the start of a kernel alone.

    PYTHONSAFEPATH: a file `ipykernel_launcher.py` beside the notebook must not run instead of the kernel (removed again by folders.STARTUP).
    JPY_PARENT_PID=1: ipykernel's own watch over its parent is off; the sandbox ends the kernel with its server.
    """
    python = any(re.fullmatch(r"python[0-9.]*", os.path.basename(part)) for part in argv)
    return {"JPY_PARENT_PID": "1"} | ({"PYTHONSAFEPATH": "1"} if python else {})


def unique(*paths: str) -> tuple[str, ...]:
    """The paths in order, each once."""
    return tuple(dict.fromkeys(paths))
