"""Rows through memory that the broker's worker and this process share: half the copies of a pipe. Standard library only.

The worker writes round and round into the memory, and how many bytes there are by now into a pipe; how many were taken goes back through another.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import mmap
import os
import struct
from typing import Any

COUNT = struct.Struct("<Q")
COUNTS = 512  # that are read at once: the last one says all
TOLD_OF = 4  # parts of the memory: the worker is told after each


class Ring(io.RawIOBase):
    """What comes, as a file for pyarrow; a short read is the end."""

    def __init__(self, counts: int, taken: int, memory: int) -> None:
        """All three are its own from here on."""
        self._counts, self._back = io.FileIO(counts, "rb"), io.FileIO(taken, "wb")
        with open(memory, "rb") as file:  # the mapping outlives it
            self._size = os.fstat(file.fileno()).st_size
            self._map = mmap.mmap(file.fileno(), self._size, prot=mmap.PROT_READ)
        self._there = self._taken = self._told = 0

    def readable(self) -> bool:
        """Asked by whoever takes it for a file."""
        return True

    def read_buffer(self, size: int) -> Any:
        """As pyarrow asks for it: a Buffer of `size` bytes in its own memory, which it uses again; a shorter one at the end."""
        buffer = importlib.import_module("pyarrow").allocate_buffer(size)  # who asks has it
        count = self.readinto(buffer)
        return buffer if count == size else buffer.slice(0, count)

    def readinto(self, buffer: Any) -> int:
        """All that fits, or what is left."""
        into = memoryview(buffer).cast("B")
        done = 0
        with memoryview(self._map) as memory:
            while done < len(into) and self._wait():
                place = self._taken % self._size
                count = min(len(into) - done, self._there - self._taken, self._size - place)
                into[done : done + count] = memory[place : place + count]
                done += count
                self._take(count)
        return done

    def close(self) -> None:
        """Let go; who stops in the middle ends the scan."""
        if not self.closed:
            self._map.close()
            self._counts.close()
            self._back.close()
        super().close()

    def _wait(self) -> bool:
        """Whether there is something to take; False at the end."""
        if self._taken == self._there and (told := self._counts.read(COUNT.size * COUNTS)):
            (self._there,) = COUNT.unpack(told[-COUNT.size :])
        return self._taken < self._there

    def _take(self, count: int) -> None:
        self._taken += count
        if self._taken - self._told >= self._size // TOLD_OF:
            self._told = self._taken
            with contextlib.suppress(BrokenPipeError):  # it has written all that there is
                self._back.write(COUNT.pack(self._taken))
