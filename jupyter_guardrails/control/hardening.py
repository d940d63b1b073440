"""Process attributes of control: others of the same uid can't read its memory, and it ends with whoever started it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
from pathlib import Path

from jupyter_guardrails.errors import Conflict, GuardrailsError

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
MOST_DESCRIPTORS = 1 << 16
_libc = ctypes.CDLL(None, use_errno=True)


def not_dumpable() -> None:
    """No ptrace, no /proc/PID/mem, no core file for others of this uid (prctl(2), PR_SET_DUMPABLE)."""
    _prctl(PR_SET_DUMPABLE, 0)


def no_new_privileges() -> None:
    """Nothing that this process starts gains rights by a file's set-user-ID bit or capabilities (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def many_descriptors() -> None:
    """As many open files as this process may have, within reason: the usual 1,024 are 30 kernels with 32 listeners each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def end_with_parent() -> int:
    """A pidfd of whoever started this process: readable when that one has ended, also by SIGKILL.

    PR_SET_PDEATHSIG covers the time before an event loop watches the pidfd. It is not enough: the kernel checks it like a signal from the
    parent, so a parent in a Landlock domain that scopes signals (as the launcher becomes) dies without it (seen on Linux 6.18).
    """
    parent = os.getppid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    handle = os.pidfd_open(parent)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
    return handle


def hold_lock(state_dir: Path) -> int:
    """An fd that keeps a second control out of this state directory for as long as it is open; Conflict when there is one already."""
    path = state_dir / "control.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if error.errno != errno.EWOULDBLOCK:
            raise
        raise Conflict(
            f"another control (process {holder}) already serves {state_dir}",
            next_step="use that one, end it, or give this one another --state-dir",
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise GuardrailsError(f"prctl({option}) failed: {os.strerror(number)}", next_step="control does not run without it")
