"""`jupyter guardrails exec -- CMD`: runs a command exactly as a kernel of yours would run."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.control.interface import Admission, ControlClient
from jupyter_guardrails.control.interface.messages import (
    Beat,
    KernelAdmit,
    KernelBeat,
    KernelLimits,
    KernelSettle,
    KernelStarted,
    ListenerKind,
    LiveLimits,
)
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.kernels import accounts, folders, kernelspecs, plan, run_dirs
from jupyter_guardrails.kernels.endings import Endings
from jupyter_guardrails.kernels.forwards import listener_kinds, write_hosts
from jupyter_guardrails.kernels.limits import FOLLOW_S, change, hold_cpus
from jupyter_guardrails.kernels.quota import WorkspaceQuota
from jupyter_guardrails.kernels.traced import Follower, Refusals
from jupyter_guardrails.sandbox import headroom
from jupyter_guardrails.sandbox.meter import ProcessTable
from jupyter_guardrails.sandbox.run import Started, start
from jupyter_guardrails.sandbox.spec import SandboxSpec

TICK_S = 0.1
BEAT_S = 10.0


def add_parser(subparsers: Any) -> None:
    """`exec [--profile P] [--data NAME | --no-data] -- CMD …`."""
    parser = subparsers.add_parser("exec", help="run a command exactly as a kernel of yours would run")
    parser.add_argument("--profile", help="instead of your default profile")
    parser.add_argument("--workspace", default=".", help="the folder that it may write (default: here)")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--data", action="append", metavar="NAME", help="give it this dataset alone (may be repeated), not all that you may read")
    data.add_argument("--no-data", action="store_const", const=[], dest="data", help="give it no dataset: a fresh workspace stays without a label")
    parser.add_argument("--report", action="store_true", help="say on stderr what is enforced around it")
    parser.add_argument("argv", nargs="+", metavar="CMD")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The command's own exit code; 128 + n when a signal ended it."""
    workspace = Path(arguments.workspace).resolve()
    with connected(os.environ) as client, run_dirs.held() as private:
        admission = client.admit(_request(arguments.profile, workspace, arguments.data))
        try:
            started = start(_spec(admission, _found(arguments.argv), workspace, folders.make_folders(private)))
        except BaseException:
            client.call(KernelSettle(lease=admission.lease, reason="did not start"))
            raise
        return follow(client, admission, started, ("channel", "proxy"), say=arguments.report, workspace=workspace)


def _request(profile: str | None, workspace: Path, datasets: list[str] | None) -> KernelAdmit:
    name = f"exec-{uuid.uuid4()}"
    return KernelAdmit(kernel_id=name, kernelspec="exec", workspace=str(workspace), key=name, kind="exec", profile=profile, datasets=datasets)


def _found(argv: list[str]) -> list[str]:
    """The words with the program as this shell finds it: a `python` of its environment has that environment's folder first on its PATH."""
    program = None if "/" in argv[0] else shutil.which(argv[0])
    return [os.path.abspath(program), *argv[1:]] if program else argv


def _spec(admission: Admission, argv: list[str], workspace: Path, private: folders.KernelFolders) -> SandboxSpec:
    folders.show_grants(private, admission.datasets)
    write_hosts(private, admission.forwards)
    accounts.write_account(private, admission.principal, str(workspace))
    return plan.make_spec(
        admission,
        argv=argv,
        env=dict(os.environ),
        cwd=str(workspace),
        workspace=workspace,
        kernel_dir=private.root,
        read=kernelspecs.interpreter_folders(argv[0]),
        shut=folders.server_secrets(),
        channel=f"guardrails-{admission.lease}",
        tty=sys.stdin.isatty(),
        unlisted=accounts.is_unlisted(),
    )


def follow(
    client: ControlClient,
    admission: Admission,
    started: Started,
    listeners: Sequence[ListenerKind],
    *,
    say: bool,
    workspace: Path | None = None,
    measured: Callable[[Beat], object] = lambda last: None,
) -> int:
    """Tell control what runs, hold its limits, settle its lease: the exit code (jobs are followed by this too, without a workspace).

    `measured` is told the last measured use.
    """
    with _interrupted_by_nothing():
        code, last = _follow(client, admission, started, listeners, say=say, workspace=workspace)
    measured(last)
    return code


@contextlib.contextmanager
def _interrupted_by_nothing() -> Iterator[None]:
    """Ctrl-C reaches the command as well, and whether that ends is its own affair: what follows it must not end before it does."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(
    client: ControlClient, admission: Admission, started: Started, listeners: Sequence[ListenerKind], *, say: bool, workspace: Path | None
) -> tuple[int, Beat]:
    client.call(
        KernelStarted(
            lease=admission.lease, pid=started.process.pid, report=started.report.to_json(), listeners=listener_kinds(len(started.fds), listeners)
        ),
        fds=started.fds,
    )
    for fd in started.fds:
        os.close(fd)
    if say:
        for guarantee in started.report.guarantees:
            print(f"{guarantee.name}: {'held' if guarantee.held else 'NOT held'}: {guarantee.how}", file=sys.stderr)
    last = _watch(client, admission, started, WorkspaceQuota(workspace) if workspace else None)
    client.call(
        KernelSettle(lease=admission.lease, reason=f"exit {started.process.returncode}", cpu_s=last.cpu_s, memory_peak_bytes=last.memory_peak_bytes)
    )
    code = started.process.returncode
    return (code if code >= 0 else 128 - code), last


def _watch(client: ControlClient, admission: Admission, started: Started, quota: WorkspaceQuota | None) -> Beat:
    """Hold the limits until the process ends, and record what would be refused; the last measured use."""
    process = started.process
    refusals = Refusals(admission, call=client.call, tell=_say)
    follower = started.tracer and Follower(started.tracer, admission.lease, found=refusals.add, broke=lambda _: process.terminate())
    guard = headroom.Headroom(process.pid, admission.memory_bytes)
    last = Beat(lease=admission.lease, cpu_s=0.0, memory_bytes=0, memory_peak_bytes=0)
    table = ProcessTable()
    with Talk(client, admission, guard, quota) as talk:
        while process.poll() is None:
            sample = table.read().tree(process.pid)
            guard.carry_out(guard.tick(sample))
            if quota and (news := quota.look([(process.pid, sample)])):
                print(f"guardrails: {news}", file=sys.stderr)
            peak = max(last.memory_peak_bytes, guard.used_bytes)
            cpu_s = max(sample.cpu_s, last.cpu_s)
            last = talk.last = Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=guard.used_bytes, memory_peak_bytes=peak)
            try:
                process.wait(min(TICK_S, guard.interval_s))
            except subprocess.TimeoutExpired:
                continue
    table.close()
    if follower:
        follower.finish()
    return last


def _say(text: str) -> None:
    print(f"guardrails: {text}", file=sys.stderr)


class Talk:
    """Beats, and limits that change, in a thread of their own: control that is slow to answer must not keep anybody from looking at memory."""

    def __init__(self, client: ControlClient, admission: Admission, guard: headroom.Headroom, quota: WorkspaceQuota | None) -> None:
        self._client, self._admission, self._guard, self._quota = client, admission, guard, quota
        self.last: Beat | None = None
        self._version = ""
        self._endings = Endings()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Talk:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; what control is being asked is left to it."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        due = 0.0
        while not self._stop.wait(FOLLOW_S):
            with contextlib.suppress(GuardrailsError):  # control is away: what runs goes on
                due = 0.0 if self._follow() else due
                if self.last and time.monotonic() >= due:
                    due = time.monotonic() + BEAT_S
                    due = min(due, time.monotonic() + self._beat(self.last))

    def _follow(self) -> bool:
        """Whether the limits may be others than before."""
        answer = self._client.call(KernelLimits(leases=[self._admission.lease], version=self._version))
        is_new, self._version = bool(answer["version"] != self._version), answer["version"]
        if self._quota and "workspace_bytes" in answer:
            self._quota.set_limit(answer["workspace_bytes"], answer["workspace_rule"])
        for limits in map(LiveLimits.model_validate, answer["limits"]):
            changed, cpus = change(self._admission, limits), self._admission.cpus
            self._admission = changed.admission
            if changed.admission.memory_bytes != self._guard.limit_bytes:
                self._guard.set_limit(changed.admission.memory_bytes)
            if changed.admission.cpus != cpus:
                hold_cpus(self._guard.root_pid, changed.admission.cpus, sorted(os.sched_getaffinity(0)))
            if changed.said:
                print(f"guardrails: {changed.said}", file=sys.stderr)
        return is_new

    def _beat(self, last: Beat) -> float:
        """Seconds until control wants to hear again."""
        answer = self._client.call(KernelBeat(beats=[last]))
        for ended in answer.get("end", ()):
            _say(f"this command is ended: {ended['reason']}")
            self._signal("end")
        for told in self._endings.news(answer.get("notices", ())):
            if told.say or told.phase == "ended":
                _say(told.sentence)
            if told.phase in ("interrupted", "ended"):
                self._signal("interrupt" if told.phase == "interrupted" else "end")
        return float(answer.get("again_s", BEAT_S))

    def _signal(self, kind: Literal["interrupt", "end"]) -> None:
        self._guard.carry_out(headroom.Action(kind, pid=self._guard.root_pid))
