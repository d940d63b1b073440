"""What this machine can enforce, found by trying: a program starts in a sandbox and does what it must not be able to do."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import cgroup
from jupyter_guardrails.sandbox.guarantees import judge, nothing_holds
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import Guarantee, Limits, Report, SandboxSpec

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", sys.prefix, sys.base_prefix)
TIMEOUT_S = 20.0
ORDINARY = 1000  # any account but root
# Prints, for each guarantee, whether an attempt against it was stopped.
ATTEMPTS = """
import json, os, socket, sys
secret, port, outsider = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def stopped(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False
print(json.dumps({
    "files": stopped(lambda: open(secret).close()),
    "network": stopped(lambda: socket.create_connection(("127.0.0.1", port), 2).close()) and stopped(lambda: socket.socket(type=socket.SOCK_DGRAM)),
    "processes": stopped(lambda: os.kill(outsider, 0)),
}))
"""


LIMITS = Limits(memory_bytes=1 << 30, tasks=64)


@dataclass(frozen=True, slots=True)
class Probed:
    """The guarantees of this machine, and the layers that the sandbox reported; no layers where nothing starts."""

    guarantees: tuple[Guarantee, ...]
    layers: dict[str, Any] = field(default_factory=dict)


def probe_host() -> tuple[Guarantee, ...]:
    """The guarantees of this machine for this account, in words; tried once per process."""
    return probe_layers().guarantees


@functools.cache
def probe_layers() -> Probed:
    """The same with what stands behind it; tried once per process."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        secret = os.path.join(folder, "outside")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("not for the sandbox")
        try:
            report, stopped = _try(secret, listener.getsockname()[1])
        except GuardrailsError as error:
            return Probed(nothing_holds(error.message))
    return Probed(with_group(contradicted(report.guarantees, stopped), cgroup.find()), report.layers)


def with_group(guarantees: tuple[Guarantee, ...], group: cgroup.Delegation) -> tuple[Guarantee, ...]:
    """The same, with what stands behind the memory limit. Pure."""
    return tuple(replace(g, how=f"{g.how}; {group.in_words()}") if g.name == "memory" and g.held else g for g in guarantees)


def contradicted(guarantees: tuple[Guarantee, ...], stopped: Mapping[str, bool]) -> tuple[Guarantee, ...]:
    """The same, with `held` taken back wherever an attempt went through. Pure."""
    how = "the layers were applied, but an attempt to get past them went through"
    return tuple(g if stopped.get(g.name, True) or not g.held else replace(g, held=False, how=how, next_step="report this") for g in guarantees)


def for_another_account(layers: dict[str, Any]) -> tuple[Guarantee, ...]:
    """What the layers that were tried as one account (root, who builds an image) hold for an ordinary one. Pure."""
    if not layers:
        return nothing_holds("see `jupyter guardrails doctor`")
    counted = "" if not layers["user_namespace"] else layers["process_count"] or layers["user_namespace"]
    return judge(layers | {"uid": ORDINARY, "process_count": counted}, SandboxSpec((), {}, "/", limits=LIMITS))


def _try(secret: str, port: int) -> tuple[Report, dict[str, bool]]:
    interpreter = sys._base_executable  # type: ignore[attr-defined]  # the one below a virtual environment, which may lie anywhere
    argv = (interpreter, "-I", "-S", "-c", ATTEMPTS, secret, str(port), str(os.getpid()))
    read = tuple(dict.fromkeys(path for path in SYSTEM if os.path.exists(path)))
    spec = SandboxSpec(argv, {"LC_ALL": "C.UTF-8"}, "/", read, devices=("/dev/null", "/dev/urandom"), limits=LIMITS)
    started = start(spec, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = started.process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise GuardrailsError("the probe did not end in time") from error
    finally:
        started.process.kill()
    if started.process.returncode:
        raise GuardrailsError(f"the probe failed: {errors.decode(errors='replace')[-300:]}")
    return started.report, json.loads(output)
