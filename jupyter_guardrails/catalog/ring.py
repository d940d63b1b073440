"""Where a scan is written that its reader shares memory with: half the copies of a pipe. The other side is client/guarded/ring.py.

Bytes go round and round in the memory; how many there are by now goes into one pipe, how many were taken comes back through another. Nothing
that the reader could change is read here but that number, which is believed within its bounds: who lies about it spoils his own rows.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
from typing import Any

from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.catalog.streams import ReaderGone, Sink

COUNT = struct.Struct("<Q")
COUNTS = 512  # that are read at once: the last one says all
TOLD_OF = 8  # parts of the memory: the reader is told after each, and of what there is at the end of a batch


class Ring(Sink):
    """As `Sink`; the descriptors stay the caller's, who closes them after `close()`."""

    def __init__(self, counts: int, taken: int, memory: int, *, stall_s: float, cut: Cut | None = None) -> None:
        super().__init__(counts, stall_s=stall_s, cut=cut)
        self._back = taken
        os.set_blocking(taken, False)
        self._size = os.fstat(memory).st_size
        self._memory = mmap.mmap(memory, self._size)
        self._taken = self._told = 0

    def write(self, data: Any) -> int:
        """All of it, or an OSError whose sentence is in `failure`."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            self._go_on()
            if not (room := self._size - (self.written_bytes - self._taken)):
                self._wait_for_room()
                continue
            place = self.written_bytes % self._size
            count = min(len(view) - done, room, self._size - place)
            self._memory[place : place + count] = view[done : done + count]
            done += count
            self.written_bytes += count
            if self.written_bytes - self._told >= self._size // TOLD_OF:
                self.flush()
        return len(view)

    def flush(self) -> None:
        """Tell the reader of what there is."""
        if not self.closed and self._told < self.written_bytes:
            self._told = self.written_bytes
            self._all(memoryview(COUNT.pack(self.written_bytes)))

    def close(self) -> None:
        """Let go of the memory."""
        if not self.closed:
            try:
                super().close()
            finally:
                self._memory.close()

    def _wait_for_room(self) -> None:
        self.flush()
        try:
            told = os.read(self._back, COUNT.size * COUNTS)
        except BlockingIOError:
            self._wait(self._back, select.POLLIN)
            return
        if not told:
            error = BrokenPipeError("the reader has gone")
            raise self._failed(error, ReaderGone(str(error)))
        (taken,) = COUNT.unpack(told[-COUNT.size :])
        self._taken = max(self._taken, min(taken, self.written_bytes))
