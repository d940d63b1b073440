"""What a tree of processes uses, read from /proc: the sum of resident memory, or near a limit the exact share of shared pages.

`ProcessTable` is for whoever looks again and again: it keeps /proc/PID/stat open, so that a look is one read a process. Such a descriptor
belongs to the process and not to its number: when the process has ended it answers ESRCH, whoever has the number by then.
"""

from __future__ import annotations

import os
import resource
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST_STAT = 1024
SHARE_OF_DESCRIPTORS = 4  # the table keeps a quarter of what the process may have open


class Process(NamedTuple):
    """One process as /proc/PID/stat had it; `started` (clock ticks since boot) tells it from a later one of the same number."""

    pid: int
    parent: int
    started: int
    memory_bytes: int
    cpu_s: float
    tasks: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Sums over a whole tree. `cpu_s` includes children that have ended; `exact` = shared pages are counted once."""

    memory_bytes: int
    cpu_s: float
    tasks: int
    pids: tuple[int, ...]
    processes: tuple[Process, ...] = ()
    exact: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Every process as of one pass; `tree` costs only what the tree has."""

    processes: Mapping[int, Process]

    @cached_property
    def _below(self) -> dict[int, list[Process]]:
        below: dict[int, list[Process]] = {}
        for process in self.processes.values():
            below.setdefault(process.parent, []).append(process)
        return below

    def tree(self, root_pid: int) -> Sample:
        """The sums over `root_pid` and its descendants, parents before their children; empty when it is gone."""
        root, below = self.processes.get(root_pid), self._below
        tree = [root] if root else []
        for process in tree:  # grows while it is walked
            children = below.get(process.pid)
            if children:
                tree += sorted(children) if len(children) > 1 else children
        memory_bytes, cpu_s, tasks = sum(p.memory_bytes for p in tree), sum(p.cpu_s for p in tree), sum(p.tasks for p in tree)
        return Sample(memory_bytes, cpu_s, tasks, tuple(p.pid for p in tree), tuple(tree))


class ProcessTable:
    """All processes again and again, for one thread at a time; `close` gives its descriptors back, as does forgetting it."""

    def __init__(self) -> None:
        self._fds: dict[int, int] = {}
        weakref.finalize(self, _close_all, self._fds)
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_DESCRIPTORS

    def read(self) -> Snapshot:
        """Every process that can be seen, in one pass."""
        found, fds = {}, self._fds
        names = [int(name) for name in os.listdir("/proc") if name[0] <= "9"]
        for pid in fds.keys() - names:
            os.close(fds.pop(pid))
        for pid in names:
            line = self._line(pid)
            if line:
                found[pid] = parse_stat(line)
        return Snapshot(found)

    def cpu_s(self, pid: int) -> float:
        """Processor time of one process and its ended children; 0 when it is gone. Costs one read."""
        line = self._line(pid)
        return parse_stat(line).cpu_s if line else 0.0

    def close(self) -> None:
        """Close every descriptor; `read` opens them again."""
        _close_all(self._fds)

    def _line(self, pid: int) -> bytes:
        """The process's stat, b"" when it is gone."""
        fd = self._fds.get(pid)
        if fd is not None:
            try:
                return os.pread(fd, LONGEST_STAT, 0)
            except OSError:  # it has ended; another one may have its number
                os.close(self._fds.pop(pid))
        return self._open(pid)

    def _open(self, pid: int) -> bytes:
        with suppress(OSError):
            fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            try:
                line = os.pread(fd, LONGEST_STAT, 0)
            except OSError:
                os.close(fd)
                raise
            if len(self._fds) < self._most:
                self._fds[pid] = fd
            else:
                os.close(fd)
            return line
        return b""


def _close_all(fds: dict[int, int]) -> None:
    while fds:
        os.close(fds.popitem()[1])


def sample(root_pid: int) -> Sample:
    """What the tree below (and with) `root_pid` uses now, resident memory summed; empty when it is gone."""
    table = ProcessTable()
    try:
        return table.read().tree(root_pid)
    finally:
        table.close()


def exact(rough: Sample) -> Sample:
    """The same tree with each shared page counted once (PSS: some 20 times slower) and without mapped files; a process that can't be read keeps
    its resident size."""
    processes = tuple(process._replace(memory_bytes=_proportional(process)) for process in rough.processes)
    return replace(rough, memory_bytes=sum(p.memory_bytes for p in processes), processes=processes, exact=True)


def parse_stat(line: bytes, make: Callable[[tuple[int, int, int, int, float, int]], Process] = Process._make) -> Process:
    """One line of /proc/PID/stat; the name in it may hold blanks and brackets."""
    end = line.rindex(b")")
    f = line[end + 2 :].split(b" ", 22)
    cpu_s = (int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])) / TICKS
    return make((int(line[: line.index(b" ")]), int(f[1]), int(f[19]), int(f[21]) * PAGE, cpu_s, int(f[17])))


def start_time(pid: int) -> int | None:
    """When the process of that number started, None when there is none."""
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return parse_stat(file.read()).started
    return None


def data_bytes(pid: int) -> int | None:
    """What counts against RLIMIT_DATA (with its stack), None when it is gone."""
    with suppress(OSError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[5]) * PAGE
    return None


def _proportional(process: Process) -> int:
    """What it has of its own and its part of what is shared; files that it maps are left out: the system can take their pages back."""
    try:
        with open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
            rows = [line.split() for line in file if line.startswith(b"Pss")]
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was seen
        return 0
    except OSError:  # it may not be looked at
        return process.memory_bytes
    parts = {name: int(size) * 1024 for name, size, _ in rows}
    if b"Pss_Anon:" in parts:  # Linux 5.9
        return parts[b"Pss_Anon:"] + parts[b"Pss_Shmem:"]
    return parts.get(b"Pss:", process.memory_bytes)
