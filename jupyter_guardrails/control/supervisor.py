"""Keeps one's own control running: its parent, which starts it again when it dies, and keeps its descriptors meanwhile.

`python -I -m jupyter_guardrails.control.supervisor [--ready-fd=N] ARGUMENTS` runs `jupyter guardrails control ARGUMENTS`, to which it is what
systemd is to the service (see descriptor_store.py). It opens no policy, no records and no keys, and ends with whoever started it.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jupyter_guardrails.control import hardening
from jupyter_guardrails.control.descriptor_store import LISTENER
from jupyter_guardrails.control.supervised import Child, begin
from jupyter_guardrails.errors import ControlAway

log = logging.getLogger("jupyter_guardrails.control")
QUICK_S = 2.0  # whoever lives for less dies quickly
MOST_QUICK = 10  # in a row
PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)  # before another start, by the number of quick deaths
AWAY_S = 5.0  # so long callers wait in the queue of control's socket; then they are told
END_S = 8.0  # for a clean end
LOOK_S = 60.0
MOST_KEPT = 1 << 14
CREDENTIALS = struct.Struct("3i")
MOST_FDS = 253  # SCM_MAX_FD
AWAY = ControlAway(
    "control, which decides, has ended and is being started again",
    next_step="what runs goes on under its limits; try again in a moment, and if that doesn't help read the log where the server was started",
)


@dataclass
class Kept:
    """One descriptor of the store."""

    name: str
    fd: int


@dataclass
class Supervisor:
    """One control, over all its lives."""

    command: Sequence[str]
    ready_fd: int | None = None  # handed on until control has been ready
    parent: int | None = None  # a pidfd
    most_quick: int = MOST_QUICK
    away_s: float = AWAY_S
    kept: list[Kept] = field(default_factory=list)
    ready: bool = False  # it has been, once
    stopping: bool = False
    _answers: bool = False  # the control of now
    _since: float = 0.0  # when there was last one that answers

    def __post_init__(self) -> None:
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._notices.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._notices.bind("")  # an abstract address that the system chooses
        self._woken, waker = socket.socketpair()
        for end in (self._woken, waker):
            end.setblocking(False)
        self._waker = waker  # held for as long as this lives
        signal.signal(signal.SIGTERM, lambda *_: None)  # the byte that it writes is what is heard
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the launcher decides what it means
        signal.set_wakeup_fd(waker.fileno())

    def run(self) -> int:
        """Until control ends in good order, can't be started, or dies too often; its last exit code."""
        quick = 0
        while True:
            started = time.monotonic()
            code = self._live()
            if self.stopping or code == 0 or (code > 0 and not self.ready):
                return code
            quick = quick + 1 if time.monotonic() - started < QUICK_S else 0
            if quick >= self.most_quick:
                log.critical("control died %d times, each within %g s of its start, and is not started again: nothing new can start", quick, QUICK_S)
                return code
            log.error("control ended unasked (%s) and is started again: what runs goes on under its limits", _how(code))
            self._pause(PAUSES_S[min(quick, len(PAUSES_S) - 1)])

    def _live(self) -> int:
        """One life of control; its exit code, negative for a signal."""
        child = self._begin()
        try:
            while not self.stopping:
                heard = self._wait(child.handle, time.monotonic() + (LOOK_S if self._answers else self.away_s))
                self._hear(child)
                if child.handle in heard:
                    return child.wait()
            return self._end(child)
        finally:
            os.close(child.handle)

    def _begin(self) -> Child:
        if self._answers or not self._since:
            self._answers, self._since = False, time.monotonic()
        address = "@" + self._notices.getsockname()[1:].decode("ascii")
        said = [] if self.ready_fd is None else [f"--ready-fd={self.ready_fd}"]
        return begin([*self.command, *said], address, [(one.name, one.fd) for one in self.kept])

    def _pause(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while not self.stopping and time.monotonic() < until:
            self._wait(None, until)

    def _wait(self, child: int | None, until: float) -> set[int]:
        """Until something happens, or that time; what is to be read. Also notices the end of the parent, SIGTERM, and callers that wait too long."""
        poll = select.poll()
        listener = self._listener_of_a_dead_one()
        parent = None if self.stopping else self.parent  # readable for good
        for fd in (self._notices.fileno(), self._woken.fileno(), child, parent, listener):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        heard = {fd for fd, _ in poll.poll(1000 * max(0.0, until - time.monotonic()))}
        if self._woken.fileno() in heard:
            self.stopping = self.stopping or signal.SIGTERM in self._woken.recv(4096)
        self.stopping = self.stopping or parent in heard
        if listener in heard and listener is not None and self._notices.fileno() not in heard:  # it may just have said that it is back
            _turn_away(listener)
        return heard

    def _listener_of_a_dead_one(self) -> int | None:
        """Control's own socket, when nobody has answered on it for `away_s`; one that has never been ready is begun, not dead."""
        if self._answers or not self.ready or time.monotonic() - self._since < self.away_s:
            return None
        return next((one.fd for one in self.kept if one.name == LISTENER), None)

    def _hear(self, child: Child) -> None:
        """Everything that control has said so far."""
        for text, sender, fds in _messages(self._notices):
            if sender == child.pid:
                self._take(text, fds)
            for fd in fds:
                os.close(fd)

    def _take(self, text: str, fds: list[int]) -> None:
        said = dict(line.partition("=")[::2] for line in text.splitlines())
        name = said.get("FDNAME", "stored")[:255].replace(":", "_")
        if said.get("FDSTORE") == "1" and len(self.kept) < MOST_KEPT:
            self.kept += [Kept(name, fd) for fd in fds]
            fds.clear()
        if said.get("FDSTOREREMOVE") == "1":
            for one in [one for one in self.kept if one.name == name]:
                self.kept.remove(one)
                os.close(one.fd)
        if said.get("READY") == "1":
            self.ready = self._answers = True
            if self.ready_fd is not None:
                os.close(self.ready_fd)
                self.ready_fd = None

    def _end(self, child: Child) -> int:
        """Have it end in good order; whoever doesn't is killed."""
        child.signal(signal.SIGTERM)
        until = time.monotonic() + END_S
        while child.handle not in self._wait(child.handle, until):
            self._hear(child)
            if time.monotonic() >= until:
                log.error("control did not end within %g s and is killed", END_S)
                child.signal(signal.SIGKILL)
                break
        return child.wait()


def _messages(notices: socket.socket) -> Iterator[tuple[str, int, list[int]]]:
    """(text, process that sent it, descriptors) of what waits."""
    room = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(4 * MOST_FDS)
    while True:
        try:
            data, ancillary, _, _ = notices.recvmsg(4096, room, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        sender, fds = 0, list[int]()
        for _, kind, content in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds += struct.unpack(f"{len(content) // 4}i", content[: len(content) // 4 * 4])
            elif kind == socket.SCM_CREDENTIALS:
                sender = CREDENTIALS.unpack(content)[0]
        yield data.decode("utf-8", "replace"), sender, fds


def _turn_away(listener: int) -> None:
    """Tell one caller that control is away, in the frame that it waits for (see interface/client.py)."""
    body = json.dumps({"id": None, "ok": False, "error": AWAY.to_json()}).encode()
    with socket.socket(fileno=os.dup(listener)) as waiting, suppress(OSError):  # the caller has gone, or control is back and took it
        waiting.setblocking(False)
        connection, _ = waiting.accept()
        with connection:
            connection.setblocking(False)
            connection.send(struct.pack(">I", len(body)) + body)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def main(arguments: Sequence[str]) -> int:
    """As a program."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="guardrails control: %(levelname)s: %(message)s")
    hardening.not_dumpable()
    hardening.many_descriptors()
    parent = hardening.end_with_parent()
    ready = [int(argument.partition("=")[2]) for argument in arguments if argument.startswith("--ready-fd=")]
    rest = [argument for argument in arguments if not argument.startswith("--ready-fd=")]
    command = [sys.executable, "-I", "-m", "jupyter_guardrails", "control", "--die-with-parent"]
    return Supervisor([*command, *rest], ready[0] if ready else None, parent).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
