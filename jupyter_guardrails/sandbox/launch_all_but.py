"""Every file but some: Landlock knows no "not", so a rule for each entry of each directory on the way to what stays shut.

What this cannot cover: a new entry made directly in a directory on the way is neither makeable nor usable, since only what was there at the
start has a rule; and the directories on the way may be listed with all below them, so names in what is shut are visible, its contents not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

Tree = dict[str, "Tree"]
LISTABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def entries(shut: Iterable[str]) -> Iterator[tuple[int, bool]]:
    """Descriptors, closed when the next is asked for: with True all below may be used, with False (a directory on the way) it may be listed."""
    yield from _walk(os.open("/", LISTABLE), _tree(shut))


def ways(shut: Iterable[str]) -> list[str]:
    """The existing directories on the way: what has no new entries."""
    found = {parent for path in shut for parent in _above(path) if os.path.isdir(parent)}
    return sorted(found)


def beside(paths: Iterable[str], shut: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` below which nothing shut lies: a rule for the others would open it."""
    closed = tuple(shut)
    return tuple(path for path in paths if not any(_is_below(place, os.path.realpath(path)) for place in closed))


def _walk(directory: int, node: Tree) -> Iterator[tuple[int, bool]]:
    """A symbolic link has no rule of its own: what it leads to has one, or is shut."""
    try:
        yield directory, not node
        for name in os.listdir(directory) if node else ():
            yield from _entry(directory, name, node.get(name))
    finally:
        os.close(directory)


def _entry(directory: int, name: str, node: Tree | None) -> Iterator[tuple[int, bool]]:
    if node == {}:
        return
    try:
        fd = os.open(name, LISTABLE if node else ANY, dir_fd=directory)
    except OSError:
        return  # gone since it was listed, or shut to this account anyway
    if node:
        yield from _walk(fd, node)
        return
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            yield fd, True
    finally:
        os.close(fd)


def _tree(shut: Iterable[str]) -> Tree:
    """The paths as nested names, an empty leaf for what is shut; of two that lie in each other only the outer one."""
    root: Tree = {}
    outermost: list[str] = []
    for path in sorted(shut):
        if any(_is_below(path, above) for above in outermost):
            continue
        outermost.append(path)
        node = root
        for part in path.strip("/").split("/"):
            node = node.setdefault(part, {})
    return root


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _is_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
