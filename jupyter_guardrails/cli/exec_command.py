"""`jupyter guardrails exec -- CMD`: runs a command exactly as a kernel of yours would run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control.interface import Admission, ControlClient, connect
from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelBeat, KernelSettle, KernelStarted
from jupyter_guardrails.kernels import folders, kernelspecs, plan
from jupyter_guardrails.sandbox import headroom, meter
from jupyter_guardrails.sandbox.run import Started, start
from jupyter_guardrails.sandbox.spec import SandboxSpec

TICK_S = 0.1
BEAT_S = 10.0


def add_parser(subparsers: Any) -> None:
    """`exec [--profile P] -- CMD …`."""
    parser = subparsers.add_parser("exec", help="run a command exactly as a kernel of yours would run")
    parser.add_argument("--profile", help="instead of your default profile")
    parser.add_argument("--workspace", default=".", help="the folder that it may write (default: here)")
    parser.add_argument("--report", action="store_true", help="say on stderr what is enforced around it")
    parser.add_argument("argv", nargs="+", metavar="CMD")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The command's own exit code; 128 + n when a signal ended it."""
    workspace = Path(arguments.workspace).resolve()
    with connect(settings_from(os.environ)) as client, tempfile.TemporaryDirectory(prefix="gr-", dir="/tmp") as private:
        admission = client.admit(_request(arguments.profile, workspace))
        try:
            started = start(_spec(admission, arguments.argv, workspace, folders.make_folders(Path(private))))
        except BaseException:
            client.call(KernelSettle(lease=admission.lease, reason="did not start"))
            raise
        return follow(client, admission, started, ("channel", "proxy"), say=arguments.report)


def _request(profile: str | None, workspace: Path) -> KernelAdmit:
    name = f"exec-{uuid.uuid4()}"
    return KernelAdmit(kernel_id=name, kernelspec="exec", workspace=str(workspace), key=name, kind="exec", profile=profile)


def _spec(admission: Admission, argv: list[str], workspace: Path, private: folders.KernelFolders) -> SandboxSpec:
    folders.show_grants(private, admission.datasets)
    return plan.make_spec(
        admission,
        argv=argv,
        env=dict(os.environ),
        cwd=str(workspace),
        workspace=workspace,
        kernel_dir=private.root,
        read=kernelspecs.interpreter_folders(argv[0]),
        channel=f"guardrails-{admission.lease}",
        tty=sys.stdin.isatty(),
    )


def follow(client: ControlClient, admission: Admission, started: Started, listeners: Sequence[Literal["channel", "proxy"]], *, say: bool) -> int:
    """Tell control what runs, hold its memory limit, settle its lease: the exit code (`job run` follows its job by this too)."""

    client.call(
        KernelStarted(lease=admission.lease, pid=started.process.pid, report=started.report.to_json(), listeners=list(listeners)[: len(started.fds)]),
        fds=started.fds,
    )
    for fd in started.fds:
        os.close(fd)
    if say:
        for guarantee in started.report.guarantees:
            print(f"{guarantee.name}: {'held' if guarantee.held else 'NOT held'}: {guarantee.how}", file=sys.stderr)
    last = _watch(client, admission, started.process)
    client.call(
        KernelSettle(lease=admission.lease, reason=f"exit {started.process.returncode}", cpu_s=last.cpu_s, memory_peak_bytes=last.memory_peak_bytes)
    )
    code = started.process.returncode
    return code if code >= 0 else 128 - code


def _watch(client: ControlClient, admission: Admission, process: subprocess.Popen[bytes]) -> Beat:
    """Hold the memory limit until the process ends; the last measured use."""
    guard = headroom.Headroom(process.pid, admission.memory_bytes)
    last, due = Beat(lease=admission.lease, cpu_s=0.0, memory_bytes=0, memory_peak_bytes=0), time.monotonic() + BEAT_S
    while process.poll() is None:
        sample = meter.sample(process.pid)
        guard.carry_out(guard.tick(sample))
        peak = max(last.memory_peak_bytes, sample.memory_bytes)
        last = Beat(lease=admission.lease, cpu_s=max(sample.cpu_s, last.cpu_s), memory_bytes=sample.memory_bytes, memory_peak_bytes=peak)
        if time.monotonic() >= due:
            client.call(KernelBeat(beats=[last]))
            due += BEAT_S
        try:
            process.wait(TICK_S)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # the terminal sent it to the command as well: wait for its own end
            continue
    return last
