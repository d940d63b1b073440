"""The two wardens above a sandboxed process: they pass interrupts on, die with the server, and let nothing below them survive.

The outer warden is the process that the server knows; the inner one, in a group of its own where a killpg of the server's cannot reach it,
is the parent of the user's process. Both are child subreapers, so that a daemon that left its session is still found; whichever of the two
is killed, the other one sweeps. No PID namespace: over the host's /proc, psutil would answer for the wrong process.
"""

from __future__ import annotations

import os
import select
import signal
import struct
from contextlib import suppress
from typing import NamedTuple, NoReturn

from .launch_libc import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, prctl

FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT)
ENDING = (signal.SIGTERM, signal.SIGHUP)
PYTHON_IGNORES = (signal.SIGPIPE,)  # Python sets it to be ignored, which exec would hand on; SIGXFSZ too, and a refused write shall be an error
POLL_WITHOUT_PIDFD_MS = 1000


class Above(NamedTuple):
    """The process above a warden: `handle` is readable when it ends (-1: kernels before 5.3), `status` takes how the program ended,
    and `in_front` is whether all of it was in the foreground of the terminal."""

    pid: int
    handle: int
    status: int
    in_front: bool


class Inner(NamedTuple):
    """What the outer warden knows of the inner one: where it says how the program ended, and whether all else ends with it."""

    status: int
    enclosed: bool


class Warden:
    """Watches one child. Signals arrive as bytes of a pipe, so that one poll waits for them and for the end of the process above."""

    def __init__(self, above: int, *, terminal: bool, above_fd: int | None = None, in_front: bool = True) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._above = above
        self._above_fd = _pidfd(above) if above_fd is None else above_fd
        self._terminal = terminal
        self._in_front = in_front
        self._forwarded = () if terminal else FORWARDED  # on a terminal the child is in the foreground group and gets them itself
        self._ignored = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH) if terminal else ()
        self._wake, self._wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (*self._forwarded, *ENDING, signal.SIGCHLD):
            signal.signal(number, _noted)
        for number in self._ignored:
            signal.signal(number, signal.SIG_IGN)

    def fork_warden(self) -> tuple[int, int]:
        """`fork`, and a pipe between the two: (0, its writing end) in the child, (its number, the reading end) here."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        child = self.fork()
        os.close(write_end if child else read_end)
        return child, read_end if child else write_end

    def fork(self) -> int:
        """0 in the child, which has default signal handling and none of the warden's descriptors."""
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            for number in (*self._forwarded, *self._ignored, *ENDING, signal.SIGCHLD, *PYTHON_IGNORES):
                signal.signal(number, signal.SIG_DFL)
            for fd in (self._wake, self._wake_writer, *((self._above_fd,) if self._above_fd >= 0 else ())):
                os.close(fd)
        return child

    def watch(self, child: int, *, whole_group: bool, inner: Inner | None = None, tell: int | None = None) -> NoReturn:
        """Until the child ends or this is told to: then end everything below, and end the same way the child did.

        `inner`: the child is a warden itself; `tell`: where to write how the child ended, for the warden above.
        """
        prctl(PR_SET_DUMPABLE, 0)
        status, ended_by = self._ended(child, whole_group=whole_group, resume=self._terminal and tell is not None)
        if status is None and inner is not None:  # never the program itself: an interactive shell ignores SIGTERM
            status = _end_gently(child)  # the inner warden sweeps faster and better than we could from here
        if tell is not None and status is not None:
            os.write(tell, struct.pack("i", status))
        if inner is None or not inner.enclosed:
            _sweep()
        if self._terminal and self._in_front and inner is not None:
            take_terminal(os.getpgrp())
        _end_like(status if inner is None else _told(inner.status, status), ended_by)

    def _ended(self, child: int, *, whole_group: bool, resume: bool) -> tuple[int | None, int]:
        """The child's status, None where it runs on; and the signal that this was told to end by, or 0."""
        status, ended_by = None, 0
        while status is None and not ended_by:
            for number in self._signals():
                if number in ENDING:
                    ended_by = number
                elif number in self._forwarded:
                    _send(child, number, whole_group=whole_group)
            if self._orphaned():
                ended_by = signal.SIGTERM
            status = _reap(child, resume=resume)
        return status, ended_by

    def _signals(self) -> list[int]:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._above_fd >= 0:
            poll.register(self._above_fd, select.POLLIN)
        poll.poll(None if self._above_fd >= 0 else POLL_WITHOUT_PIDFD_MS)
        try:
            return list(os.read(self._wake, 512))
        except BlockingIOError:
            return []

    def _orphaned(self) -> bool:
        if self._above_fd < 0:
            return os.getppid() != self._above
        poll = select.poll()
        poll.register(self._above_fd, select.POLLIN)
        return bool(poll.poll(0))


def _noted(number: int, frame: object) -> None:
    """A handler must exist for the wake-up pipe to be written; the loop does the rest."""


def _pidfd(pid: int) -> int:
    """A descriptor that becomes readable when the process ends; -1 on kernels before 5.3. Unlike PDEATHSIG it follows no single thread."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        os._exit(0)  # what started us is gone already
    except OSError:
        return -1


def _send(child: int, number: int, *, whole_group: bool) -> None:
    """Once to the child's group, as a killpg from the server would have: subprocesses of a cell are interrupted with it."""
    with suppress(ProcessLookupError):
        if whole_group:
            with suppress(ProcessLookupError):  # no group of that number yet: it has not come to setsid
                os.killpg(child, number)
                return
        os.kill(child, number)


def _reap(child: int, *, resume: bool = False) -> int | None:
    """Collect every ended child; the status of the one that matters, if it was among them. `resume`: it goes on where Ctrl-Z stopped it."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | (os.WUNTRACED if resume else 0))
            if pid == 0:
                break
            if pid == child and os.WIFSTOPPED(status):
                _go_on(child, os.WSTOPSIG(status))
            elif pid == child:
                found = status
    return found


def _go_on(child: int, stopped_by: int) -> None:
    """In a process namespace no shell outside sees that it has stopped, and the terminal would answer nobody any more."""
    if stopped_by == signal.SIGTSTP and os.getpid() == 1:
        with suppress(OSError):
            os.write(2, b"\r\nguardrails: this can't be suspended, it goes on\r\n")
        _send(child, signal.SIGCONT, whole_group=True)


def is_in_front() -> bool:
    """Whether this process is in the foreground of its terminal: `command &` in a shell is not, and must not take it."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def take_terminal(group: int) -> None:
    """Put a process group into the foreground of the terminal that this runs on; nothing where it is the terminal's no more."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background group that asks for it is stopped otherwise
    with suppress(OSError):
        os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, before)


def _told(pipe: int, status: int | None) -> int | None:
    """How the program ended: the first process of a process namespace can't die by a signal of its own to pass that on."""
    with suppress(BlockingIOError):
        os.set_blocking(pipe, False)
        written = os.read(pipe, 4)
        return struct.unpack("i", written)[0] if len(written) == 4 else status
    return status


def _end_gently(child: int) -> int:
    os.kill(child, signal.SIGTERM)
    return os.waitpid(child, 0)[1]


def _sweep() -> None:
    """Kill and collect until there is no child left: the children of the killed become ours and are next."""
    left = True
    while left:
        for pid in children(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        left = _wait_for_one()


def _wait_for_one() -> bool:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        return False
    return True


def children(parent: int) -> list[int]:
    """Processes whose parent is `parent`, from /proc/*/stat (task/*/children needs a kernel option that many lack)."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent_of(pid) == parent]


def _parent_of(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
    return -1


def _end_like(status: int | None, ended_by: int) -> NoReturn:
    """Exit with the child's code, or die by its signal; by ours, where we ended it."""
    if not ended_by and status is not None and not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    number = ended_by or os.WTERMSIG(status or 0)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # only where that signal is blocked
