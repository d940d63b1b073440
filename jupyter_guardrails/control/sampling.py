"""What control itself sees of the processes of kernels: a server that says less than that is charged for what is seen.

A process is known by its number and the time of its start, so that a later one of the same number is never charged. Where control can't see
an account's processes at all (another PID namespace, `hidepid`), the server's word is all there is.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jupyter_guardrails.errors import Refused
from jupyter_guardrails.records.leases import Use
from jupyter_guardrails.sandbox.meter import Process, ProcessTable, Sample, exact, parse_stat

BEATS_A_TTL = 6  # a look each beat interval: 10 s of a lease's 60
SUSPICIOUS = 1.25  # the sum of resident sizes counts shared pages again and again: only above this much of what is said is it counted exactly


@dataclass(frozen=True, slots=True)
class Seen:
    """One lease's tree: processor time in sum since the lease began, memory at the last look."""

    cpu_s: float = 0.0
    memory_bytes: int = 0


@dataclass(slots=True)
class Followed:
    """A tree that is looked at; `before_s` is the lease's processor time from before this process, `most_bytes` the most that it can hold."""

    pid: int
    started: int
    before_s: float
    most_bytes: int
    seen: Seen
    rough: Sample | None = None


class Sampler:
    """Looks at all trees in one pass; safe to use from several threads."""

    def __init__(self) -> None:
        self._table = ProcessTable()
        self._followed: dict[str, Followed] = {}
        self._lock = threading.Lock()

    def follow(self, lease: str, *, pid: int, started: int, most_bytes: int, charged_s: float = 0.0) -> None:
        """Look at this process's tree from now on; what the lease used before (`charged_s`, or what was seen of an earlier run) counts on."""
        with self._lock:
            known = self._followed.get(lease)
            before_s = max(charged_s, known.seen.cpu_s if known else 0.0)
            self._followed[lease] = Followed(pid, started, before_s, most_bytes, Seen(before_s))

    def forget(self, lease: str) -> None:
        """Its lease is over."""
        with self._lock:
            self._followed.pop(lease, None)

    def look(self) -> None:
        """One pass over /proc for all of them. Blocks for some milliseconds: not for an event loop."""
        with self._lock:
            if not self._followed:
                self._table.close()
                return
            snapshot = self._table.read()
            for followed in self._followed.values():
                root = snapshot.processes.get(followed.pid)
                followed.rough = snapshot.tree(followed.pid) if root is not None and root.started == followed.started else None
                if followed.rough is None:
                    followed.seen = replace(followed.seen, memory_bytes=0)
                else:
                    cpu_s = max(followed.seen.cpu_s, followed.before_s + followed.rough.cpu_s)
                    followed.seen = Seen(cpu_s, followed.rough.memory_bytes)

    def seen(self, lease: str) -> Seen:
        """What the last look found; nothing for a lease that is not followed."""
        followed = self._followed.get(lease)
        return followed.seen if followed else Seen()

    def charged(self, lease: str, said: Use) -> Use:
        """The server's word, or what was seen where that is more. Blocks where memory must be counted exactly."""
        followed = self._followed.get(lease)
        if followed is None:
            return said
        memory = max(said.memory_bytes, min(_memory(followed, said.memory_bytes), followed.most_bytes))
        return replace(said, seen_cpu_s=followed.seen.cpu_s, memory_bytes=memory)


def _memory(followed: Followed, said: int) -> int:
    """What a tree holds as control sees it, 0 where it is about what the server says. Another account's can't be read exactly."""
    if followed.rough is None or followed.rough.memory_bytes <= SUSPICIOUS * said:
        return 0
    return exact(followed.rough).memory_bytes


def start_of(pid: int, *, uid: int, person: str) -> int | None:
    """When the process that a server names as its kernel was started, in clock ticks since boot; None where control can't see the account's
    processes. Refused unless it is there, is the account's, and is not control itself or one above it."""
    process = _process(pid)
    if process is not None and _uid(pid) == uid and (pid, process.started) not in _above():
        return process.started
    if process is None and not _sees(uid):
        return None
    raise Refused(f"process {pid} is no running process of {person}'s kernels", next_step="start the kernel again")


def resume(sampler: Sampler, rows: Iterable[Mapping[str, Any]]) -> None:
    """Follow the trees of leases that outlived an earlier control; what they were charged for counts on."""
    table = ProcessTable()
    snapshot = table.read()
    table.close()
    for row in rows:
        if row["pid"] is not None and row["pid_started"] is not None:
            before_s = max(0.0, row["cpu_s"] - snapshot.tree(row["pid"]).cpu_s)
            sampler.follow(row["id"], pid=row["pid"], started=row["pid_started"], charged_s=before_s, most_bytes=row["memory_limit_bytes"])


async def sample_forever(sampler: Sampler, *, ttl_s: float) -> None:
    """A look each beat interval."""
    while True:
        await asyncio.sleep(ttl_s / BEATS_A_TTL)
        await asyncio.to_thread(sampler.look)


async def charged(sampler: Sampler, uses: Mapping[str, Use]) -> dict[str, Use]:
    """What to charge for beats: of each the server's word or control's own sight, whichever is more."""
    return await asyncio.to_thread(lambda: {lease: sampler.charged(lease, use) for lease, use in uses.items()})


def _process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return parse_stat(file.read())
    except OSError:
        return None


def _uid(pid: int) -> int | None:
    """Its real uid; the owner of /proc/PID is root where a process is not dumpable."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            line = next((line for line in file if line.startswith(b"Uid:")), b"")
    except OSError:
        return None
    return int(line.split()[1]) if line else None


def _sees(uid: int) -> bool:
    """Whether anything of that account can be seen, beside control itself."""
    return any(_uid(int(name)) == uid for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())


@cache
def _above() -> frozenset[tuple[int, int]]:
    """(number, start) of control and all that it descends from: their trees are no kernel's. A parent that ends leaves it to one of these."""
    found: dict[int, int] = {}
    pid = os.getpid()
    while (process := _process(pid)) is not None and pid not in found:
        found[pid] = process.started
        pid = process.parent
    return frozenset(found.items())
