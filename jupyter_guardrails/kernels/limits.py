"""A policy that changes reaches what runs: new numbers for the watch, processors by affinity from outside, and a sentence for the person."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import LiveLimits
from jupyter_guardrails.sandbox import meter

FOLLOW_S = 1.0
MIB = 1 << 20
PASSES = 8  # over the threads of a tree: those made meanwhile by others that were not yet held are found in the next pass
AT_START = {"tasks": "processes", "file_size_bytes": "the size of files", "shm_bytes": "the size of /dev/shm"}


@dataclass(frozen=True, slots=True)
class Change:
    """An admission under new numbers, and what its person is told; `said` is empty when nothing is new."""

    admission: Admission
    said: str = ""


def change(admission: Admission, limits: LiveLimits) -> Change:
    """What the policy's answer means for one running kernel. Pure."""
    if limits.notice:
        return Change(admission, limits.notice)
    if limits.stays:
        sentence = f"the policy changed: {limits.stays}. This kernel goes on under the limits that it has; its next start needs another profile"
        return Change(admission, sentence + _by(limits.rule))
    numbers = limits.model_dump(exclude={"lease", "stays"})
    renewed = admission.model_copy(update=numbers)
    parts = [*_now(admission, renewed), *_later(admission, renewed)]
    return Change(renewed, f"the policy changed: {'; '.join(parts)}{_by(limits.rule)}" if parts else "")


def hold_cpus(root_pid: int, cpus: float, available: Sequence[int]) -> None:
    """Bind every thread of the tree to as many processors as `cpus`, rounded up: of those it has, and more of `available` where it may have more.

    What is started later takes over its parent's.
    """
    count = max(1, math.ceil(cpus))
    now = _affinity(meter.sample(root_pid).pids)
    if not now:
        return
    wanted = set([*sorted(now), *(cpu for cpu in sorted(available) if cpu not in now)][:count])
    for _ in range(PASSES):
        if not _bind(meter.sample(root_pid).pids, wanted):
            return


def _affinity(pids: Sequence[int]) -> set[int]:
    """Of the program itself, which is the last of its line: the wardens above it don't matter."""
    for pid in reversed(pids):
        with suppress(OSError):
            return os.sched_getaffinity(pid)
    return set()


def _bind(pids: Sequence[int], wanted: set[int]) -> int:
    """How many threads had to be bound; a thread that has ended, or whose processors were taken out of the machine, is left."""
    bound = 0
    for pid in pids:
        with suppress(OSError):
            bound += sum(_bind_thread(task, wanted) for task in map(int, os.listdir(f"/proc/{pid}/task")))
    return bound


def _bind_thread(task: int, wanted: set[int]) -> bool:
    with suppress(OSError):
        if os.sched_getaffinity(task) != wanted:
            os.sched_setaffinity(task, wanted)
            return True
    return False


def _now(before: Admission, after: Admission) -> list[str]:
    parts = []
    if before.memory_bytes != after.memory_bytes:
        parts.append(f"this kernel may now use {after.memory_bytes // MIB} MiB of memory (before: {before.memory_bytes // MIB} MiB)")
    if before.cpus != after.cpus:
        parts.append(f"it may now use {_processors(after.cpus)} (before: {before.cpus:g}); thread pools keep their size until a restart")
    for name, what in (("idle_s", "unused"), ("lifetime_s", "in all")):
        if getattr(before, name) != getattr(after, name):
            limit = getattr(after, name)
            parts.append(f"it may now be {what} for {limit} s" if limit else f"how long it may be {what} is no longer limited")
    return parts


def _later(before: Admission, after: Admission) -> list[str]:
    names = [what for name, what in AT_START.items() if getattr(before, name) != getattr(after, name)]
    return [f"new limits for {' and '.join(names)} hold after a restart"] if names else []


def _processors(cpus: float) -> str:
    return f"{cpus:g} processor{'' if cpus == 1 else 's'}"


def _by(rule: str) -> str:
    return f" ({rule})" if rule else ""
