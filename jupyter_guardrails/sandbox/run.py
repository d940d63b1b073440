"""Start one sandboxed process: for `exec`, probes and workers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.spec import Report, SandboxSpec
from jupyter_guardrails.sandbox.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Started:
    """A running sandbox: `process` is its outer warden, `report.pid` the program itself; `fds` are the listeners, the caller's to close, and
    `tracer` is the caller's to follow."""

    process: subprocess.Popen[Any]
    report: Report
    fds: list[int]
    tracer: Tracer | None = None


def start(spec: SandboxSpec, **popen_arguments: Any) -> Started:
    """The program running under `spec`; what `Prepared.receive` raises, with nothing left behind."""
    prepared = prepare(spec)
    try:
        process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, **popen_arguments)
    except BaseException:
        prepared.close()
        raise
    try:
        report, fds = prepared.receive()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Started(process, report, fds, prepared.take_tracer())
