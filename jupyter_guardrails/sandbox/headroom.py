"""Memory held from outside: a process that asks for too much gets an error in its cell, not the end of its session.

Each tick sets every process's RLIMIT_DATA to what it has and what the tree has left. What that can't hold (shared mappings, memory files, many
small processes) goes up a ladder: interrupt, then end the biggest child or empty the biggest memory file, then end the tree. Deciding is pure
(`allowances`, `climb`, `next_look_s`); `Headroom` reads and acts.
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

from jupyter_guardrails.sandbox import memory_files, meter
from jupyter_guardrails.sandbox.memory_files import MemoryFile, MemoryFiles
from jupyter_guardrails.sandbox.meter import Process, Sample

MIB = 1 << 20
NEAR, INTERRUPT_AT, END_AT, HOPELESS_AT = 0.6, 1.05, 1.5, 2.0  # shares of the limit
CONFIRMATIONS = 2  # samples in a row before anything is killed: a fresh fork looks twice as big as it is
INTERRUPT_EVERY_S = 3.0
KILL_AFTER_S = 1.0  # what an interrupt gets to work
END_AFTER_S = 0.3  # the same where it is past the end already; at twice the limit nothing is waited for
TICK_FAST_S, TICK_NEAR_S, TICK_FAR_S = 0.005, 0.1, 0.5
LOOKS_ON_THE_WAY = 4  # from where it is to the limit, at the pace it has
QUIET_CPU_S = 0.005
COSTLY_S = 0.05  # a look that takes more rests twice as long: the exact size of hundreds of GiB takes a second
FILES_EVERY_S = 0.3
NOTEWORTHY = 8 * MIB  # growth of the machine's shared memory that is worth a walk over descriptors
LARGEST_RESERVE, SMALLEST_RESERVE = 96 * MIB, 32 * MIB  # without it IPython cannot even build the traceback
GROWING_PART = 25  # of the limit: 0.04, below the 0.05 that interrupts
GROWTH = MIB // 4  # between two looks: less is no growth
SHARED_FROM = 0.9
SHORT_OF_END = 1.4  # of the limit
KEPT = "Your variables are still there."

Kind = Literal["none", "interrupt", "kill_child", "empty_file", "end"]


@dataclass(frozen=True, slots=True)
class Action:
    """What has to happen to which process, and the sentence for its owner."""

    kind: Kind
    detail: str = ""
    pid: int = 0
    file: MemoryFile | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """Where the tree stands on the ladder: since when it is over, when it was interrupted last, what its processes had when it first was, how
    often it was past each limit in a row."""

    over_since: float | None = None
    interrupted_at: float | None = None
    interrupted_bytes: int | None = None
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
        self.used_bytes = 0
        self.program_pid = root_pid
        self._forgiven_bytes = 0
        self._rung = Rung()
        self._files = _Files()
        self._before: tuple[float, int, dict[int, float]] | None = None

    def set_limit(self, limit_bytes: int) -> None:
        """Another limit from now on. What is in use beyond it stays, nothing may be added, and what is given back is gone: nobody is ended for it."""
        self._forgiven_bytes = self.used_bytes if self.used_bytes > limit_bytes else 0
        self.limit_bytes = limit_bytes

    def tick(self, sample: Sample | None = None, *, now: float | None = None) -> Action:
        """Set everyone's allowance, end the child or empty the file that has to go, and answer what was or is to be done. `now` is monotonic seconds.

        `sample` is of the whole tree, from the warden down.
        """
        begin_s = time.thread_time()
        now = time.monotonic() if now is None else now
        current = meter.sample(self.root_pid) if sample is None else sample
        files = self._files.look(current, self.limit_bytes, now=now)
        hidden = sum(file.memory_bytes for file in files)
        if current.memory_bytes + hidden > NEAR * self.limit_bytes and not current.exact:
            current = meter.exact(current)
        self.used_bytes = current.memory_bytes + hidden
        limit_bytes = self._limit_now()
        family = roles(current.processes, self.root_pid)
        self.program_pid = family.main.pid if family.main else self.root_pid
        growing, busy = self._moved(current, family, now)
        self._rung, action = climb(self._rung, family, self.used_bytes, limit_bytes, now=now, files=files)
        interrupted_bytes = self._rung.interrupted_bytes
        for process, allowance in allowances(
            family, self.used_bytes, limit_bytes, growing=growing, busy=busy, interrupted_bytes=interrupted_bytes, hidden=hidden
        ).items():
            _allow(process, allowance)
        self._free(action)
        cost_s = time.thread_time() - begin_s
        self.interval_s = max(self.interval_s, 2 * cost_s if cost_s > COSTLY_S else 0.0)
        return replace(action, pid=current.pids[0]) if action.kind in ("interrupt", "end") else action

    def _free(self, action: Action) -> None:
        """What a program doesn't do itself: its child ends, its memory file is emptied."""
        if action.kind == "kill_child":
            _signal(action.pid, signal.SIGKILL)
        elif action.file:
            memory_files.empty(action.file)
            self._files.forget()

    def _limit_now(self) -> int:
        self._forgiven_bytes = min(self._forgiven_bytes, self.used_bytes)
        return max(self.limit_bytes, self._forgiven_bytes)

    def carry_out(self, action: Action) -> None:
        """Interrupt or end the tree through its warden, which passes an interrupt on and ends everything below it when told to."""
        number = {"interrupt": signal.SIGINT, "end": signal.SIGTERM}.get(action.kind)
        if number is not None:
            _signal(action.pid, number)

    def _moved(self, current: Sample, family: Family, now: float) -> tuple[bool, int]:
        """Whether it has grown since the last look, and how many of the others have worked; sets when to look again."""
        then, used_bytes, cpu = self._before or (now, self.used_bytes, {})
        self._before = (now, self.used_bytes, {p.pid: p.cpu_s for p in current.processes})
        worked = [p for p in current.processes if p.cpu_s - cpu.get(p.pid, 0.0) >= QUIET_CPU_S]
        grown = self.used_bytes - used_bytes
        pace = grown / max(now - then, TICK_FAST_S)
        self.interval_s = next_look_s(self.used_bytes, self.limit_bytes, pace, busy=bool(worked))
        return grown > GROWTH, len({p.pid for p in worked} & {p.pid for p in family.others})


class _Files:
    """The tree's memory files, looked for only when there can be more of them than before."""

    def __init__(self) -> None:
        self._found = MemoryFiles()
        self._known: tuple[MemoryFile, ...] = ()
        self._shared_bytes = -NOTEWORTHY
        self._looked_at = -FILES_EVERY_S

    def look(self, sample: Sample, limit_bytes: int, *, now: float) -> tuple[MemoryFile, ...]:
        shared = memory_files.shared_memory_bytes()
        grown = shared - self._shared_bytes >= min(NOTEWORTHY, limit_bytes // 32)
        late = now - self._looked_at >= FILES_EVERY_S and (self._known or sample.memory_bytes > NEAR * limit_bytes)
        if grown or late:
            self._known, self._shared_bytes, self._looked_at = self._found.unmapped(sample.pids), shared, now
        self._shared_bytes = min(self._shared_bytes, shared)
        return self._known

    def forget(self) -> None:
        """Something of it was emptied: look again."""
        self._looked_at, self._shared_bytes = -FILES_EVERY_S, -NOTEWORTHY


def next_look_s(used_bytes: int, limit_bytes: int, grown_bytes_s: float, *, busy: bool) -> float:
    """Seconds to the next look: soon enough to see a tree that grows at this pace a few times before the limit, and rarely while nothing moves."""
    calm = TICK_NEAR_S if busy or used_bytes > limit_bytes / 2 else TICK_FAR_S
    if grown_bytes_s <= 0 or used_bytes > limit_bytes * END_AT:
        return calm
    return max(TICK_FAST_S, min(calm, (limit_bytes - used_bytes) / grown_bytes_s / LOOKS_ON_THE_WAY))


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


def allowances(
    family: Family, used_bytes: int, limit_bytes: int, *, growing: bool = False, busy: int = 1, interrupted_bytes: int | None = None, hidden: int = 0
) -> dict[Process, int]:
    """How many more bytes each process may take; the reserve is the program's, and once more split among all others.

    A tree that is `growing` has only a part of the reserve, less than what interrupts: so that an error comes first, and the rest is there
    when it is reported. One that grows with pauses uses it all up in them: from what it had when it was interrupted (`interrupted_bytes`) the
    program may have the smallest reserve again, once, short of where it would be ended. Files that lie in memory (`hidden`) may have grown on
    meanwhile: they don't count there, since a program that can take nothing dies of its next message. Close to the limit the `busy` others share
    what is left.
    """
    if family.main is None:
        return {}
    left, reserve = limit_bytes - used_bytes, reserve_bytes(limit_bytes)
    at_once = min(reserve, limit_bytes // GROWING_PART) if growing else reserve
    share = at_once // max(1, len(family.others))
    each = left // max(1, busy) if 0 < left < (1 - SHARED_FROM) * limit_bytes else left
    again = 0 if interrupted_bytes is None else min(interrupted_bytes + SMALLEST_RESERVE, int(SHORT_OF_END * limit_bytes)) - (used_bytes - hidden)
    return {family.main: max(left + at_once, again, 0)} | {other: max(each + share, 0) for other in family.others}


def climb(rung: Rung, family: Family, used_bytes: int, limit_bytes: int, *, now: float, files: Sequence[MemoryFile] = ()) -> tuple[Rung, Action]:
    """The next rung and what to do: nothing below 1.05 of the limit, the end at 1.5 when two samples in a row say so and nothing smaller helps."""
    ratio = used_bytes / limit_bytes
    if ratio < INTERRUPT_AT:
        return Rung(), Action("none")
    rung = _counted(rung, ratio, now)
    hidden = sum(file.memory_bytes for file in files)
    used = _in_words(used_bytes, limit_bytes, files)
    if rung.interrupted_at is None:
        return replace(rung, interrupted_at=now, interrupted_bytes=used_bytes - hidden), Action(
            "interrupt", f"the cell was interrupted: {used}. {KEPT}"
        )
    waited_s = now - rung.interrupted_at
    if rung.samples_past_end >= CONFIRMATIONS:
        if files and used_bytes - hidden <= limit_bytes:
            return replace(rung, samples_over=0), _emptied(files[0], used)
        if waited_s >= END_AFTER_S or ratio >= HOPELESS_AT:
            return rung, Action("end", f"{used}, and neither an error nor an interrupt stopped it")
    if (family.others or files) and rung.samples_over >= CONFIRMATIONS and waited_s >= KILL_AFTER_S:
        return replace(rung, samples_over=0), _biggest_gone(family.others, files, used)
    if waited_s >= INTERRUPT_EVERY_S:
        return replace(rung, interrupted_at=now), Action("interrupt", f"the cell was interrupted again: {used}")
    return rung, Action("none")


def _counted(rung: Rung, ratio: float, now: float) -> Rung:
    return replace(
        rung,
        over_since=now if rung.over_since is None else rung.over_since,
        samples_over=rung.samples_over + 1,
        samples_past_end=rung.samples_past_end + 1 if ratio >= END_AT else 0,
    )


def _in_words(used_bytes: int, limit_bytes: int, files: Sequence[MemoryFile]) -> str:
    hidden = sum(file.memory_bytes for file in files)
    lying = f" ({hidden // MIB} MiB of it are files that lie in memory, the biggest is {files[0].name})" if files else ""
    return f"{used_bytes // MIB} MiB of memory in use{lying}, {limit_bytes // MIB} MiB allowed"


def _biggest_gone(others: Sequence[Process], files: Sequence[MemoryFile], used: str) -> Action:
    """End the biggest child, or empty the biggest memory file where that is more."""
    biggest = max(others, key=lambda p: p.memory_bytes, default=None)
    if biggest is None or (files and files[0].memory_bytes > biggest.memory_bytes):
        return _emptied(files[0], used)
    detail = f"a program that was started here (process {biggest.pid}, {biggest.memory_bytes // MIB} MiB) was ended: {used}"
    return Action("kill_child", detail, biggest.pid)


def _emptied(file: MemoryFile, used: str) -> Action:
    how = "removed" if file.name.startswith(memory_files.SHM) else "emptied"
    detail = f"the file {file.name} ({file.memory_bytes // MIB} MiB), which lies in memory, was {how}: {used}"
    return Action("empty_file", detail, file=file)


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
