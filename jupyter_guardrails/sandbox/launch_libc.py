"""System calls that Python's standard library lacks, as functions that raise OSError."""

from __future__ import annotations

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.process_vm_readv.restype = ctypes.c_ssize_t

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 4, 36, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = 64  # more than any kernel has; the first unknown one ends the loop


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """The result of a raw system call (64-bit arguments); OSError where it is negative."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        raise failure(f"system call {number}")
    return result


def prctl(option: int, *arguments: int) -> None:
    """prctl(2) with up to four numbers."""
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) < 0:
        raise failure(f"prctl {option}")


def unshare(flags: int) -> None:
    """unshare(2): this process leaves the named namespaces for new ones."""
    if _libc.unshare(flags) < 0:
        raise failure("unshare")


def no_new_privileges() -> None:
    """From now on no set-uid program or file capability gives this process or its children anything."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities(*, keep: tuple[int, ...] = ()) -> None:
    """Give up all capabilities but `keep`, and the way back to them through exec as root."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _empty_bounding_set(keep)
    mask = sum(1 << capability for capability in keep)
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    if _libc.capset(header, struct.pack("6I", low, low, 0, high, high, 0)) < 0:
        raise failure("capset")


def _empty_bounding_set(keep: tuple[int, ...]) -> None:
    for capability in range(CAPABILITIES):
        try:
            if capability not in keep:
                prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            return  # EPERM: an ordinary account, which has none to lose; EINVAL: past the last one


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class OtherMemory:
    """Reads other processes' memory, at most `size` bytes at once; the buffer is made once, since a reader that is fast reads often."""

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self._bytes = memoryview(self._buffer).cast("B")
        self._ours, self._theirs = _Vector(ctypes.addressof(self._buffer), size), _Vector(0, 0)
        self._arguments = ctypes.byref(self._ours), 1, ctypes.byref(self._theirs), 1, 0

    def read(self, thread: int, pointer: int, size: int) -> bytes:
        """What is there, less where its memory ends; OSError where this process may not look."""
        self._theirs.base, self._theirs.length = pointer, size
        count: int = _libc.process_vm_readv(thread, *self._arguments)
        if count < 0:
            raise failure("process_vm_readv")
        return self._bytes[:count].tobytes()


def failure(what: str) -> OSError:
    """The error of the C call that has just failed."""
    number = ctypes.get_errno()
    return OSError(number, f"{os.strerror(number)} ({what})")
