"""The files of a catalogue's folder, each with what changes when the file does."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

Stamps = dict[str, str]  # file -> its time, size and number
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class _Listing:
    """One folder: its contract files with their stamps, and the folders in it, both in order."""

    files: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()


class ContractFiles:
    """The contract files beneath a folder; hidden ones and linked folders are left out, and so is what can't be read."""

    def __init__(self, top: str, *, entered: Callable[[str], None] = lambda _: None) -> None:
        """`entered` is told of each folder before it is looked into."""
        self._top, self._entered = top, entered
        self._known: dict[str, _Listing] = {}

    def look(self, only: Container[str] | None = None) -> Stamps:
        """Every file with its stamp, in order: the files of a folder before those of the folders in it. `only`: the folders that have changed."""
        before, self._known = self._known, {}
        return dict(self._beneath(before, only))

    def _beneath(self, before: dict[str, _Listing], only: Container[str] | None) -> Iterator[tuple[str, str]]:
        waiting = [self._top]
        while waiting:
            folder = waiting.pop()
            known = before.get(folder) if only is not None and folder not in only else None
            if known is None:
                self._entered(folder)
                known = _listed(folder)
            self._known[folder] = known
            yield from known.files
            waiting += reversed(known.folders)


def stamps_of(folder: str) -> Stamps:
    """Every contract file beneath a folder, in order, with its stamp."""
    return ContractFiles(folder).look()


def _listed(folder: str) -> _Listing:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError:
        return _Listing()
    files = tuple((entry.path, _stamp(entry)) for entry in entries if entry.name.endswith(SUFFIXES) and not _is_folder(entry))
    return _Listing(files, tuple(entry.path for entry in entries if _is_folder(entry) and not entry.is_symlink()))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _stamp(entry: os.DirEntry[str]) -> str:
    try:
        state = entry.stat()
    except OSError:
        return "gone"
    return f"{state.st_mtime_ns} {state.st_ctime_ns} {state.st_size} {state.st_ino}"
