"""One conversation with the broker, over the socket that only this kernel's processes can reach.

Frames are a 4-byte big-endian length and UTF-8 JSON: `{v, id, op, args}` out, `{id, ok, result}` or `{id, ok: false, error}` back;
a file descriptor comes with the first byte of an answer (SCM_RIGHTS).
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from guarded.errors import GuardedError, Unavailable, from_answer

MAX_FRAME_BYTES = 16 << 20
MAX_QUESTION_BYTES = 1 << 16
MAX_FDS = 8
TIMEOUT_S = 60.0


class Channel:
    """A connection of this process, made at the first call; safe to use from several threads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._sent = 0

    def call(self, op: str, *, timeout_s: float = TIMEOUT_S, send: Sequence[int] = (), **args: Any) -> tuple[dict[str, Any], list[int]]:
        """The result and the file descriptors that came with it (the caller closes them); raises a GuardedError. `send`: what goes along."""
        with self._lock, ExitStack() as undo:
            undo.callback(self._drop)  # an interrupted conversation would hand the next call this one's answer
            answer, fds = self._exchange(op, args, timeout_s, send)
            undo.pop_all()
        if not answer.get("ok"):
            _close(fds)
            raise from_answer(answer.get("error") or {})
        return answer.get("result") or {}, fds

    def _exchange(self, op: str, args: dict[str, Any], timeout_s: float, fds: Sequence[int]) -> tuple[dict[str, Any], list[int]]:
        self._sent += 1
        request = {"v": 1, "id": self._sent, "op": op, "args": args}
        try:
            connection = self._send(_frame(request), timeout_s, fds)
            answer, fds = _receive(connection)
        except (OSError, EOFError, ValueError) as error:
            raise Unavailable(f"the data broker does not answer: {error}", next_step="save your work and restart the kernel") from error
        if answer.get("id") != self._sent:
            raise Unavailable("the data broker answered another question", next_step="run the cell again")
        return answer, fds

    def _send(self, frame: bytes, timeout_s: float, fds: Sequence[int]) -> socket.socket:
        """Send on the open connection, or once on a new one when the broker was restarted in between."""
        if self._socket is not None:
            try:
                self._socket.settimeout(timeout_s)
                _send_all(self._socket, frame, fds)
                return self._socket
            except (BrokenPipeError, ConnectionResetError):
                self._drop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._socket.connect("\0" + self.address[1:] if self.address.startswith("@") else self.address)
        _send_all(self._socket, frame, fds)
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _send_all(connection: socket.socket, frame: bytes, fds: Sequence[int]) -> None:
    """The frame, with descriptors at its first byte."""
    if fds:
        sent = connection.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        frame = frame[sent:]
    connection.sendall(frame)


def _frame(message: dict[str, Any]) -> bytes:
    """The frame of a question; GuardedError for one that the broker would hang up on."""
    body = json.dumps(message).encode()
    if len(body) > MAX_QUESTION_BYTES:
        said = f"what is asked takes {len(body):,} bytes, and a question has at most {MAX_QUESTION_BYTES:,}"
        raise GuardedError(said, next_step="name fewer columns, or fewer values in a filter, at a time")
    return struct.pack(">I", len(body)) + body


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One answer and its file descriptors; EOFError when the broker went away."""
    fds: list[int] = []
    with ExitStack() as undo:
        undo.callback(_close, fds)
        (length,) = struct.unpack(">I", _receive_exactly(connection, 4, fds))
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"an answer of {length} bytes is too long")
        answer = json.loads(_receive_exactly(connection, length, fds))
        undo.pop_all()
    return answer, fds


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _receive_exactly(connection: socket.socket, count: int, fds: list[int]) -> bytes:
    data = b""
    while len(data) < count:
        part, ancillary, _, _ = connection.recvmsg(min(count - len(data), 1 << 20), socket.CMSG_SPACE(4 * MAX_FDS), socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.extend(array.array("i", payload[: len(payload) - len(payload) % 4]))
        if not part:
            raise EOFError("it closed the connection")
        data += part
    return data
