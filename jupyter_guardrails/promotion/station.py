"""Starts promotion workers as their author's account, outside of every sandbox, on the order of a control that is another account.

python -I -m jupyter_guardrails.promotion.station --parent PID
It ends with the process that started it; a control that is started again is found again. In *own* mode control starts workers itself.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.interface import ControlClient, find_settings
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.work import StationOpen, notebooks, worker_environment
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import wire

RETRY_MS, END_WAIT_S, LOG_TAIL_BYTES = 1000, 5.0, 4000


@dataclass
class Job:
    """A worker and where it works."""

    process: subprocess.Popen[bytes]
    folder: Path
    handle: int  # a pidfd: readable when the worker has ended


@dataclass
class Bench:
    """The workers of one connection to control, and the account's place for them."""

    control: socket.socket
    client: ControlClient
    place: Path
    jobs: dict[str, Job] = field(default_factory=dict)

    def take_order(self) -> bool:
        """Carry one order out; False when control has ended."""
        body, fds = wire.receive_in_memory(self.control)
        try:
            if body.get("do") == "start":
                self._start(body["order"], fds)
            elif body.get("do") == "stop":
                self.stop(body["submission"])
        finally:
            for fd in fds:
                os.close(fd)
        return bool(body)

    def _start(self, order: dict[str, Any], frozen: Sequence[int]) -> None:
        try:
            folder, lock = _new_folder(self.place / "work", order["submission"])
        except OSError as error:
            self._report(order["submission"], -1, f"the worker could not be started: {error}")
            return
        try:
            for name, fd in zip(notebooks(order), frozen, strict=True):
                _copy(fd, folder / "frozen" / "src" / name)
            # where this account finds control, not where control says that it is
            order |= {"folder": str(folder), "environments": str(self.place / "environments"), "socket": self.client.socket_path}
            process = _spawn(order, folder, lock)
        except (OSError, ValueError) as error:  # ValueError: not as many notebooks as names
            self._report(order["submission"], -1, f"the worker could not be started: {error}")
            return
        finally:
            os.close(lock)  # the worker has it, too: it holds as long as that lives
        self.jobs[order["submission"]] = Job(process, folder, os.pidfd_open(process.pid))

    def stop(self, submission: str) -> None:
        """End a worker with all that it started, and say so."""
        job = self.jobs.get(submission)
        if job is None:
            return
        job.process.terminate()  # so that the clean run's kernel ends in order
        with suppress(subprocess.TimeoutExpired):
            job.process.wait(END_WAIT_S)
        self.bury(submission)

    def bury(self, submission: str) -> None:
        """What is left of an ended worker, and the report about it."""
        job = self.jobs.pop(submission)
        os.close(job.handle)
        with suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGKILL)  # it leads a session of its own
        code = job.process.wait()
        said = _log_tail(job.folder)
        shutil.rmtree(job.folder, ignore_errors=True)
        self._report(submission, code, said)

    def _report(self, submission: str, code: int, said: str) -> None:
        with suppress(OSError):  # control has ended: the next one has it checked again
            wire.send_in_memory(self.control, {"submission": submission, "code": code, "said": said})

    def ended(self, ready: set[int]) -> list[str]:
        """Submissions whose workers have ended, of those whose descriptors are readable."""
        return [submission for submission, job in self.jobs.items() if job.handle in ready]

    def close(self) -> None:
        """End everything."""
        for submission in list(self.jobs):
            self.stop(submission)
        self.control.close()
        sweep(self.place / "work")


def main() -> int:
    """Called as a program by whoever submits: a launcher, a server, `jupyter guardrails submit`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    handle = os.pidfd_open(options.parent)
    if os.getppid() != options.parent:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o077)
    settings = find_settings([], os.environ, home=Path(pwd.getpwuid(os.getuid()).pw_dir))
    client = running_control(settings) if settings.service else None
    if client is None:
        print("guardrails: this machine's control is no service: it starts workers itself", file=sys.stderr)
        return 2
    while not _has_ended(handle, wait_ms=0):
        with suppress(GuardrailsError):  # away, and soon there again; whoever asks it for something else is told
            if not _serve(client, handle):
                return 0
        _has_ended(handle, wait_ms=RETRY_MS)
    return 0


def _serve(client: ControlClient, parent: int) -> bool:
    """Take orders until control (True) or whoever started this (False) has ended."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    bench = Bench(ours, client, _place())
    sweep(bench.place / "work")
    try:
        with theirs:
            client.call(StationOpen(), fds=[theirs.fileno()])
        while True:
            poll = select.poll()
            for fd in (ours.fileno(), parent, *(job.handle for job in bench.jobs.values())):
                poll.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poll.poll()}
            for submission in bench.ended(ready):
                bench.bury(submission)
            if parent in ready:
                return False
            if ours.fileno() in ready and not bench.take_order():
                return True
    finally:
        bench.close()


def _new_folder(work: Path, submission: str) -> tuple[Path, int]:
    """A folder of this worker alone, and a descriptor with its lock: a station that was killed may have left another, whose worker ends just now."""
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(work):
        folder = work / f"{submission}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def sweep(work: Path) -> None:
    """Remove what stations that were killed left: each folder whose worker, too, has ended."""
    if not work.is_dir():
        return
    with _locked(work):
        for folder in work.iterdir():
            with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):  # BlockingIOError: somebody works in it
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _spawn(order: dict[str, Any], folder: Path, lock: int) -> subprocess.Popen[bytes]:
    """The token is in inherited memory: neither the command line nor the environment of a process shows it."""
    fd = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(fd, json.dumps(order).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        command = [sys.executable, "-I", "-m", "jupyter_guardrails.promotion.worker", "--order-fd", str(fd)]
        with open(folder / "worker.log", "wb") as log:
            said: Any = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "env": worker_environment(os.environ)}
            return subprocess.Popen(command, pass_fds=(fd, lock), cwd=folder, start_new_session=True, **said)
    finally:
        os.close(fd)


def _copy(fd: int, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(fd, "rb", closefd=False) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink)


def _place() -> Path:
    """Where this account keeps what its workers use."""
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")) / "jupyter-guardrails"


def _log_tail(folder: Path) -> str:
    with open(folder / "worker.log", "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace").strip()


def _has_ended(handle: int, *, wait_ms: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(wait_ms))


if __name__ == "__main__":
    sys.exit(main())
