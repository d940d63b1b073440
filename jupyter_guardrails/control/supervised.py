"""Starting a process with descriptors handed over as systemd does: from number 3 on, named, for that very process."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from jupyter_guardrails.control.descriptor_store import FIRST


@dataclass(frozen=True, slots=True)
class Child:
    """A child of this process; `handle` is a pidfd, the caller's to close."""

    pid: int
    handle: int

    def signal(self, number: int) -> None:
        """Send a signal; nothing when it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def wait(self) -> int:
        """Its exit code once it has ended, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def begin(command: Sequence[str], notify: str, store: Sequence[tuple[str, int]]) -> Child:
    """Start `command` with copies of the stored descriptors. Only for a process with a single thread."""
    pid = os.fork()
    if pid == 0:
        try:
            _become(command, notify, store)
        finally:
            os._exit(127)  # never back into the parent's stack
    return Child(pid, os.pidfd_open(pid))


def _become(command: Sequence[str], notify: str, store: Sequence[tuple[str, int]]) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # first out of the way, then each to its place: a place may be another one's number now
    above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST + len(store)) for _, fd in store]
    for place, fd in enumerate(above, FIRST):
        os.dup2(fd, place)
    names = ":".join(name for name, _ in store)
    told = {"NOTIFY_SOCKET": notify, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(store)), "LISTEN_FDNAMES": names}
    os.execve(command[0], list(command), {**os.environ, **told})
