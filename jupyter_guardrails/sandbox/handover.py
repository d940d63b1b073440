"""The caller's side of a start: hands the specification to the shim, judges its report, and lets the process run or not."""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import spec_check, wire
from jupyter_guardrails.sandbox.guarantees import check_required, judge
from jupyter_guardrails.sandbox.spec import Report, SandboxSpec
from jupyter_guardrails.sandbox.tracer import Tracer
from jupyter_guardrails.sandbox.wire import Told

SHIM = str(Path(__file__).with_name("launch.py"))
SHIM_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
FROM_OURS = ("LD_LIBRARY_PATH",)  # the server's own interpreter may not start without it (environment modules)
GO = b"go"
ENDED = "something killed it: look at the memory of this machine and its log (dmesg), then try again"
PLACE = ("tty", "network", "proxy_port", "forwards", "root", "temporary", "covers")  # what the place depends on, beside the paths


Mounter = Callable[[int], dict[str, Any]]  # pidfd of the shim's inner process -> {"missing": […]} or {"error": …}; may raise GuardrailsError
_known: set[str] = set()  # which namespaces a shim of this process could enter: later ones need not try in a child first


class Prepared:
    """A start that is ready: run `argv` with `env` and `pass_fds`, then `release_child_side()` and `receive()`.

    Between the two, `make_place()` has it make everything that doesn't depend on the program, long before there is one to run.
    """

    def __init__(self, spec: SandboxSpec, mounter: Mounter | None = None, *, fresh_proc: bool = True) -> None:
        self._spec = spec
        self._mounter = mounter
        self._root_by = _root_by(spec, mounter, fresh_proc=fresh_proc)
        self._ours, self._childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._place_made = False
        wire.send_spec(self._ours, asdict(spec) | {"parent": os.getpid(), "root_by": self._root_by, "known": str(self._root_by) in _known})
        self.argv = [sys.executable, "-I", "-S", SHIM, str(self._childs.fileno())]
        self.env = SHIM_ENVIRONMENT | {name: os.environ[name] for name in FROM_OURS if name in os.environ}
        self.pass_fds = (self._childs.fileno(),)
        self._tracer = Tracer(spec, self.env) if spec.trace else None

    def make_place(self, timeout_s: float = 10.0) -> None:
        """Returns when namespaces, listeners and root are made; GuardrailsError when they could not be."""
        self.release_child_side()
        self._ours.settimeout(timeout_s)
        try:
            told = self._message()
            if told.body.get("need") == "root":
                self._give_root(told.pid)
                told = self._message()
            _raise_failure(told.body)
        except BaseException:
            _known.discard(str(self._root_by))
            self.close()
            raise
        self._place_made = True

    def fits(self, spec: SandboxSpec) -> bool:
        """Whether the place that was made for one program is right for another one: it shows at least as much, Landlock decides what is open."""
        ours = self._spec
        same = all(getattr(ours, name) == getattr(spec, name) for name in PLACE)
        shown = all(set(getattr(ours, name)) >= set(getattr(spec, name)) for name in ("read", "write", "devices"))
        more = {*ours.read, *ours.write, *ours.devices} - {*spec.read, *spec.write, *spec.devices}
        shown = shown and not any(path.startswith("/tmp/") for path in more)  # Landlock's rule for its own /tmp opens all that is shown below it
        return same and shown and ours.limits.shm_bytes == spec.limits.shm_bytes

    def receive(self, timeout_s: float = 10.0, *, spec: SandboxSpec | None = None) -> tuple[Report, list[int]]:
        """The report and the listeners (channel, proxy, forwards), once the process really runs its program (`spec`: another one, which fits).

        HostCannotEnforce when a required guarantee does not hold, GuardrailsError when anything failed: then nothing of its program ran.
        """
        if not self._place_made:
            self.make_place(timeout_s)
        self._spec = spec or self._spec
        self._ours.settimeout(timeout_s)
        self._send(lambda: wire.send_spec(self._ours, asdict(self._spec)))
        told = self._message()
        try:
            report = self._report(told)
            check_required(report.guarantees, self._spec.require)
            self._attach(report, told.fds)
            self._send(lambda: self._ours.send(GO))
            self._see_it_start()
        except BaseException:
            _known.discard(str(self._root_by))
            for fd in told.fds:
                os.close(fd)
            self._drop_tracer()
            raise
        finally:
            self._close_sockets()
        return report, told.fds

    def _see_it_start(self) -> None:
        """Its last word, and then the end of the socket, which only becoming the program (or not) brings: one without the other is no start."""
        _raise_failure(self._message().body)
        _raise_failure(self._message(end_is_fine=True).body)

    def _send(self, send: Callable[[], object]) -> None:
        try:
            send()
        except OSError as error:  # EPIPE: nobody is there any more
            self.close()
            raise _failed(f"it ended before it could start its program ({error.strerror or error})", ENDED) from error

    def _attach(self, report: Report, fds: list[int]) -> None:
        """The last descriptor is the tracer's listener, unless the machine has none for it."""
        if self._tracer and not report.layers["trace"]:
            self._tracer.attach(fds.pop())
        else:
            self._drop_tracer()

    def take_tracer(self) -> Tracer | None:
        """After `receive`: what was asked to trace, the caller's to follow to its end; None where nothing is traced."""
        taken, self._tracer = self._tracer, None
        return taken

    def _drop_tracer(self) -> None:
        if self._tracer:
            self._tracer.close()
            self._tracer = None

    def release_child_side(self) -> None:
        """Close our copy of the child's descriptor; for after the child was started."""
        self._childs.close()

    def close(self) -> None:
        """Give up both ends: a child that was not told to go ends itself. A process that runs is not touched, nor a tracer that was taken."""
        self._close_sockets()
        self._drop_tracer()

    def _close_sockets(self) -> None:
        self._childs.close()
        self._ours.close()

    def _give_root(self, pid: int) -> None:
        """The shim waits inside the server's Landlock domain, where nobody may mount: the mounter does it from outside."""
        handle = os.pidfd_open(pid)
        try:
            answer = self._mounter(handle) if self._mounter else {"error": "there is no mounter"}
        finally:
            os.close(handle)
        self._send(lambda: wire.send(self._ours, answer))

    def _message(self, *, end_is_fine: bool = False) -> Told:
        try:
            told = wire.receive(self._ours)
        except TimeoutError:
            self.close()
            raise _failed("it did not report in time", "look at the load of this machine, then try again") from None
        except ConnectionResetError:
            told = Told({}, 0, [])  # it ended before it even read the specification
        except (OSError, ValueError) as error:
            self.close()
            raise _failed(str(error)) from error
        if not told.body and not end_is_fine:
            self.close()
            raise _failed(
                "it ended before it reported, or before it started its program",
                f"run `{sys.executable} -I -S -c 'import ctypes'`: the shim needs that much",
            )
        return told

    def _report(self, told: Told) -> Report:
        _raise_failure(told.body)
        layers = told.body["layers"]
        if not layers["user_namespace"] and not (self._root_by == "try" and layers["process_namespace"]):
            _known.add(str(self._root_by))
        if self._spec.limits.memory_bytes is not None:
            layers["data_limit"] = _reason_against_data_limit(told.pid)
        return Report(told.pid, judge(layers, self._spec), layers, tuple(told.body["missing_paths"]))


def _root_by(spec: SandboxSpec, mounter: Mounter | None, *, fresh_proc: bool) -> str | None:
    """Who changes the root: nobody, the shim itself, or a mounter (which knows already whether /proc can be made anew)."""
    everything = "/" in (*spec.read, *spec.write)
    if spec.root != "own" or spec.observed or everything:  # nothing is hidden where nothing is refused
        return None
    return "try" if mounter is None else "yes" if fresh_proc else "no"


def prepare(spec: SandboxSpec, mounter: Mounter | None = None, *, fresh_proc: bool = True) -> Prepared:
    """What the caller needs to start `spec`; BadRequest with the field's name when it makes no sense.

    `mounter`: who changes the root where this process is in a Landlock domain, and so can't (see mounter.py); `fresh_proc`: what it can.
    """
    spec_check.check(spec)
    return Prepared(spec, mounter, fresh_proc=fresh_proc)


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
