"""Files that are memory: memfds and what lies in /dev/shm. What of them no process of the tree maps is in nobody's resident size, and yet it is used.

A file in /dev/shm counts from the moment on that a process of the tree was seen to have it open, until it is removed. Where the tree has a
/dev/shm of its own, all that is in there is the tree's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

SHM = "/dev/shm"
MEMFD = "/memfd:"
BLOCK = 512  # st_blocks
MEMINFO = "/proc/meminfo"

Inode = tuple[int, int]  # device, number


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """One such file; `path` is where we can reach it, `name` what its owner calls it, `memory_bytes` what of it no process maps."""

    path: str
    name: str
    memory_bytes: int


class MemoryFiles:
    """Those of one tree. `unmapped` walks descriptors and is not cheap: ask when `shared_memory_bytes` has grown, or near a limit."""

    def __init__(self) -> None:
        self._in_shm: dict[Inode, str] = {}

    def unmapped(self, pids: Sequence[int]) -> tuple[MemoryFile, ...]:
        """What the tree's memory files hold beyond what its processes map of them, biggest first."""
        found = dict(_open_files(pids))
        self._in_shm |= {inode: name for inode, (_, name) in found.items() if name.startswith(SHM) and _size(name, inode)}
        self._in_shm |= dict(_own_shm(pids))
        found |= {inode: (path, path) for inode, path in self._in_shm.items()}
        sizes = {inode: (size, where) for inode, where in found.items() if (size := _size(where[0], inode))}
        for inode in self._in_shm.keys() - sizes.keys():
            del self._in_shm[inode]
        mapped = _mapped_bytes(pids, {number for _, number in sizes}) if sizes else {}
        files = [MemoryFile(path, _plain(name), size - mapped.get(inode[1], 0)) for inode, (size, (path, name)) in sizes.items()]
        return tuple(sorted((f for f in files if f.memory_bytes > 0), key=lambda f: -f.memory_bytes))


def empty(file: MemoryFile) -> None:
    """Give its memory back: a file in /dev/shm is removed, a memfd (which has no name to remove) cut to nothing."""
    with suppress(OSError):
        if "/fd/" not in file.path:
            os.unlink(file.path)
        else:
            os.truncate(file.path, 0)


def shared_memory_bytes() -> int:
    """The whole machine's shared memory: while it doesn't grow, no tree's memory files do."""
    with suppress(OSError, ValueError, IndexError), open(MEMINFO, "rb") as file:
        return int(file.read().split(b"Shmem:", 1)[1].split(None, 1)[0]) * 1024
    return 0


def descriptors(pids: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Everything that processes have open: by which path below /proc, and its name."""
    for pid in pids:
        for path in _below(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield path, os.readlink(path)


def _below(folder: str) -> list[str]:
    with suppress(OSError):
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    return []


def _open_files(pids: Sequence[int]) -> Iterator[tuple[Inode, tuple[str, str]]]:
    for path, name in descriptors(pids):
        if name.startswith((MEMFD, SHM + "/")):
            with suppress(OSError):
                state = os.stat(path)
                yield (state.st_dev, state.st_ino), (path, name)


def _own_shm(pids: Sequence[int]) -> Iterator[tuple[Inode, str]]:
    """All files of a /dev/shm that only the tree has."""
    with suppress(OSError, IndexError):
        folder = f"/proc/{pids[-1]}/root{SHM}"
        if os.stat(folder).st_dev == os.stat(SHM).st_dev:
            return
        for path in (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names):
            with suppress(OSError):
                state = os.lstat(path)
                yield (state.st_dev, state.st_ino), path


def _size(path: str, inode: Inode) -> int:
    """Bytes that it really has in memory; 0 when another file is there by now."""
    with suppress(OSError):
        state = os.stat(path)
        return state.st_blocks * BLOCK if (state.st_dev, state.st_ino) == inode else 0
    return 0


def _mapped_bytes(pids: Sequence[int], inodes: set[int]) -> dict[int, int]:
    """What is resident of each inode through mappings of the tree, each page once; `smaps` is read only where `maps` names such a file."""
    found: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            with open(f"/proc/{pid}/maps", "rb") as maps:
                maps_one = any(int(fields[4]) in inodes for fields in map(bytes.split, maps) if len(fields) > 5 and fields[4] != b"0")
            if maps_one:
                _add_mappings(pid, inodes, found)
    return found


def _add_mappings(pid: int, inodes: set[int], found: dict[int, int]) -> None:
    inode = 0
    with open(f"/proc/{pid}/smaps", "rb") as smaps:
        for line in smaps:
            fields = line.split()
            if b"-" in fields[0] and len(fields) >= 5:
                inode = int(fields[4])
            elif inode in inodes and fields[0] == b"Pss:":
                found[inode] = found.get(inode, 0) + int(fields[1]) * 1024


def _plain(name: str) -> str:
    """`/dev/shm/x`, `memfd:x`."""
    name = name.removesuffix(" (deleted)")
    return name[name.index(SHM) :] if SHM in name else name.removeprefix("/")
