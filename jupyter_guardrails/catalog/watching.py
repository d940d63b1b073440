"""In which folders something may have changed, by inotify(7): a hint where it is time to look, and never more than that.

What it does not see (files that another machine changes on a network disk, what a linked file leads to, more folders than the kernel watches) is
found when everything is looked at.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Iterator

CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK  # IN_CLOEXEC and IN_NONBLOCK are these
# IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF; IN_ONLYDIR
CHANGES, ONLY_FOLDERS = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800, 0x01000000
FOLDERS = 0x40000000 | 0x400 | 0x800 | 0x4000  # IN_ISDIR, IN_DELETE_SELF, IN_MOVE_SELF, IN_Q_OVERFLOW: other folders than before, or nobody knows
EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it
LARGEST_READ = 1 << 16


class Watch:
    """Starts with no folder. Where the kernel gives none, nothing ever stirs. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(self._libc.inotify_init1(CLOEXEC_NONBLOCK))
        self._folders: dict[int, str] = {}  # watch -> folder
        self._stirred: set[str] = set()
        self._all = False

    def add(self, folder: str) -> None:
        """Watch a folder from now on, not those in it; again is nothing more."""
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), CHANGES | ONLY_FOLDERS) if self._fd >= 0 else -1
        if number >= 0:
            self._folders[number] = folder

    def stirred(self) -> bool:
        """Whether anything has changed that was not taken yet."""
        with self._lock:
            for number, mask in self._events():
                folder = self._folders.get(number)
                self._all = self._all or bool(mask & FOLDERS) or folder is None
                self._stirred |= {folder} if folder is not None else set()
            return self._all or bool(self._stirred)

    def take(self) -> set[str] | None:
        """The folders in which something changed since this was asked last; None: it may be anywhere."""
        self.stirred()
        with self._lock:
            found = None if self._all else self._stirred
            self._all, self._stirred = False, set()
            return found

    def _events(self) -> Iterator[tuple[int, int]]:
        while self._fd >= 0:
            try:
                data = os.read(self._fd, LARGEST_READ)
            except OSError:  # BlockingIOError: that was all
                return
            while data:
                number, mask, _, length = EVENT.unpack_from(data)
                data = data[EVENT.size + length :]
                yield number, mask

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
