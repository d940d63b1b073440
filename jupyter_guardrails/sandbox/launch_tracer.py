"""The process that hears of each traced call, notes what it names, and says go on. It decides nothing: what it reads may change before the
kernel looks at it again, so this is a record and not a wall. Runs like the shim (`python -I -S launch.py FD launch_tracer`).

A process of its own, since a thread of the server would make every open() wait for the server's interpreter. It answers first and thinks
later: it only copies what a call names, and what that means is found out when no call has come for a moment, since an import is a burst of
opens, and each would wait for the thought about the one before. When the server is gone it goes on answering until the last traced process ended.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from typing import Any, NoReturn

from . import launch_trace as trace
from .launch_inputs import Recorder
from .launch_libc import OtherMemory
from .launch_seen import Judge, Named

RECV, SEND, SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104  # _IOWR('!', 0, 80 bytes), _IOWR('!', 1, 24 bytes), _IOW('!', 4, 8 bytes)
SYNC_WAKE_UP, CONTINUE = 1, 1
NOTIFICATION = struct.Struct("QIIiIQ6Q")  # id, thread, flags, call, architecture, instruction, arguments
ANSWER = struct.Struct("QqiI")
PATH_BYTES, SHORT_BYTES, ADDRESS_BYTES, PAGE = 4096, 256, 128, 4096
AT_FDCWD = -100
WAITING, MANY, KNOWN = 4096, 2048, 16384  # named things that wait to be looked at, and so many that they wait no longer; hashes of those that were
QUIET_S, LATEST_S = 0.05, 0.5  # without a call it thinks, or when something has waited for so long: some programs are never quiet
PART = 16  # so many are looked at before it is asked whether there is a call
BATCH, BATCH_BYTES, FLUSH_S = 64, 16 << 10, 0.2  # of paths: a message must fit into a socket's buffer, escaped
LAST_S, UNTOLD = 10.0, 4  # for each message once nobody waits for an answer any more, and the exit code where that was not enough
Heard = tuple[str, int, bytes, bytes, float]  # what a call wants, its flags, a folder, a path that may begin there (or an address), and when it came


def run(fd: int) -> NoReturn:
    """Wait for the listener on the socket, then record until the last traced process has ended."""
    starter = socket.socket(fileno=fd)
    _, fds, _, _ = socket.recv_fds(starter, 16, 2, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        os._exit(0)  # the start failed
    with os.fdopen(fds[1], "rb") as memory:
        memory.seek(0)
        lists = json.load(memory)
    judge = Recorder(**lists) if "told" in lists else Judge(**lists)
    gc.disable()  # nothing here goes round in circles, and to look for that costs most where calls come in a burst
    os._exit(0 if Tracer(fds[0], starter, judge).record() else UNTOLD)


class Tracer:
    """One listener. Memory is bounded: what doesn't fit is counted, as is what could not be read."""

    def __init__(self, listener: int, starter: socket.socket, judge: Judge) -> None:
        self._listener, self._starter, self._judge = listener, starter, judge
        self._calls = trace.numbers()
        self._files = {number: (call.wants, call.places[0][1], call.flags or 0) for number, call in self._calls.items() if _names_one_file(call)}
        self._memory = OtherMemory(PAGE)
        self._buffer = bytearray(NOTIFICATION.size)
        self._empty = bytes(NOTIFICATION.size)
        self._known: dict[int, None] = {}
        self._waiting: deque[Heard] = deque()
        self._batch: list[tuple[str, str, bool, float]] = []
        self._lost = self._unread = self._heard = 0
        self._flushed_at = 0.0
        self._late = False
        signal.signal(signal.SIGALRM, lambda *_: None)  # it interrupts
        starter.setblocking(False)

    def record(self) -> bool:
        """Until the listener hangs up, which is when nobody is left who could call; False where not all that was found could be told then."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            events = poll.poll(0 if self._waiting else FLUSH_S * 1000 if self._unsaid() else None)
            if events and not events[0][1] & select.POLLIN:
                break
            if events and not self._is_late():
                self._answer_all()
            elif events:
                self._answer()
            if self._waiting and (not events or self._is_late()):
                self._look()
            self._flush_if_due()
        while self._waiting:
            self._look()
        self._starter.settimeout(LAST_S)
        while self._unsaid() and self._flush():
            pass
        return not self._unsaid()

    def _is_late(self) -> bool:
        """Whether something waited to be looked at for so long, or so much, that it can't wait for a quiet moment: so until nothing waits."""
        self._late = bool(self._waiting) and (self._late or len(self._waiting) > MANY or time.monotonic() - self._waiting[0][-1] > LATEST_S)
        return self._late

    def _answer_all(self) -> None:
        """Until no call has come for a moment. A clock interrupts the wait for the next one: to ask before each whether there is one costs
        as much as the answer."""
        self._wake(SYNC_WAKE_UP)
        signal.setitimer(signal.ITIMER_REAL, QUIET_S, QUIET_S)
        try:
            heard = -1
            while heard != self._heard and not self._is_late():
                heard = self._heard
                while self._answer() and len(self._waiting) <= MANY:
                    pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._wake(0)

    def _wake(self, flags: int) -> None:
        """Whether caller and recorder take turns on one processor; not while this thinks, or a caller waits for it there (since Linux 6.6)."""
        with suppress(OSError):
            fcntl.ioctl(self._listener, SET_FLAGS, flags)

    def _answer(self) -> bool:
        """One call; False where none came before the clock, or a caller was killed."""
        self._buffer[:] = self._empty  # Linux refuses a buffer that holds anything
        try:
            fcntl.ioctl(self._listener, RECV, self._buffer, True)
        except OSError:
            return False
        self._heard += 1
        identifier, thread, _, number, _, _, *arguments = NOTIFICATION.unpack(self._buffer)
        try:
            found = self._file(number, thread, arguments) or self._named(self._calls[number], thread, arguments)
        except Exception:  # noqa: BLE001 - whatever it was: the call must be answered, and is counted as one that could not be read
            found = None
        if not self._go_on(identifier):
            return True  # it was gone before this answer: what was read may have been another process's
        if found is None:
            self._unread += 1
        elif len(self._waiting) < WAITING:
            self._waiting += found
        else:
            self._lost += len(found)
        return True

    def _go_on(self, identifier: int) -> bool:
        """Let the caller go on; False where it is gone. The clock may interrupt this too, where another thread of the caller is in the way."""
        while True:
            try:
                fcntl.ioctl(self._listener, SEND, ANSWER.pack(identifier, 0, 0, CONTINUE))
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return False
                raise
            return True

    def _file(self, number: int, thread: int, arguments: list[int]) -> tuple[Heard, ...]:
        """What nearly all calls name, in little time: one file, by an absolute path that is not long. Empty for all others."""
        if number not in self._files:
            return ()
        wants, where, flags = self._files[number]
        pointer = arguments[where]
        text = self._memory.read(thread, pointer, min(SHORT_BYTES, PAGE - pointer % PAGE))
        return ((wants, arguments[flags], b"", text, time.monotonic()),) if text.startswith(b"/") and b"\0" in text else ()

    def _named(self, call: trace.Call, thread: int, arguments: list[int]) -> list[Heard]:
        """What the call names, read from the caller's memory while it waits."""
        if call.wants == "address":
            pointer, length = (arguments[index or 0] for index in call.places[0])
            return self._address(thread, self._memory.read(thread, pointer, min(length, ADDRESS_BYTES)))
        flags = struct.unpack("Q", self._memory.read(thread, arguments[2], 8))[0] if call.wants == "openat2" else arguments[call.flags or 0]
        return [(call.wants, flags, *self._place(thread, arguments, *place), time.monotonic()) for place in call.places]

    def _address(self, thread: int, address: bytes) -> list[Heard]:
        """Whether the caller's own processes listen there is seen while it waits: later they may be gone."""
        named = Named("address", b"", address)
        if hash(named) in self._known or not self._judge.is_own(thread, address):
            return [("address", 0, b"", address, time.monotonic())]
        self._is_new(named)
        return []

    def _place(self, thread: int, arguments: list[int], at: int | None, where: int) -> tuple[bytes, bytes]:
        path = self._text(thread, arguments[where])
        if path[:1] == b"/":
            return b"", path
        directory = AT_FDCWD if at is None else ctypes.c_int(arguments[at] & 0xFFFFFFFF).value
        link = f"/proc/{thread}/cwd" if directory == AT_FDCWD else f"/proc/{thread}/fd/{directory}"
        return os.fsencode(os.readlink(link)), path

    def _text(self, thread: int, pointer: int) -> bytes:
        """The bytes up to the first NUL. No read leaves its page, since the next one may not be there; the first is short, as most paths are."""
        text, size = b"", min(SHORT_BYTES, PAGE - pointer % PAGE)
        while len(text) < PATH_BYTES:
            part = self._memory.read(thread, pointer + len(text), size)
            found, end, _ = part.partition(b"\0")
            text += found
            if end or len(part) < size:
                break
            size = PAGE - (pointer + len(text)) % PAGE
        return text

    def _look(self) -> None:
        """Find out what some named things mean; what is worth telling waits for the next message."""
        for _ in range(min(PART, len(self._waiting))):
            wants, flags, base, where, at = self._waiting.popleft()
            kind = _kind(wants, flags)
            named = Named(kind, base, where if kind == "address" else where.partition(b"\0")[0])
            if kind and self._is_new(named):
                self._judge_of(named, at)
        if not self._waiting:
            self._judge.rest()

    def _is_new(self, named: Named) -> bool:
        """Whether it was not asked of this before; it is known from now on."""
        key = hash(named)
        if key in self._known:
            return False
        if len(self._known) >= KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[key] = None
        return True

    def _judge_of(self, named: Named, at: float) -> None:
        try:
            found = self._judge.look(named)
        except Exception:  # noqa: BLE001 - one strange path must not end the record; it is counted
            self._unread += 1
            return
        if found:
            self._batch.append((*found, at))

    def _unsaid(self) -> bool:
        return bool(self._batch or self._lost or self._judge.beyond)

    def _flush_if_due(self) -> None:
        if self._waiting or not self._unsaid():
            return
        now = time.monotonic()
        if len(self._batch) >= BATCH or now - self._flushed_at > FLUSH_S:
            self._flushed_at = now
            self._flush()

    def _flush(self) -> bool:
        """Say what is new, without waiting: a server that is slow holds up no kernel. True if the message went out."""
        count = self._portion()
        message: dict[str, Any] = {"items": self._batch[:count], "lost": self._lost + self._judge.beyond, "unread": self._unread}
        try:
            self._starter.send(json.dumps(message).encode())
        except (BlockingIOError, TimeoutError):
            return False
        except OSError:  # the starter is gone: nobody wants to know any more, but the kernel must be answered
            self._judge.forget()
            self._batch, self._lost = [], 0
            return False
        self._batch = self._batch[count:]
        self._lost = self._unread = self._judge.beyond = 0
        return True

    def _portion(self) -> int:
        """How many items go into one message: at least one, if there is any."""
        size, count = 0, 0
        for _, what, *_ in self._batch[:BATCH]:
            size, count = size + len(what), count + 1
            if size > BATCH_BYTES:
                break
        return count


def _names_one_file(call: trace.Call) -> bool:
    return call.wants in ("open", "read", "write", "entry") and len(call.places) == 1


def _kind(wants: str, flags: int) -> str:
    """The kind of a named thing; "" for an open that only makes a handle (O_PATH), which needs no right."""
    if wants not in ("open", "openat2"):
        return wants
    if flags & os.O_PATH:
        return ""
    if flags & os.O_CREAT:
        return "create"
    return "write" if flags & (os.O_ACCMODE | os.O_TRUNC) else "read"
