"""Mounts, as the calls that came with Linux 5.2 and 5.12 make them: a copy of a tree in hand, changed before anybody can see it, then put down."""

from __future__ import annotations

import ctypes
import os
import struct

from .launch_libc import _libc, failure, syscall

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the same numbers on x86-64 and aarch64
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x8000, 0x100
CLONE, CLOEXEC = 1, os.O_CLOEXEC
MOVE_FROM_EMPTY_PATH, MOVE_TO_EMPTY_PATH = 4, 0x40
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8  # MOUNT_ATTR_*, and MS_* too
MS_BIND, MS_RECURSIVE, MS_PRIVATE, MS_SLAVE, MNT_DETACH = 1 << 12, 1 << 14, 1 << 18, 1 << 19, 2
UMOUNT_NOFOLLOW = 8


def mount(kind: str, target: str, *, flags: int = NO_SUID | NO_DEVICES, options: str = "", name: str = "") -> None:
    """A new file system (`tmpfs`, `proc`, `devpts`); `name` stands in mountinfo for where it comes from."""
    _mount(name or kind, target, kind, flags, options)


def set_propagation(flag: int, target: str = "/") -> None:
    """MS_PRIVATE: mounts made below are nobody else's; MS_SLAVE: those of the machine still arrive."""
    _mount(None, target, None, flag | MS_RECURSIVE, "")


def bind_on_itself(directory: str) -> None:
    """Make a directory a mount of its own, so that it can become a root."""
    _mount(directory, directory, None, MS_BIND | MS_RECURSIVE, "")


def copy_tree(path: str | int) -> int:
    """A descriptor of a copy of the mounts at `path` (or at an O_PATH descriptor), which is nowhere yet."""
    if isinstance(path, int):
        return syscall(OPEN_TREE, path, b"\0", CLONE | CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH)
    return syscall(OPEN_TREE, AT_FDCWD, os.fsencode(path) + b"\0", CLONE | CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW)


def set_attributes(tree: int | str, flags: int, *, recursive: bool = True, propagation: int = 0) -> None:
    """Set MOUNT_ATTR flags of a tree in hand, or of the mount at a path; `propagation`: MS_PRIVATE, MS_SLAVE, or as it is."""
    attributes = struct.pack("QQQQ", flags, 0, propagation, 0)
    deep = AT_RECURSIVE if recursive else 0
    if isinstance(tree, int):
        syscall(MOUNT_SETATTR, tree, b"\0", AT_EMPTY_PATH | deep, attributes, len(attributes))
    else:
        syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(tree) + b"\0", deep, attributes, len(attributes))


def put(tree: int, target: str | int) -> None:
    """Put a tree down on an existing file or directory, named by its path or an O_PATH descriptor."""
    if isinstance(target, int):
        syscall(MOVE_MOUNT, tree, b"\0", target, b"\0", MOVE_FROM_EMPTY_PATH | MOVE_TO_EMPTY_PATH)
    else:
        syscall(MOVE_MOUNT, tree, b"\0", AT_FDCWD, os.fsencode(target) + b"\0", MOVE_FROM_EMPTY_PATH)


def detach(target: str) -> None:
    """Let a mount go with all that is mounted below it; what is open in it stays open."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) < 0:
        raise failure(f"umount of {target}")


def pivot(root: str) -> None:
    """`root` (a mount) becomes the root of every process of this mount namespace that was at the old one, which is let go."""
    os.chdir(root)
    syscall(PIVOT_ROOT[os.uname().machine], b".\0", b".\0")  # the old root now lies on top of the new one (pivot_root(2), Notes)
    if _libc.umount2(b".", MNT_DETACH) < 0:
        raise failure("umount of the old root")
    os.chdir("/")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str) -> None:
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
    if _libc.mount(*names, ctypes.c_ulong(flags), options.encode() or None) < 0:
        raise failure(f"mount {kind or 'bind'} on {target}")
