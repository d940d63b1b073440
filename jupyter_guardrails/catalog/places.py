"""Whether a contract's place is one that can be granted: there, absolute, without symlinks, nobody else's."""

from __future__ import annotations

import os
import stat
from functools import cache
from itertools import takewhile
from pathlib import PurePosixPath

FILE_FORMATS = ("parquet", "csv", "json", "arrow")
FORMATS = (*FILE_FORMATS, "directory")
Complaint = tuple[str, str]  # what is wrong, and what to write instead


class Places:
    """Looks at many places at one moment: the folders on the way are looked at once."""

    def __init__(self) -> None:
        self._folders = cache(os.path.realpath)

    def real(self, path: str) -> str:
        """The path without symlinks; what is not there has none."""
        folder, _, name = path.rpartition("/")
        if not folder or name in ("", ".", "..") or os.path.islink(path):
            return os.path.realpath(path)
        return f"{self._folders(folder).rstrip('/')}/{name}"

    def is_there(self, path: str) -> bool:
        """Whether there is something at an absolute path, and no symlink on the way, which somebody put there since it was checked."""
        return self.real(path) == path and os.path.lexists(path)

    def complaint_about(self, path: str) -> Complaint | None:
        """Why a place cannot be granted, or None. A symlink is refused: it can be turned to another place later."""
        malformed = _malformed(path)
        if malformed:
            return malformed
        try:
            mode = os.lstat(path).st_mode
        except OSError as error:
            return f"{path} cannot be reached: {error.strerror}", "put the data there, or correct the path"
        real = self.real(path)
        if real != path:
            return f"{path} leads over a symlink", f"write the real place: {real}"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return f"{path} is neither a file nor a folder", ""
        return None


def complaint_about(path: str) -> Complaint | None:
    """The same about one place, looked at now."""
    return Places().complaint_about(path)


def _malformed(path: str) -> Complaint | None:
    if not path.startswith("/") or "\0" in path:
        return f"{path!r} is not an absolute path", "write the whole path, from /"
    if os.path.normpath(path) != path or path.startswith("//"):
        return f"{path} is not in plain form", f"write {os.path.normpath('/' + path.lstrip('/'))}"
    if path == "/":
        return "the whole machine is not a dataset", "write the folder of the data"
    if set(path) & set("*?["):
        return f"{path} has a wildcard, and a folder is granted as a whole", f"write {_before_wildcard(path)}, and keep other files out of it"
    return None


def _before_wildcard(path: str) -> str:
    return str(PurePosixPath(*takewhile(lambda part: not set(part) & set("*?["), PurePosixPath(path).parts)))


def guess_format(path: str, declared: str) -> str:
    """The format that a contract declares, else the one that the file's name says, else `directory` for a folder."""
    if declared:
        return declared.lower()
    suffix = PurePosixPath(path).suffix.lstrip(".").lower()
    if os.path.isdir(path):
        return "directory"
    return {"feather": "arrow", "ipc": "arrow", "jsonl": "json", "ndjson": "json"}.get(suffix, suffix)
