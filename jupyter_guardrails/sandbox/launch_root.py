"""A root directory of a process's own, in which only what it may reach exists: no socket, no secret and no name of anything else.

Landlock alone leaves connecting to unix sockets by path, changing modes, and the names of all files open (Linux 6.18, version 7).
Three steps, since the last may happen in another mount namespace than the first: `find` opens what is to be shown, `copies` takes copies of those
mounts, `assemble` puts them below a directory that then becomes the root (`pivot`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

from . import launch_mounts as mounts
from .launch_mounts import NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY

PROC, SHARED_MEMORY, TERMINALS, TERMINAL_MASTER, TEMPORARY = "/proc", "/dev/shm", "/dev/pts", "/dev/ptmx", "/tmp"
ALREADY = (PROC, SHARED_MEMORY, TERMINALS, TERMINAL_MASTER)  # made anew, not copied
KERNEL_SETTINGS = ("sys", "sysrq-trigger", "irq", "bus")  # of /proc: their modes alone let root change the machine, without any capability
STANDARD = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
PLACES = ("/tmp", "/run", "/mnt", "/var")  # any directory will do: what is made on it is seen by nobody else
LINKS_MOST = 40  # as the kernel itself (path_resolution(7))
FLAGS = {"read": READ_ONLY | NO_SUID | NO_DEVICES, "write": NO_SUID | NO_DEVICES, "device": NO_SUID | NO_EXEC}
STRENGTH = {"read": 0, "device": 1, "write": 1}


class View(NamedTuple):
    """What exists in the root: paths as for Landlock; `names` exist as directories, with what is shown below them in them and nothing else."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    devices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    temporary: str | None = None  # the directory that shows as /tmp as well
    covers: tuple[tuple[str, str], ...] = ()  # (file, the file in whose place it shows)
    shm_bytes: int | None = None  # None: half of the machine's memory, as Linux has it
    terminal: bool = False  # it runs on a terminal of the machine's, so it needs those
    fresh_proc: bool = True  # only with a process namespace of its own


class Shown(NamedTuple):
    """One path without symbolic links, held by an O_PATH descriptor."""

    path: str
    handle: int
    rights: str
    elsewhere: bool = False  # what it holds lies at another path, so nothing below this path comes with it


class Tree(NamedTuple):
    """A copy of the mounts at a path, nowhere yet."""

    path: str
    copy: int
    is_folder: bool


class Found(NamedTuple):
    """What of a view exists, the symbolic links on the way to it, and what doesn't exist."""

    shown: list[Shown]
    links: dict[str, str]
    missing: list[str]


def find(view: View) -> Found:
    """Open everything that is to be shown. Descriptors are the caller's, who ends or execs soon."""
    found = Found([], {}, [])
    wanted = [("read", view.read), ("write", view.write), ("device", view.devices)]
    for rights, paths in wanted:
        for path in paths:
            if not _is_within(path, ALREADY):
                look_up(found, path, rights)
    for source, target in view.covers:
        cover(found, os.open(source, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW), target)
    if view.temporary and not any(_is_within(TEMPORARY, (path,)) for path in view.write):
        found.shown.append(Shown(TEMPORARY, os.open(view.temporary, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW), "write", True))
    return found


def look_up(found: Found, path: str, rights: str) -> None:
    """Add one path, or note that it isn't there (or lies where this account can't go, which is the same to it)."""
    try:
        real = follow(path, found.links)
        found.shown.append(Shown(real, os.open(real, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW), rights))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        found.missing.append(path)


def cover(found: Found, handle: int, target: str) -> None:
    """Show a file in the place of another one, where there is one."""
    with suppress(FileNotFoundError):
        found.shown.append(Shown(follow(target, found.links), handle, "read", elsewhere=True))


def follow(path: str, links: dict[str, str]) -> str:
    """The path without symbolic links; those on the way are added to `links` (place -> text), so that the path works in the new root too."""
    done, rest, count = "/", _parts(path), 0
    while rest:
        step = os.path.normpath(os.path.join(done, rest.pop()))
        try:
            text = os.readlink(step)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: no link
                raise
            done = step
            continue
        links[step] = text
        count += 1
        if count > LINKS_MOST:
            raise FileNotFoundError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        done = "/" if text.startswith("/") else done
        rest.extend(_parts(text))
    return done


def follow_known(path: str, links: dict[str, str]) -> str:
    """The same from links noted before, without a look at the file system."""
    done, rest = "/", _parts(path)
    for _ in range(len(links) * LINKS_MOST + path.count("/") + 1):
        if not rest:
            break
        step = os.path.normpath(os.path.join(done, rest.pop()))
        text = links.get(step)
        done = step if text is None else "/" if text.startswith("/") else done
        rest.extend(_parts(text or ""))
    return done


def copies(shown: list[Shown]) -> list[Tree]:
    """Copies of the mounts, parents first; what lies below something shown with the same rights comes with it."""
    trees: list[Tree] = []
    kept: dict[str, int] = {}
    for one in sorted(shown, key=lambda one: (one.path, -STRENGTH[one.rights])):
        strength = STRENGTH[one.rights]
        if not one.elsewhere and any(kept.get(above, -1) >= strength for above in (one.path, *_above(one.path))):
            continue
        if not one.elsewhere:
            kept[one.path] = strength
        copy = mounts.copy_tree(one.handle)
        mounts.set_attributes(copy, FLAGS[one.rights])
        trees.append(Tree(one.path, copy, stat.S_ISDIR(os.fstat(one.handle).st_mode)))
    return trees


def assemble(root: str, view: View, trees: list[Tree], links: dict[str, str]) -> None:
    """Put everything below `root`, a mount that is seen by this mount namespace alone, and let nobody write into it."""
    tops = tuple(tree.path for tree in trees)
    for place, text in links.items():
        if not _is_within(place, tops):
            _link(root, place, text)
    for name in view.names:
        os.makedirs(root + name, exist_ok=True)
    only_names: set[str] = set()
    for tree in trees:
        _keep_out_of_temporary(root, tree.path, trees, only_names)
        _make_place(root + tree.path, is_folder=tree.is_folder)
        mounts.put(tree.copy, root + tree.path)
    for folder in only_names:
        mounts.set_attributes(folder, READ_ONLY | NO_SUID | NO_DEVICES, recursive=False)
    _make_devices(root, view)
    _make_proc(root, fresh=view.fresh_proc)
    mounts.set_attributes(root, READ_ONLY | NO_SUID, recursive=False)


def enter(view: View) -> list[str]:
    """All of it in this very process, which has a mount namespace of its own; what was not found."""
    found = find(view)
    trees = copies(found.shown)
    mounts.set_propagation(mounts.MS_PRIVATE)
    root = next(place for place in PLACES if os.path.isdir(place))
    mounts.mount("tmpfs", root, options="mode=755,size=4m")
    assemble(root, view, trees, found.links)
    mounts.pivot(root)
    return found.missing


def _keep_out_of_temporary(root: str, path: str, trees: list[Tree], done: set[str]) -> None:
    """Where what is shown lies below /tmp, the folders on the way to it are names only: what is written beside it must not seem to be there."""
    top = root + "/".join(path.split("/")[:3])
    if not path.startswith(TEMPORARY + "/") or top in (root + path, *done) or all(tree.path != TEMPORARY for tree in trees):
        return
    try:
        os.mkdir(top)
    except FileExistsError:  # from an earlier start; never a link that a program put there since
        if not stat.S_ISDIR(os.lstat(top).st_mode):
            raise
    mounts.mount("tmpfs", top, options="mode=755,size=1m")
    done.add(top)


def _make_devices(root: str, view: View) -> None:
    os.makedirs(root + SHARED_MEMORY, exist_ok=True)
    size = "" if view.shm_bytes is None else f",size={max(view.shm_bytes, 1)}"  # tmpfs takes 0 for no limit
    mounts.mount("tmpfs", root + SHARED_MEMORY, options=f"mode=1777{size}")
    os.makedirs(root + TERMINALS, exist_ok=True)
    if view.terminal:
        mounts.put(mounts.copy_tree(TERMINALS), root + TERMINALS)
    else:
        mounts.mount("devpts", root + TERMINALS, flags=NO_SUID | NO_EXEC, options="newinstance,ptmxmode=0666,mode=0620")
    _link(root, TERMINAL_MASTER, "pts/ptmx")
    for name, text in STANDARD.items():
        _link(root, f"/dev/{name}", text)


def _make_proc(root: str, *, fresh: bool) -> None:
    os.makedirs(root + PROC, exist_ok=True)
    if fresh:
        mounts.mount("proc", root + PROC, flags=NO_SUID | NO_DEVICES | NO_EXEC)
    else:
        mounts.put(mounts.copy_tree(PROC), root + PROC)
    for name in KERNEL_SETTINGS if os.getuid() == 0 else ():
        with suppress(FileNotFoundError):
            _freeze(f"{root}{PROC}/{name}")


def _freeze(path: str) -> None:
    """Nothing below a path can be changed any more."""
    copy = mounts.copy_tree(path)
    mounts.set_attributes(copy, READ_ONLY | NO_SUID | NO_DEVICES)
    mounts.put(copy, path)
    os.close(copy)


def _make_place(path: str, *, is_folder: bool) -> None:
    """An empty file or directory to put a mount on; inside a tree that was put down before, it is there already."""
    if os.path.lexists(path):
        return
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o000))  # without the mount it must not read as an empty file


def _link(root: str, place: str, text: str) -> None:
    os.makedirs(os.path.dirname(root + place), exist_ok=True)
    with suppress(FileExistsError):
        os.symlink(text, root + place)


def _parts(path: str) -> list[str]:
    """The components, last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _above(path: str) -> list[str]:
    """Every directory above a path, the root left out."""
    found = []
    while (path := os.path.dirname(path)) != "/":
        found.append(path)
    return found


def _is_within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)
