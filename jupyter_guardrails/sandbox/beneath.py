"""Open files that a path can't lead out of: openat2 with RESOLVE_BENEATH."""

from __future__ import annotations

import os
import struct

from jupyter_guardrails.sandbox.launch_libc import syscall

OPENAT2 = 437
NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 0x02, 0x04, 0x08
ATTEMPTS = 32  # EAGAIN: somebody renamed a directory on the way, so that the kernel could not be sure (openat2(2))


def open_beneath(root: int | str | os.PathLike[str], relative: str, flags: int, *, mode: int = 0, no_symlinks: bool = False) -> int:
    """A close-on-exec descriptor of `relative` below the directory `root` (descriptor or path).

    OSError EXDEV where the path would leave the root (.., absolute, symbolic link), ELOOP for any symbolic link with `no_symlinks`.
    """
    if isinstance(root, int):
        return _open(root, relative, flags, mode, no_symlinks)
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open(root_fd, relative, flags, mode, no_symlinks)
    finally:
        os.close(root_fd)


def _open(root_fd: int, relative: str, flags: int, mode: int, no_symlinks: bool) -> int:
    name = os.fsencode(relative)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    resolve = BENEATH | NO_MAGICLINKS | (NO_SYMLINKS if no_symlinks else 0)
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode if flags & (os.O_CREAT | os.O_TMPFILE) else 0, resolve)
    for _ in range(ATTEMPTS):
        try:
            return syscall(OPENAT2, root_fd, name, how, len(how))
        except BlockingIOError:
            continue
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), relative) from None
    raise BlockingIOError(f"{relative} keeps moving")
