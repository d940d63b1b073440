"""A sandbox to try things in: real processes, as whatever account runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox.launch_landlock import abi
from jupyter_guardrails.sandbox.run import Started, start
from jupyter_guardrails.sandbox.spec import Limits, Report, SandboxSpec

PYTHON = sys._base_executable
SYSTEM = tuple(
    path
    for path in ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", sys.prefix)
    if os.path.exists(path)
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
TIMEOUT_S = 60
CLOSED = ("EACCES", "EXDEV", "ENOENT", "EROFS")  # Landlock says no, or it isn't there, or it can't be written in an own root
BEYOND = ("EPERM", "EACCES", "ESRCH", "ENOENT")  # another process: not to be touched, or not there


@dataclass(frozen=True)
class Ran:
    """A finished sandbox: what it printed, how it ended, what was reported."""

    code: int
    out: str
    err: str
    report: Report


class Sandbox:
    """Starts programs with one writable workspace; keyword arguments change the specification."""

    def __init__(self, workspace: Path, root: str = "own") -> None:
        self.workspace = workspace
        self.root = root
        self._started: list[Started] = []

    def spec(self, *argv: str, **changes: object) -> SandboxSpec:
        fields = {"env": {"PATH": "/usr/bin:/bin", "HOME": str(self.workspace)}, "cwd": str(self.workspace), "read": SYSTEM, "devices": DEVICES}
        fields |= {"write": (str(self.workspace), "/dev/shm"), "limits": Limits(memory_bytes=1 << 30), "root": self.root}
        return SandboxSpec(argv, **(fields | changes))

    def start(self, *argv: str, popen: dict[str, object] | None = None, **changes: object) -> Started:
        arguments = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | (popen or {})
        started = start(self.spec(*argv, **changes), **arguments)
        self._started.append(started)
        return started

    def start_python(self, code: str, *arguments: object, **changes: object) -> Started:
        return self.start(PYTHON, "-c", code, *map(str, arguments), **changes)

    def python(self, code: str, *arguments: object, **changes: object) -> Ran:
        """Run Python code to its end."""
        started = self.start_python(code, *arguments, **changes)
        out, err = started.process.communicate(timeout=TIMEOUT_S)
        return Ran(started.process.returncode, out, err, started.report)

    def outcome(self, code: str, *arguments: object, **changes: object) -> str:
        """ "done" when the code ran through, else the name of the error number (or of the exception)."""
        body = "\n".join("    " + line for line in code.splitlines())
        wrapped = (
            f"import errno, os, socket, sys\ntry:\n{body}\n    print('done')\nexcept OSError as e:\n    print(errno.errorcode.get(e.errno, e))\n"
        )
        ran = self.python(wrapped, *arguments, **changes)
        assert ran.out, f"it ended with {ran.code}: {ran.err}"
        return ran.out.strip().splitlines()[-1]

    def close(self) -> None:
        for started in self._started:
            started.process.kill()
            started.process.wait()
            for fd in started.fds:
                os.close(fd)


def landlock_version() -> int:
    try:
        return abi()
    except OSError:
        return 0


def has_user_namespaces() -> bool:
    return subprocess.run(["unshare", "--user", "--map-current-user", "--net", "true"], capture_output=True).returncode == 0


@pytest.fixture
def root() -> str:
    """Which kind of root the sandbox has; modules that try both override this."""
    return "own"


@pytest.fixture
def sandbox(root: str) -> object:
    """A workspace with a short path: unix sockets in it (multiprocessing, zmq) have room for 107 bytes."""
    if landlock_version() < 6 or not has_user_namespaces():
        pytest.skip("this host has no Landlock 6 or no user namespaces: what then holds is in test_sandbox_hosts.py")
    with tempfile.TemporaryDirectory(dir="/tmp") as workspace:
        made = Sandbox(Path(workspace), root)
        yield made
        made.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the same account outside the sandbox."""
    path = tmp_path / "secret.txt"
    path.write_text("secret")
    return path


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Whether a process of that number runs (a zombie does not)."""

    def running(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return running
