"""A kernel's own root, asked for: the server is in a Landlock domain, in which nobody may mount, so the launch's mounter does it."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelRoot
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.sandbox.handover import Mounter
from jupyter_guardrails.sandbox.spec import SandboxSpec


def fresh_proc(context: GovernedContext) -> bool:
    """Whether kernels can have a /proc of their own here; without a launcher each start finds that out by trying."""
    return bool(context.outer.get("fresh_proc", True))


def mounter_for(context: GovernedContext, admission: Admission, spec: SandboxSpec) -> Mounter | None:
    """What the hand-over calls with the pidfd of a start; None where the start can change its root by itself, or nobody can."""
    launch = context.outer.get("mounter")
    if launch is None:
        return None
    request = KernelRoot(
        lease=admission.lease,
        launch=launch,
        read=list(spec.read),
        write=list(spec.write),
        devices=list(spec.devices),
        temporary=spec.temporary,
        covers=list(spec.covers),
        terminal=spec.tty,
        fresh_proc=context.outer["fresh_proc"],
    )

    def ask(process: int) -> dict[str, Any]:
        return context.control.call(request, fds=[process])

    return ask
