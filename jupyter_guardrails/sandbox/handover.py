"""The caller's side of a start: hands the specification to the shim, judges its report, and lets the process run or not."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import BadRequest, GuardrailsError
from jupyter_guardrails.sandbox.guarantees import check_required, judge
from jupyter_guardrails.sandbox.spec import Report, SandboxSpec

SHIM = str(Path(__file__).with_name("launch.py"))
SHIM_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
FROM_OURS = ("LD_LIBRARY_PATH",)  # the server's own interpreter may not start without it (environment modules)
GO = b"go"
MAX_REPORT_BYTES = 1 << 20
MAX_FDS = 2
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Prepared:
    """A start that is ready: run `argv` with `env` and `pass_fds`, then `release_child_side()` and `receive()`."""

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec
        self._ours, self._childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _send_spec(self._ours, spec)
        self.argv = [sys.executable, "-I", "-S", SHIM, str(self._childs.fileno())]
        self.env = SHIM_ENVIRONMENT | {name: os.environ[name] for name in FROM_OURS if name in os.environ}
        self.pass_fds = (self._childs.fileno(),)

    def receive(self, timeout_s: float = 10.0) -> tuple[Report, list[int]]:
        """The report and the listeners (channel, then proxy), once the process really runs its program.

        HostCannotEnforce when a required guarantee does not hold, GuardrailsError when anything failed: then nothing of its program ran.
        """
        self.release_child_side()
        self._ours.settimeout(timeout_s)
        message, fds = self._message()
        try:
            report = self._report(message)
            check_required(report.guarantees, self._spec.require)
            self._ours.send(GO)
            failure, _ = self._message(end_is_fine=True)
            _raise_failure(failure)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        finally:
            self.close()
        return report, fds

    def release_child_side(self) -> None:
        """Close our copy of the child's descriptor; for after the child was started."""
        self._childs.close()

    def close(self) -> None:
        """Give up both ends: a child that was not told to go ends itself. A process that runs is not touched."""
        self._childs.close()
        self._ours.close()

    def _message(self, *, end_is_fine: bool = False) -> tuple[dict[str, Any], list[int]]:
        try:
            data, fds, _, _ = socket.recv_fds(self._ours, MAX_REPORT_BYTES, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            self.close()
            raise _failed("it did not report in time", "look at the load of this machine, then try again") from None
        except ConnectionResetError:
            data, fds = b"", []  # it ended before it even read the specification
        except OSError as error:
            self.close()
            raise _failed(str(error)) from error
        if not data and not end_is_fine:
            self.close()
            raise _failed("it ended before it reported", f"run `{sys.executable} -I -S -c 'import ctypes'`: the shim needs that much")
        return (json.loads(data) if data else {}), list(fds)

    def _report(self, message: dict[str, Any]) -> Report:
        _raise_failure(message)
        layers = message["layers"]
        if self._spec.limits.memory_bytes is not None:
            layers["data_limit"] = _reason_against_data_limit(message["pid"])
        return Report(message["pid"], judge(layers, self._spec), layers, tuple(message["missing_paths"]))


def prepare(spec: SandboxSpec) -> Prepared:
    """What the caller needs to start `spec`; BadRequest when it is malformed."""
    if not spec.argv:
        raise BadRequest("there is no program to start")
    relative = [path for path in (spec.cwd, *spec.read, *spec.write, *spec.devices) if not path.startswith("/")]
    if relative:
        raise BadRequest(f"paths of a sandbox must be absolute, these are not: {', '.join(map(repr, relative))}")
    return Prepared(spec)


def _send_spec(ours: socket.socket, spec: SandboxSpec) -> None:
    """In sealed memory: neither the command line nor the environment of a process shows it to others."""
    memory = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(memory, json.dumps(asdict(spec) | {"parent": os.getpid()}).encode())
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
        socket.send_fds(ours, [b"spec"], [memory])
    finally:
        os.close(memory)


def _reason_against_data_limit(pid: int) -> str:
    """ "" or why its data limit could not be set later; tried now, by setting it to what it is."""
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, resource.prlimit(pid, resource.RLIMIT_DATA))
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _raise_failure(message: dict[str, Any]) -> None:
    if "error" in message:
        raise _failed(message["error"], "check the program's path, its directory, and that both are readable in the sandbox")


def _failed(what: str, next_step: str = "see the server's log") -> GuardrailsError:
    return GuardrailsError(f"the sandboxed process was refused: {what}", next_step=next_step)
