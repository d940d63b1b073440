"""What a tree of processes uses, read from /proc: the sum of resident memory, or near a limit the exact share of shared pages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
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


def sample(root_pid: int) -> Sample:
    """What the tree below (and with) `root_pid` uses now, resident memory summed; empty when it is gone."""
    return sum_tree(read_processes(), root_pid)


def exact(rough: Sample) -> Sample:
    """The same tree with each shared page counted once (PSS: some 20 times slower); a process that can't be read keeps its resident size."""
    processes = tuple(replace(process, memory_bytes=_proportional(process)) for process in rough.processes)
    return replace(rough, memory_bytes=sum(p.memory_bytes for p in processes), processes=processes, exact=True)


def read_processes() -> dict[int, Process]:
    """Every process on this machine that can be seen, in one pass."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                found[int(name)] = parse_stat(file.read())
    return found


def parse_stat(line: bytes) -> Process:
    """One line of /proc/PID/stat; the name in it may hold blanks and brackets."""
    head, _, tail = line.rpartition(b")")
    fields = tail.split()
    return Process(
        pid=int(head.split(b" ", 1)[0]),
        parent=int(fields[1]),
        started=int(fields[19]),
        memory_bytes=int(fields[21]) * PAGE,
        cpu_s=sum(map(int, fields[11:15])) / TICKS,
        tasks=int(fields[17]),
    )


def sum_tree(processes: Mapping[int, Process], root_pid: int) -> Sample:
    """The sums over `root_pid` and its descendants, parents before their children."""
    below: dict[int, list[int]] = {}
    for process in processes.values():
        below.setdefault(process.parent, []).append(process.pid)
    pids = [root_pid] if root_pid in processes else []
    for pid in pids:  # grows while it is walked
        pids.extend(sorted(below.get(pid, ())))
    tree = tuple(processes[pid] for pid in pids)
    return Sample(sum(p.memory_bytes for p in tree), sum(p.cpu_s for p in tree), sum(p.tasks for p in tree), tuple(pids), tree)


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
    with suppress(OSError), open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return process.memory_bytes
