"""A second filter that stops nothing: the kernel tells a listener of each call that names a file or an address, and waits until it says go on.

Datagrams sent with sendmsg are left out: where their address lies, a filter cannot see, and the listener itself travels by such a message.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Literal, NamedTuple

from . import launch_seccomp as seccomp
from .launch_libc import syscall
from .launch_syscalls import Architecture

USER_NOTIF = 0x7FC00000
NEW_LISTENER, WAIT_KILLABLE_RECV = 1 << 3, 1 << 5  # the latter since Linux 5.19: an interrupt does not make the call start again
Kind = Literal["open", "openat2", "read", "write", "entry", "address"]
Place = tuple["int | None", int]  # arguments that hold the directory's descriptor and the path (or the address and its length)


class Call(NamedTuple):
    """A system call that may name something: its numbers (None = it does not exist there), what it wants, and which arguments say of what."""

    x86_64: int | None
    aarch64: int | None
    wants: Kind
    places: tuple[Place, ...]
    flags: int | None = None


CALLS = {
    "open": Call(2, None, "open", ((None, 0),), 1),
    "openat": Call(257, 56, "open", ((0, 1),), 2),
    "openat2": Call(437, 437, "openat2", ((0, 1),), 2),
    "creat": Call(85, None, "write", ((None, 0),)),
    "truncate": Call(76, 45, "write", ((None, 0),)),
    "execve": Call(59, 221, "read", ((None, 0),)),
    "execveat": Call(322, 281, "read", ((0, 1),)),
    "unlink": Call(87, None, "entry", ((None, 0),)),
    "unlinkat": Call(263, 35, "entry", ((0, 1),)),
    "rmdir": Call(84, None, "entry", ((None, 0),)),
    "mkdir": Call(83, None, "entry", ((None, 0),)),
    "mkdirat": Call(258, 34, "entry", ((0, 1),)),
    "mknod": Call(133, None, "entry", ((None, 0),)),
    "mknodat": Call(259, 33, "entry", ((0, 1),)),
    "symlink": Call(88, None, "entry", ((None, 1),)),
    "symlinkat": Call(266, 36, "entry", ((1, 2),)),
    "link": Call(86, None, "entry", ((None, 0), (None, 1))),
    "linkat": Call(265, 37, "entry", ((0, 1), (2, 3))),
    "rename": Call(82, None, "entry", ((None, 0), (None, 1))),
    "renameat": Call(264, 38, "entry", ((0, 1), (2, 3))),
    "renameat2": Call(316, 276, "entry", ((0, 1), (2, 3))),
    "connect": Call(42, 203, "address", ((1, 2),)),
    "sendto": Call(44, 206, "address", ((4, 5),)),
}


class Listener:
    """The descriptor on which the calls arrive, as something that has one and can be closed."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """Its number."""
        return self._fd

    def close(self) -> None:
        """Let go of it here."""
        os.close(self._fd)


def numbers(machine: str | None = None) -> dict[int, Call]:
    """The calls by their number on this (or the named) machine."""
    named = ((call.x86_64 if (machine or platform.machine()) == "x86_64" else call.aarch64, call) for call in CALLS.values())
    return {number: call for number, call in named if number is not None}


def install(*, directories: bool = True) -> Listener:
    """Put the filter on this thread and its future children; OSError where there is none, or another listener above (EBUSY).

    `directories`: opens that only a directory can answer are told, too.
    """
    instructions = _filter(seccomp.architecture(), os.O_PATH if directories else os.O_PATH | os.O_DIRECTORY)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in instructions))
    program = struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(code))
    number = seccomp.SYS_SECCOMP[platform.machine()]
    try:
        fd = syscall(number, seccomp.SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE_RECV, program)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fd = syscall(number, seccomp.SET_MODE_FILTER, NEW_LISTENER, program)
    return Listener(fd)


def start(listeners: list[Listener], *, directories: bool = True) -> str:
    """Add the listener to those that are handed over; "" or why nothing will be recorded."""
    try:
        listeners.append(install(directories=directories))
    except OSError as error:
        return str(error)
    return ""


def _filter(arch: Architecture, untold: int) -> list[tuple[int, int, int, int]]:
    """`untold`: flags of opens of which nothing is to be known; a handle (O_PATH) needs no right."""
    rules = []
    for number, call in numbers().items():
        body = [(seccomp.RETURN, 0, 0, USER_NOTIF)]
        if call is CALLS["sendto"]:
            body = _with_an_address()
        elif call.wants == "open":
            body = _without(call.flags or 0, untold)
        rules += [(seccomp.EQUAL, 0, len(body), number), *body]
    return [
        (seccomp.LOAD, 0, 0, seccomp.AUDIT_OFFSET),
        (seccomp.EQUAL, 1, 0, arch.audit),
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
        (seccomp.LOAD, 0, 0, seccomp.NUMBER_OFFSET),
        *rules,
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
    ]


def _without(argument: int, flags: int) -> list[tuple[int, int, int, int]]:
    """None of the flags stands in this argument."""
    return [
        (seccomp.LOAD, 0, 0, seccomp.ARGUMENTS_OFFSET + 8 * argument),
        (seccomp.ANY_BIT, 0, 1, flags),
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
        (seccomp.RETURN, 0, 0, USER_NOTIF),
    ]


def _with_an_address() -> list[tuple[int, int, int, int]]:
    """The pointer to it is not null: either half of the fifth argument."""
    low = seccomp.ARGUMENTS_OFFSET + 8 * 4
    return [
        (seccomp.LOAD, 0, 0, low + 4),
        (seccomp.EQUAL, 0, 2, 0),
        (seccomp.LOAD, 0, 0, low),
        (seccomp.EQUAL, 1, 0, 0),
        (seccomp.RETURN, 0, 0, USER_NOTIF),
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
    ]
