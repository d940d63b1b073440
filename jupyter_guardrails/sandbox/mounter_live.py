"""What a kernel that runs sees of data is changed from outside: a folder of its own gets a mount for each dataset granted later, and loses it again.

The order says what is to be there, not what to do: it may be repeated, and it is the same after control was started again. Landlock's rule for
the folder covers what is mounted beneath it (a walk up from a file leaves a mount by the place it is mounted on; Linux 5.13 to 6.18).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from jupyter_guardrails.sandbox import launch_mounts as mounts
from jupyter_guardrails.sandbox.beneath import open_beneath
from jupyter_guardrails.sandbox.launch_mounts import NO_DEVICES, NO_SUID, READ_ONLY

ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks, newlines and backslashes in mountinfo
SHUT = "guardrails-shut"  # what shows in the place of a folder that was taken away: an empty one would read as no data
NOT_A_MOUNT = "this kernel sees it as a part of a folder that it sees anyway"


class Mounted(NamedTuple):
    """A mount of the kernel's: its number, that of the one it is on, its place there, and where it comes from."""

    number: int
    on: int
    place: str
    source: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One dataset's place on this machine, as control saw it; `at`: where the kernel is to see it."""

    at: str
    path: str
    file: tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class Order:
    """`live`: what is to be seen below `folder` by name; `own`: at its own place, where it was at the start; `shut`: no longer there."""

    folder: str
    live: tuple[Wanted, ...]
    own: tuple[Wanted, ...]
    shut: tuple[Wanted, ...]

    @classmethod
    def read(cls, body: dict[str, Any]) -> Order:
        """The order as control sent it; ValueError for a name that leads elsewhere."""
        folder = body["folder"]
        live = tuple(Wanted(_below(folder, one["name"]), one["path"], tuple(one["file"])) for one in body["live"])
        own, shut = (tuple(Wanted(one["path"], one["path"], tuple(one["file"])) for one in body[name]) for name in ("own", "shut"))
        return cls(folder, live, own, shut)


def _below(folder: str, name: str) -> str:
    if not name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name!r} can't be the name of a folder")
    return f"{folder}/{name}"


def carry_out(order: Order, *, folder: int, root: int, enter: Callable[[Callable[[], Any]], Any]) -> dict[str, str]:
    """Make it so; place -> why not, for each that could not be.

    `folder`: an O_PATH descriptor of the folder as it is here; `root`: of what every kernel's root is.
    `enter` does something inside the kernel's namespaces, in a child, and gives what it returned.
    """
    proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    taken: dict[str, Any] = enter(lambda: _take_away(order, proc, folder, root))
    failed: dict[str, str] = taken["failed"]
    for name in taken["gone"]:
        _forget(folder, name)
    there = set(taken["there"])
    for wanted in (*order.live, *order.own):
        if wanted.at not in there:
            with _told(failed, wanted.at):
                _bring(order, wanted, folder=folder, enter=enter)
    return failed


@contextmanager
def _told(failed: dict[str, str], place: str) -> Iterator[None]:
    """What goes wrong with one dataset is told, and keeps none of the others away."""
    try:
        yield
    except OSError as error:
        failed[place] = error.strerror or str(error)
    except ValueError as error:
        failed[place] = str(error)


def _seen(proc: int) -> list[Mounted]:
    """Inside: the kernel's mounts. `proc`: this machine's /proc, since in that of the kernel this process may not be."""
    mountinfo = os.open("self/mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as lines:
        return [_mounted(line) for line in lines]


def _mounted(line: str) -> Mounted:
    before, _, after = line.partition(" - ")
    number, on, _, _, place = before.split(" ")[:5]
    return Mounted(int(number), int(on), ESCAPED.sub(lambda code: chr(int(code[1], 8)), place), after.split(" ")[1])


def _take_away(order: Order, proc: int, folder: int, root: int) -> dict[str, Any]:
    """Inside: let go of what is not to be there any more, or is another file by now; what then is mounted."""
    seen = _seen(proc)
    base = _require_the_kernel(order.folder, seen, folder, root)
    failed: dict[str, str] = {}
    gone: list[str] = []
    wanted = {one.at: one.file for one in order.live}
    for mounted in seen:
        if mounted.on == base and _file_at(mounted.place) != wanted.get(mounted.place):
            with _told(failed, mounted.place):
                _detach(mounted.place)
                gone.append(os.path.relpath(mounted.place, order.folder))
    sources = {one.place: one.source for one in seen}
    for one in order.own:
        if sources.get(one.path) == SHUT:
            with _told(failed, one.path):
                _detach(one.path)
    for one in order.shut:
        if sources.get(one.path) != SHUT:
            with _told(failed, one.path):
                _shut(one, is_mount=one.path in sources)
    return {"failed": failed, "gone": gone, "there": [one.place for one in _seen(proc)]}


def _shut(one: Wanted, *, is_mount: bool) -> None:
    if is_mount:
        _detach(one.path)
    if _file_at(one.path) == one.file:
        raise ValueError(NOT_A_MOUNT)
    if is_mount and os.path.isdir(one.path):
        mounts.mount("tmpfs", one.path, flags=READ_ONLY | NO_SUID | NO_DEVICES, options="mode=000,size=4k", name=SHUT)


def _require_the_kernel(path: str, seen: list[Mounted], folder: int, root: int) -> int:
    """The number of its folder's mount. Control is told by the server which process a kernel is and which folder is its: only a process whose
    root we have made, and that sees this folder, is one."""
    base = next((one.number for one in seen if one.place == path), None)
    if base is None or not os.path.samestat(os.stat("/"), os.fstat(root)) or not os.path.samestat(os.stat(path), os.fstat(folder)):
        raise PermissionError("that process is not the kernel of this folder")
    return base


def _bring(order: Order, wanted: Wanted, *, folder: int, enter: Callable[[Callable[[], Any]], Any]) -> None:
    handle = open_beneath("/", wanted.path.lstrip("/"), os.O_PATH, no_symlinks=True)
    try:
        now = os.fstat(handle)
        if (now.st_dev, now.st_ino) != wanted.file:
            raise ValueError("it is another file than the one that was granted")
        if wanted in order.live:
            _make_place(folder, os.path.relpath(wanted.at, order.folder), is_folder=stat.S_ISDIR(now.st_mode))
        copy = mounts.copy_tree(handle)
    finally:
        os.close(handle)
    try:
        mounts.set_attributes(copy, READ_ONLY | NO_SUID | NO_DEVICES, propagation=mounts.MS_PRIVATE)
        enter(lambda: _put(copy, wanted.at))
    finally:
        os.close(copy)


def _make_place(folder: int, name: str, *, is_folder: bool) -> None:
    """An empty folder or file to put the mount on, from here: the kernel sees its folder read-only. A link from the start gives way."""
    inside, last = _open_above(folder, name, make=True)
    try:
        _clear(folder, name)
        if is_folder:
            os.mkdir(last, 0o000, dir_fd=inside)  # without the mount it must not read as no data
        else:
            os.close(os.open(last, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o000, dir_fd=inside))
    finally:
        os.close(inside)


def _clear(folder: int, name: str) -> None:
    """What was a place before goes, if it is empty; OSError for a folder with other datasets in it."""
    inside, last = _open_above(folder, name)
    try:
        found = os.stat(last, dir_fd=inside, follow_symlinks=False)
        os.rmdir(last, dir_fd=inside) if stat.S_ISDIR(found.st_mode) else os.unlink(last, dir_fd=inside)
    except FileNotFoundError:
        pass
    finally:
        os.close(inside)


def _forget(folder: int, name: str) -> None:
    """A place and the folders above it go as far as they are empty: they would look like data."""
    with suppress(OSError):
        while name:
            _clear(folder, name)
            name = os.path.dirname(name)


def _open_above(folder: int, name: str, *, make: bool = False) -> tuple[int, str]:
    """A descriptor of the folder that a place is in, the caller's to close, and its name there; without a link on the way."""
    *above, last = name.split("/")
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    inside = os.open(".", flags, dir_fd=folder)
    for part in above:
        try:
            if make:
                _make_folder(inside, part)
            below = os.open(part, flags, dir_fd=inside)
        finally:
            os.close(inside)
        inside = below
    return inside, last


def _make_folder(inside: int, name: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=inside)


def _put(copy: int, place: str) -> None:
    """Inside: by descriptor, so that no link that somebody puts on the way leads elsewhere."""
    target = open_beneath("/", place.lstrip("/"), os.O_PATH, no_symlinks=True)
    try:
        mounts.put(copy, target)
    finally:
        os.close(target)


def _detach(place: str) -> None:
    """Inside: no longer there for whoever opens something from now on; what is open stays so."""
    parent = open_beneath("/", os.path.dirname(place).lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY, no_symlinks=True)
    try:
        os.fchdir(parent)
        mounts.detach(os.path.basename(place))
    finally:
        os.chdir("/")
        os.close(parent)


def _file_at(place: str) -> tuple[int, int] | None:
    try:
        found = os.stat(place, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
