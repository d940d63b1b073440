"""A workspace holds what the policy allows: measured by a walker beside the event loop, held by refusing that files grow while it is full.

Without project quotas there is nothing that refuses the one byte too much. So while the workspace is full, no process of the person's kernels
may write a file past 1 MiB (RLIMIT_FSIZE, from outside: `OSError: File too large` in the cell), and where it grows all the same, none at all.
Deleting always works, notebooks can still be saved, and when there is room again, writing works again. Nothing is ever ended for it.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_guardrails.kernels.quota_walk import Walk, be_modest, deleted_bytes
from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.headroom import roles
from jupyter_guardrails.sandbox.meter import Process, Sample

MIB = 1 << 20
SMALL_FILE = MIB  # what may still be written while the workspace is full: notebooks, scripts, logs, histories
WARN_AT = 0.8
POLL_S, EVERY_S, EVERY_WHEN_FULL_S = 0.2, 5.0, 0.5
FASTEST_GROWTH = 100 * MIB  # a second: what is expected of a filesystem whose free space says nothing, as others free as much meanwhile
SHARE_OF_TIME, SHARE_WHEN_FULL = 1 / 20, 1 / 4  # that walking may take
STEP_S, PAUSE_S = 0.02, 0.01
FORGET_AFTER_S = 30.0  # without anybody asking, the walker rests
UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Usage:
    """What the workspace holds and may hold (None: no limit); `measured` is False until the first walk is done."""

    used_bytes: int = 0
    limit_bytes: int | None = None
    rule: str = ""
    biggest: tuple[str, ...] = ()
    measured: bool = False

    @property
    def full(self) -> bool:
        """Whether files may no longer grow."""
        return self.measured and self.limit_bytes is not None and self.used_bytes >= self.limit_bytes

    def in_words(self) -> str:
        """`8.2 GiB of 10 GiB`."""
        return f"{sized(self.used_bytes)} of {sized(self.limit_bytes or 0)}"


class WorkspaceQuota:
    """One workspace. `look` is called by whoever watches its kernels, a few times a second; `touch` by whoever only wants `usage` kept fresh."""

    def __init__(self, workspace: Path) -> None:
        self.root = str(workspace.resolve())
        self.usage = Usage()
        self._pids: tuple[int, ...] = ()
        self._asked_at = 0.0
        self._held_bytes: int | None = None  # the file size that processes were given
        self._full_at_bytes = 0
        self._said = ""
        self._lock = threading.Lock()
        self._walker: threading.Thread | None = None

    def set_limit(self, limit_bytes: int | None, rule: str) -> None:
        """As the policy says now."""
        with self._lock:
            self.usage = replace(self.usage, limit_bytes=limit_bytes, rule=rule)

    def touch(self, pids: Sequence[int] = ()) -> None:
        """Keep measuring; `pids` may hold files that were deleted."""
        self._asked_at, self._pids = time.monotonic(), tuple(pids)
        if self.usage.limit_bytes is not None and (self._walker is None or not self._walker.is_alive()):
            self._walker = threading.Thread(target=self._walk_on, name="guardrails-quota", daemon=True)
            self._walker.start()

    def look(self, trees: Sequence[tuple[int, Sample]]) -> str:
        """Hold or let go the trees, given with their root; the sentence that everybody should hear now, mostly ""."""
        self.touch([pid for _, sample in trees for pid in sample.pids])
        usage = self.usage
        wanted = self._wanted(usage)
        if wanted is not None or self._held_bytes is not None:
            for root_pid, sample in trees:
                _allow(root_pid, sample, wanted)
        self._held_bytes = wanted
        return self._news(usage)

    def _wanted(self, usage: Usage) -> int | None:
        if not usage.full:
            self._full_at_bytes = 0
            return None
        self._full_at_bytes = self._full_at_bytes or usage.used_bytes
        many_small_files = usage.used_bytes > self._full_at_bytes + max(16 * SMALL_FILE, self._full_at_bytes // 100)
        return 0 if many_small_files else SMALL_FILE

    def _news(self, usage: Usage) -> str:
        """A sentence whenever it is full, has room again, or comes near: each once."""
        near = usage.measured and usage.limit_bytes is not None and usage.used_bytes >= WARN_AT * usage.limit_bytes
        state = "full" if usage.full else "near" if near else "room"
        before, self._said = self._said, state
        if state == before or (state == "room" and before == ""):
            return ""
        if state == "full":
            return f"your workspace is full: {usage.in_words()}{_by(usage.rule)}. {self.advice(usage)}"
        again = "your workspace has room again" if before == "full" else "your workspace fills up" if state == "near" else ""
        return f"{again}: {usage.in_words()}{_by(usage.rule)}" if again else ""

    def advice(self, usage: Usage) -> str:
        """What can be done while it is full."""
        biggest = f" The biggest: {', '.join(usage.biggest)}." if usage.biggest else ""
        return f"Until you delete something, files can't grow beyond {sized(SMALL_FILE)}.{biggest}"

    def _walk_on(self) -> None:
        """The walker's thread: measures when time has passed, or when the filesystem lost so much that the limit could be reached."""
        be_modest()
        ended, took_s, free = 0.0, 0.0, 0
        while time.monotonic() - self._asked_at < FORGET_AFTER_S and self.usage.limit_bytes is not None:
            now = time.monotonic()
            if not ended or now - ended >= self._pause_s(took_s, free - free_bytes(self.root)):
                free = free_bytes(self.root)
                self._measure()
                ended = time.monotonic()
                took_s = ended - now
            time.sleep(POLL_S)

    def _pause_s(self, took_s: float, lost_bytes: int) -> float:
        usage = self.usage
        room_bytes = (usage.limit_bytes or 0) - usage.used_bytes
        if usage.full or lost_bytes >= room_bytes:
            return max(EVERY_WHEN_FULL_S, took_s / SHARE_WHEN_FULL)
        return max(EVERY_WHEN_FULL_S, min(EVERY_S, room_bytes / FASTEST_GROWTH), took_s / SHARE_OF_TIME)

    def _measure(self) -> None:
        try:
            walk = Walk(self.root)
        except OSError:
            return  # the workspace itself is away
        while not walk.step(STEP_S):
            time.sleep(PAUSE_S)
        used_bytes = walk.used_bytes + deleted_bytes(self.root, self._pids)
        biggest = tuple(
            f"{os.path.relpath(path, self.root)} ({sized(size)})" for size, path in sorted(walk.biggest, reverse=True) if size >= SMALL_FILE
        )
        with self._lock:
            self.usage = replace(self.usage, used_bytes=used_bytes, biggest=biggest, measured=True)


def free_bytes(path: str) -> int:
    """Free space of the filesystem, 0 when nobody can tell."""
    with suppress(OSError):
        state = os.statvfs(path)
        return state.f_bfree * state.f_frsize
    return 0


def sized(size: int) -> str:
    """`8.2 GiB`, `300 KiB`, `12 bytes`."""
    unit, name = next(((unit, name) for unit, name in UNITS if size >= unit), (1, "bytes"))
    return f"{size / unit:.3g} {name}"


def _allow(root_pid: int, sample: Sample, wanted: int | None) -> None:
    """Set the soft limit on file sizes; None gives back what the hard one allows."""
    main = roles(sample.processes, root_pid).main
    for process in sample.processes:
        with suppress(OSError):  # ended meanwhile
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            fits = hard if wanted is None else wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            if soft != fits and _is(process) and (wanted is None or process is not main or _survives(process.pid)):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (fits, hard))


def _is(process: Process) -> bool:
    """Whether the number is still this process's."""
    return meter.start_time(process.pid) == process.started


def _survives(pid: int) -> bool:
    """Whether a write that is refused is an error to it: where SIGXFSZ has its default effect, it would be its end, and the session's."""
    with suppress(OSError, StopIteration):
        with open(f"/proc/{pid}/status") as status:
            masks = dict(line.split(":\t") for line in status if line.startswith(("SigIgn", "SigCgt")))
        return bool(sum(int(mask, 16) >> (signal.SIGXFSZ - 1) & 1 for mask in masks.values()))
    return False


def _by(rule: str) -> str:
    return f" ({rule})" if rule else ""
