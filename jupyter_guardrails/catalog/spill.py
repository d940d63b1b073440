"""How many different values there are, of any number, in bounded memory: keyed digests in a file without a name, counted part by part."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

DIGEST_BYTES = 16
PARTS = 64
HELD_BYTES = 8 << 20  # of all counts together
MOST_BYTES = 2 << 30  # of the file: 130 million values; a part of it is then 32 MiB


class SpillFull(Exception):
    """More values than a count may have."""


class Spill:
    """The file behind a descriptor, which several counts share; digests are of no use to who reads it, since their key is kept nowhere."""

    def __init__(self, fd: int, *, counts: int = 1, most_bytes: int = MOST_BYTES) -> None:
        self.fd = fd
        self.held_bytes = HELD_BYTES // max(counts, 1)
        self._most_bytes = most_bytes
        self._size = 0

    def put(self, data: bytes) -> int:
        """Write it behind all else; where it stands. SpillFull when there is no room."""
        where = self._size
        if where + len(data) > self._most_bytes:
            raise SpillFull
        self._size += len(data)
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(self.fd, data[done:], where + done)
            except OSError:  # the disk is full: what can't be counted is said so, and everything else goes on
                raise SpillFull from None
        return where


class Distinct:
    """Counts different digests."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._parts = [bytearray() for _ in range(PARTS)]
        self._written: list[list[tuple[int, int]]] = [[] for _ in range(PARTS)]
        self._held = 0

    def add(self, digests: Iterable[bytes]) -> None:
        """Digests of DIGEST_BYTES, one or many times each; SpillFull when there are too many."""
        for digest in digests:
            self._parts[digest[0] % PARTS] += digest
            self._held += DIGEST_BYTES
        if self._held > self._spill.held_bytes:
            self._flush()

    def count(self) -> int:
        """How many different ones were added."""
        return sum(self._count(number) for number in range(PARTS))

    def _flush(self) -> None:
        for number, part in enumerate(self._parts):
            if part:
                self._written[number].append((self._spill.put(bytes(part)), len(part)))
                part.clear()
        self._held = 0

    def _count(self, number: int) -> int:
        data = b"".join(os.pread(self._spill.fd, size, where) for where, size in self._written[number]) + bytes(self._parts[number])
        array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), len(data) // DIGEST_BYTES, [None, pa.py_buffer(data)])
        return int(pc.count_distinct(array).as_py())
