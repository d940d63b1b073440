"""How much a folder holds: a walk that can be paused, counts blocks, each hard link once, and stays on one filesystem."""

from __future__ import annotations

import ctypes
import heapq
import os
import platform
import stat
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from jupyter_guardrails.sandbox import memory_files

BLOCK = 512  # st_blocks, whatever the filesystem's own are
BIGGEST = 3
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
IOPRIO_WHO_PROCESS, IOPRIO_IDLE = 1, 3 << 13
NICENESS = 10


class Walk:
    """One walk; `step` again and again until it says that it is done."""

    def __init__(self, root: str) -> None:
        state = os.lstat(root)
        self.used_bytes = state.st_blocks * BLOCK
        self.biggest: list[tuple[int, str]] = []
        self._device = state.st_dev
        self._left = [root]
        self._linked: set[int] = set()

    def step(self, budget_s: float) -> bool:
        """True when everything was seen; stops after the folder in which the budget ran out."""
        deadline = time.monotonic() + budget_s
        while self._left:
            with suppress(OSError):  # it was removed meanwhile, or is not ours to read
                self._folder(self._left.pop())
            if time.monotonic() >= deadline:
                break
        return not self._left

    def _folder(self, path: str) -> None:
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(OSError):
                    self._count(entry)

    def _count(self, entry: os.DirEntry[str]) -> None:
        state = entry.stat(follow_symlinks=False)
        if state.st_dev != self._device:
            return
        if stat.S_ISDIR(state.st_mode):
            self._left.append(entry.path)
        elif state.st_nlink > 1:
            if state.st_ino in self._linked:
                return
            self._linked.add(state.st_ino)
        size = state.st_blocks * BLOCK
        self.used_bytes += size
        if len(self.biggest) < BIGGEST:
            heapq.heappush(self.biggest, (size, entry.path))
        elif size > self.biggest[0][0]:
            heapq.heapreplace(self.biggest, (size, entry.path))


def deleted_bytes(root: str, pids: Sequence[int]) -> int:
    """What processes still hold of files below a folder that have no name any more, each once."""
    found: dict[tuple[int, int], int] = {}
    for path, name in memory_files.descriptors(pids):
        if not (name.startswith(f"{root}/") and name.endswith(" (deleted)")):
            continue
        with suppress(OSError):
            state = os.stat(path)
            if state.st_nlink == 0:
                found[state.st_dev, state.st_ino] = state.st_blocks * BLOCK
    return sum(found.values())


def be_modest() -> None:
    """This thread's reads and writes wait for everybody else's, and so does its computing."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    number = IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE)  # a scheduler that knows no priorities ignores it
