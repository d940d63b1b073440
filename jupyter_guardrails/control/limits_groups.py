"""Control groups for kernels, where the group of control was delegated; elsewhere nothing happens."""

from __future__ import annotations

import asyncio
import functools
import os

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.state import LiveKernel, log
from jupyter_guardrails.sandbox import cgroup, meter
from jupyter_guardrails.sandbox.cgroup import Delegation, KernelGroup
from jupyter_guardrails.sandbox.spec import Limits


@functools.cache
def delegation() -> Delegation:
    """Tried once per process."""
    found = cgroup.find()
    if not found.why_not:
        cgroup.sweep(found)
    return found


async def hold(live: LiveKernel) -> list[KernelGroup]:
    """The kernel's own group, or none: headroom holds it then alone, as where no group is delegated."""
    if delegation().why_not:
        return []
    try:
        return [await asyncio.to_thread(_hold, live)]
    except OSError as error:
        log.warning("kernel %s has no control group, its limits are held from outside only: %s", live.kernel_id, error)
        return []


def follow(live: LiveKernel) -> None:
    """Set what its admission says now."""
    for group in live.servers:
        if isinstance(group, KernelGroup):
            group.set(limits_of(live.admission))


def limits_of(admission: Admission) -> Limits:
    """The numbers that a group can hold."""
    return Limits(memory_bytes=admission.memory_bytes, cpus=admission.cpus, tasks=admission.tasks)


def _hold(live: LiveKernel) -> KernelGroup:
    if os.getpid() in meter.sample(live.pid).pids:  # the number comes from the server: control is not to be limited by it
        raise OSError(f"process {live.pid} is no kernel")
    return cgroup.hold(delegation(), live.lease[:12], live.pid, limits_of(live.admission))
