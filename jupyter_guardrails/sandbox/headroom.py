"""Memory held from outside: a process that asks for too much gets an error in its cell, not the end of its session.

Each tick sets every process's RLIMIT_DATA to what it has and what the tree has left. What that can't hold (shared mappings, many small
processes) goes up a ladder: interrupt, end the biggest child, end the tree. Deciding is pure (`allowances`, `climb`); `Headroom` reads and acts.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.meter import Process, Sample

MIB = 1 << 20
NEAR, INTERRUPT_AT, END_AT = 0.6, 1.05, 1.5  # shares of the limit
CONFIRMATIONS = 2  # samples in a row before anything is killed: a fresh fork looks twice as big as it is
INTERRUPT_EVERY_S = 3.0
KILL_AFTER_S = 1.0  # what an interrupt gets to work
TICK_NEAR_S, TICK_FAR_S = 0.1, 0.5
LARGEST_RESERVE, SMALLEST_RESERVE = 96 * MIB, 32 * MIB  # without it IPython cannot even build the traceback

Kind = Literal["none", "interrupt", "kill_child", "end"]


@dataclass(frozen=True, slots=True)
class Action:
    """What has to happen to which process, and the sentence for its owner."""

    kind: Kind
    detail: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Rung:
    """Where the tree stands on the ladder: since when it is over, when it was interrupted last, how often it was past each limit in a row."""

    over_since: float | None = None
    interrupted_at: float | None = None
    samples_over: int = 0
    samples_past_end: int = 0


@dataclass(frozen=True, slots=True)
class Family:
    """The tree by role: our wardens, the program itself, everything it started."""

    wardens: tuple[Process, ...]
    main: Process | None
    others: tuple[Process, ...]


class Headroom:
    """Keeps one tree below `limit_bytes`. Call `tick` every `interval_s` seconds, and act on "interrupt" and "end" (`carry_out`, or a kinder way).

    `root_pid` is the program (Report.pid) or the warden that was started (Started.process.pid).
    """

    def __init__(self, root_pid: int, limit_bytes: int) -> None:
        self.root_pid = root_pid
        self.limit_bytes = limit_bytes
        self.interval_s = TICK_NEAR_S
        self._rung = Rung()

    def tick(self, sample: Sample | None = None, *, now: float | None = None) -> Action:
        """Set everyone's allowance, end the child that has to go, and answer what was or is to be done. `now` is monotonic seconds.

        `sample` is of the whole tree, from the warden down.
        """
        current = meter.sample(self.root_pid) if sample is None else sample
        if current.memory_bytes > NEAR * self.limit_bytes and not current.exact:
            current = meter.exact(current)
        family = roles(current.processes, self.root_pid)
        for process, allowance in allowances(family, current.memory_bytes, self.limit_bytes).items():
            _allow(process, allowance)
        self.interval_s = TICK_NEAR_S if current.memory_bytes > self.limit_bytes / 2 else TICK_FAR_S
        self._rung, action = climb(self._rung, family, current.memory_bytes, self.limit_bytes, now=time.monotonic() if now is None else now)
        if action.kind == "kill_child":
            _signal(action.pid, signal.SIGKILL)
        return replace(action, pid=current.pids[0]) if action.kind in ("interrupt", "end") else action

    def carry_out(self, action: Action) -> None:
        """Interrupt or end the tree through its warden, which passes an interrupt on and ends everything below it when told to."""
        number = {"interrupt": signal.SIGINT, "end": signal.SIGTERM}.get(action.kind)
        if number is not None:
            _signal(action.pid, number)


def roles(processes: Sequence[Process], program_pid: int) -> Family:
    """Who is who in a tree given from its root down: whatever is above the program is a warden.

    Where `program_pid` is the root itself, the program is its oldest grandchild, if it has one (see launch_reaper).
    """
    known = {process.pid: process for process in processes}
    if processes and program_pid == processes[0].pid:
        program_pid = _oldest_grandchild(processes) or program_pid
    main = known.get(program_pid)
    above, parent = [], known.get(main.parent) if main else None
    while parent is not None:
        above.append(parent)
        parent = known.get(parent.parent)
    others = tuple(process for process in processes if process is not main and process not in above)
    return Family(tuple(above), main, others)


def _oldest_grandchild(processes: Sequence[Process]) -> int | None:
    children = {p.pid for p in processes if p.parent == processes[0].pid}
    return min(((p.started, p.pid) for p in processes if p.parent in children), default=(0, None))[1]


def reserve_bytes(limit_bytes: int) -> int:
    """What the program may have past the limit, to report the error and clean up."""
    return max(SMALLEST_RESERVE, min(LARGEST_RESERVE, limit_bytes // 10))


def allowances(family: Family, used_bytes: int, limit_bytes: int) -> dict[Process, int]:
    """How many more bytes each process may take; the reserve is the program's, and once more split among all others."""
    if family.main is None:
        return {}
    left, reserve = limit_bytes - used_bytes, reserve_bytes(limit_bytes)
    share = reserve // max(1, len(family.others))
    return {family.main: max(left + reserve, 0)} | {other: max(left + share, 0) for other in family.others}


def climb(rung: Rung, family: Family, used_bytes: int, limit_bytes: int, *, now: float) -> tuple[Rung, Action]:
    """The next rung and what to do: nothing below 1.05 of the limit, the end at 1.5 when two samples in a row say so."""
    ratio = used_bytes / limit_bytes
    if ratio < INTERRUPT_AT:
        return Rung(), Action("none")
    rung = replace(
        rung,
        over_since=now if rung.over_since is None else rung.over_since,
        samples_over=rung.samples_over + 1,
        samples_past_end=rung.samples_past_end + 1 if ratio >= END_AT else 0,
    )
    used = f"{used_bytes // MIB} MiB of {limit_bytes // MIB} MiB"
    if rung.samples_past_end >= CONFIRMATIONS:
        return rung, Action("end", f"it used {used} memory, and neither an error nor an interrupt stopped it")
    if rung.interrupted_at is None:
        return replace(rung, interrupted_at=now), Action("interrupt", f"interrupted: {used} memory in use")
    if family.others and rung.samples_over >= CONFIRMATIONS and now - rung.interrupted_at >= KILL_AFTER_S:
        biggest = max(family.others, key=lambda p: p.memory_bytes)
        detail = f"its child process {biggest.pid} was ended ({biggest.memory_bytes // MIB} MiB): {used} memory in use"
        return replace(rung, samples_over=0), Action("kill_child", detail, biggest.pid)
    if now - rung.interrupted_at >= INTERRUPT_EVERY_S:
        return replace(rung, interrupted_at=now), Action("interrupt", f"interrupted again: {used} memory in use")
    return rung, Action("none")


def _allow(process: Process, allowance: int) -> None:
    """RLIMIT_DATA = what it has + allowance, unless the number is another process's by now. The hard limit stays: it could not be raised again."""
    data = meter.data_bytes(process.pid)
    if data is None or meter.start_time(process.pid) != process.started:
        return
    with suppress(ProcessLookupError):
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_DATA)
        wanted = data + allowance
        if wanted != soft:
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(fd, number)
        finally:
            os.close(fd)
