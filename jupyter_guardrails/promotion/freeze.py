"""Copying workspace files beside the frozen notebook: opened beneath the workspace, hashed nowhere twice, bounded."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from jupyter_guardrails.sandbox.beneath import open_beneath

MAX_FILE_BYTES = 200 << 20
MAX_TOTAL_BYTES = 1 << 30
MAX_FILES = 2000


class TooBig(Exception):
    """A file, or all of them together, are more than a package should hold; the text says which."""


class Freezer:
    """Copies files of the workspace to the same names below `target`; each once. `never`: control's own folder, if it lies in the workspace."""

    def __init__(self, workspace: Path, target: Path, *, never: Path | None = None) -> None:
        self.workspace, self.target, self.never = workspace, target, never
        self.names: set[str] = set()
        self._bytes = 0

    def freeze(self, name: str) -> bool:
        """Copy a regular file; False when there is none of that name in the workspace. Raises TooBig."""
        if name in self.names:
            return True
        try:
            fd = open_beneath(self.workspace, name, os.O_RDONLY | os.O_NONBLOCK)
        except (OSError, ValueError):
            return False
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or self._is_control_s(fd):
            os.close(fd)
            return False
        with open(fd, "rb") as source:
            self._check_room(name, status.st_size)
            path = self.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        self.names.add(name)
        return True

    def _is_control_s(self, fd: int) -> bool:
        return self.never is not None and Path(os.readlink(f"/proc/self/fd/{fd}")).is_relative_to(self.never.resolve())

    def _check_room(self, name: str, size: int) -> None:
        self._bytes += size
        if size > MAX_FILE_BYTES:
            raise TooBig(f"{name} has {size >> 20} MiB: at most {MAX_FILE_BYTES >> 20}")
        if self._bytes > MAX_TOTAL_BYTES or len(self.names) >= MAX_FILES:
            raise TooBig(f"with {name} the files beside the notebook are {len(self.names) + 1} and {self._bytes >> 20} MiB")


def below_workspace(folder: PurePosixPath, text: str) -> str | None:
    """The name in the workspace that a relative path means in a folder of it; None when it leads out of the workspace or is no path."""
    if not text or "\0" in text or len(text) > 1024:
        return None
    name = os.path.normpath(str(folder / text))
    return None if name.startswith(("..", "/")) or name == "." else name
