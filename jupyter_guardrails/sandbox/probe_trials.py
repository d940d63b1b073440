"""Live checks of every promise: an attempt in a real sandbox, its allowed twin there, and the same attempt without a sandbox."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import headroom
from jupyter_guardrails.sandbox.probe import SYSTEM
from jupyter_guardrails.sandbox.run import Started, start
from jupyter_guardrails.sandbox.spec import Limits, Report, SandboxSpec

PROGRAM = Path(__file__).with_name("probe_attempts.py")
INTERPRETER = sys._base_executable  # type: ignore[attr-defined]  # the one below a virtual environment, which may lie anywhere
MEMORY_BYTES = 256 << 20
TASKS = 40
TIMEOUT_S = 60.0
HELD, NOT_HELD, UNCLEAR = "held", "NOT held", "cannot be told"


@dataclass(frozen=True, slots=True)
class Trial:
    """One promise and how it is tried; `name` is the attempt's in `probe_attempts`."""

    name: str
    guarantee: str
    promise: str
    tried: str


TRIALS = (
    Trial("read", "files", "a file outside is not read", "open a secret file; twin: a file of the workspace"),
    Trial("write", "files", "a file outside is not made", "make a file there; twin: in the workspace"),
    Trial("truncate", "files", "a file outside is not emptied", "truncate it by path; twin: a file of the workspace"),
    Trial("execute", "files", "a program outside is not executed", "execute a copy of true; twin: a copy in the workspace"),
    Trial("tcp", "network", "no TCP connection to this machine", "connect to a listener on its loopback; twin: to a listener of its own"),
    Trial("mptcp", "network", "none by multipath TCP either", "the same with protocol 262; twin: plain TCP within"),
    Trial("fast_open", "network", "none by TCP Fast Open either", "sendto with MSG_FASTOPEN; twin: plain TCP within"),
    Trial("udp", "network", "no datagram leaves", "send one to this machine's loopback; twin: between two unix sockets"),
    Trial("signal", "processes", "no signal to a process outside", "kill(pid, 0); twin: a child of its own is ended"),
    Trial("ptrace", "processes", "no debugging of a process outside", "ptrace(PTRACE_SEIZE); twin: a child of its own is ended"),
    Trial("mem", "processes", "no look into its memory", "open /proc/PID/mem; twin: its own"),
    Trial("count", "processes", f"no more than {TASKS} processes", "fork 80; twin: fork 3"),
    Trial("daemon", "processes", "nothing survives the end", "leave a daemon in a session of its own; twin: it ran"),
    Trial("memory", "memory", "too much memory is an error where it was asked for", "take twice the limit; twin: a sixteenth"),
    Trial("abstract", "sockets", "no abstract unix socket outside", "connect to one; twin: to one of its own"),
    Trial("pathname", "sockets", "no unix socket with a path outside", "connect to one; twin: to one in the workspace"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one trial: `verdict` is HELD, NOT_HELD or UNCLEAR, `detail` what was seen."""

    trial: Trial
    verdict: str
    detail: str


def try_all() -> tuple[Report, tuple[Result, ...]]:
    """The report of the sandbox that was tried, and one result for each trial, in their order; GuardrailsError where nothing can start."""
    with _world() as config:
        report, inside = _inside(config)
        outside = _outside(config)
    return report, tuple(judge_trial(trial, inside.get(trial.name), outside.get(trial.name)) for trial in TRIALS)


def judge_trial(trial: Trial, inside: tuple[str, str] | None, outside: tuple[str, str] | None) -> Result:
    """A promise is held when the attempt was stopped, its twin was not, and the attempt works without a sandbox. Pure."""
    if inside is None:
        return Result(trial, UNCLEAR, "the attempt did not come to its end")
    attempt, twin = inside
    if attempt == "done":
        return Result(trial, NOT_HELD, "the attempt went through")
    if twin != "done":
        return Result(trial, UNCLEAR, f"stopped ({attempt}), but its twin was stopped too ({twin})")
    if outside is None or outside[0] != "done":
        without = outside[0] if outside else "no result"
        return Result(trial, UNCLEAR, f"stopped ({attempt}), but without a sandbox as well ({without})")
    return Result(trial, HELD, f"stopped ({attempt}); the twin worked; without a sandbox the attempt works")


@contextlib.contextmanager
def _world() -> Iterator[dict[str, Any]]:
    """What the attempts aim at: a folder, a TCP listener, two unix sockets and a process, all outside of the sandbox to come."""
    with contextlib.ExitStack() as stack:
        outside, workspace = (stack.enter_context(tempfile.TemporaryDirectory(prefix="gd-", dir="/tmp")) for _ in range(2))
        for folder, name in ((outside, "secret"), (workspace, "own")):
            Path(folder, name).write_text("something to read", encoding="utf-8")
            shutil.copy("/bin/true", os.path.join(folder, "program"))
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"guardrails-trial-{os.getpid()}"
        for address in ("\0" + abstract, os.path.join(outside, "socket")):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen(8)
        outsider = subprocess.Popen([INTERPRETER, "-I", "-S", "-c", "import time; time.sleep(300)"], stdin=subprocess.DEVNULL)
        stack.callback(_end, outsider)
        aims = {"outside": outside, "workspace": workspace, "port": tcp.getsockname()[1], "abstract": abstract, "outsider": outsider.pid}
        yield aims | {"memory_bytes": MEMORY_BYTES}


def _command(config: dict[str, Any], *, inside: bool) -> tuple[str, ...]:
    return (INTERPRETER, "-I", "-S", "-c", PROGRAM.read_text(encoding="utf-8"), json.dumps(config | {"inside": inside}))


def _inside(config: dict[str, Any]) -> tuple[Report, dict[str, tuple[str, str]]]:
    read = tuple(dict.fromkeys(path for path in (*SYSTEM, "/proc") if os.path.exists(path)))
    spec = SandboxSpec(
        _command(config, inside=True),
        {"LC_ALL": "C.UTF-8"},
        config["workspace"],
        read,
        write=(config["workspace"],),
        devices=("/dev/null", "/dev/urandom"),
        limits=Limits(memory_bytes=MEMORY_BYTES, tasks=TASKS),
    )
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = start(spec, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        try:
            _hold_memory(started)
        finally:
            _end(started.process)
        output.seek(0)
        errors.seek(0)
        return started.report, _results(config, output.read(), errors.read())


def _hold_memory(started: Started) -> None:
    """What the server's watch does for kernels, until the program ends."""
    guard = headroom.Headroom(started.process.pid, MEMORY_BYTES)
    for _ in range(int(TIMEOUT_S / headroom.TICK_NEAR_S)):
        guard.carry_out(guard.tick())
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(headroom.TICK_NEAR_S)
            return
    raise GuardrailsError("the live checks did not end in time", next_step="look at the load of this machine, then try again")


def _outside(config: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The same attempts by a process that nothing holds."""
    for name in ("new", "own-socket"):
        Path(config["workspace"], name).unlink(missing_ok=True)
    ran = subprocess.run(_command(config, inside=False), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    return _results(config, ran.stdout, ran.stderr)


def _results(config: dict[str, Any], output: bytes, errors: bytes) -> dict[str, tuple[str, str]]:
    if not output:
        raise GuardrailsError(f"the live checks failed: {errors.decode(errors='replace')[-300:]}", next_step="report this")
    seen = {name: (attempt, twin) for name, (attempt, twin) in json.loads(output).items()}
    if "daemon" in seen:
        pid, twin = seen["daemon"]
        seen["daemon"] = (_survived(int(pid), Path(config["workspace"], "daemon-lock")), twin)
    return seen


def _survived(pid: int, lock: Path) -> str:
    """ "done" when that daemon still holds its lock, which ends it; else that it is gone. `pid` is its number in a process namespace of its own."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            return "done"
    return "it was ended"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
