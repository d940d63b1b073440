"""How everyone else talks to control: one typed request, one answer, over a unix socket.

Frames are a 4-byte big-endian length and UTF-8 JSON. A request is `{v, id, op, args, token}`, an answer `{id, ok, result}` or
`{id, ok: false, error: {code, message, next_step, rule}}`. File descriptors travel with the first byte of a frame (SCM_RIGHTS).
The principal is never in a request: control derives it itself. The token keeps kernels out in *own* mode, where they share control's
uid and Landlock does not mediate pathname unix sockets (Linux 6.18, ABI 7): they can reach the socket but never read the token.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import socket
import struct
import termios
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import content
from jupyter_guardrails.control.interface.messages import Admission, KernelAdmit, PackageVerify, Request, SubmissionCreate

MAX_FRAME_BYTES = 16 << 20
MAX_FDS = 40  # a kernel's channel, proxy and forwards come at once
AWAY_S = 10.0  # a control that has not even read a request by then is away; one that is started again needs about a second
OTHER_TOKEN = "the token is not the one of this control"
OUTSIDE = "only the launcher's own processes may speak to control"


class ControlClient:
    """Sends requests to control; safe to use from several threads, since each call has a connection of its own."""

    def __init__(self, socket_path: Path | str, token: str) -> None:
        self.socket_path = str(socket_path)
        self.token = token
        self.sends_contents = False  # a service opens no file of anybody's

    def call(self, request: Request, *, fds: Sequence[int] = ()) -> dict[str, Any]:
        """The answer's result; raises the error that control answered, or ControlAway."""
        result, received = self.call_with_fds(request, fds=fds)
        for fd in received:
            os.close(fd)
        return result

    def call_with_fds(self, request: Request, *, fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """Like `call`, with the file descriptors that came along; the caller closes them. Once more where control ended before its answer."""
        frame = {"v": 1, "id": 1, "op": request.op, "args": request.model_dump(mode="json"), "token": self.token}
        try:
            try:
                answer, received = self._exchange(frame, fds, timeout_s=request.timeout_s)
            except (ConnectionResetError, BrokenPipeError, EOFError):
                if not request.repeatable:
                    raise
                answer, received = self._exchange(frame, fds, timeout_s=request.timeout_s)
        except (OSError, EOFError) as error:
            raise errors.ControlAway(
                f"control does not answer at {self.socket_path}: {error}",
                next_step="running kernels go on; nothing new starts until control is back (see `jupyter guardrails doctor`)",
            ) from error
        if not answer.get("ok"):
            raise errors.from_json(answer.get("error", {}))
        return answer["result"], received

    def _exchange(self, frame: dict[str, Any], fds: Sequence[int], *, timeout_s: float) -> tuple[dict[str, Any], list[int]]:
        """One connection, one request, one answer; OSError or EOFError when there is none in time."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(min(AWAY_S, timeout_s))
            connection.connect(self.socket_path)
            try:
                send_frame(connection, frame, fds)
            except BrokenPipeError:  # an answer to somebody whose request nobody wanted to read
                return receive_frame(connection)
            _wait_until_read(connection, AWAY_S)
            connection.settimeout(timeout_s)
            return receive_frame(connection)

    def submit(self, request: SubmissionCreate) -> dict[str, Any]:
        """The submission of a job's notebooks. Control reads them; where it can't, being another account, their content goes along."""
        if not self.sends_contents:
            return self.call(request)
        limit = content.MAX_NOTEBOOK_BYTES
        with ExitStack() as opened:
            names = (request.notebook, *request.details.then)
            found = [opened.enter_context(open(content.open_notebook(Path(request.workspace), name, limit_bytes=limit), "rb")) for name in names]
            content.check_together([file.fileno() for file in found], limit_bytes=limit)
            return self._with_contents(request, found, limit)

    def verify(self, package: IO[bytes]) -> dict[str, Any]:
        """What control says of a package's zip: its names, digests, signatures, and whether it trusts them."""
        if self.sends_contents:
            return self._with_contents(PackageVerify(), [package], content.MAX_PACKAGE_BYTES)
        return self.call(PackageVerify(), fds=[package.fileno()])

    def _with_contents(self, request: Request, sources: Sequence[IO[bytes]], limit_bytes: int) -> dict[str, Any]:
        with ExitStack() as made:
            memory = list[int]()
            for source in sources:
                memory.append(content.sealed(source, limit_bytes=limit_bytes))
                made.callback(os.close, memory[-1])
            return self.call(request, fds=memory)

    def admit(self, request: KernelAdmit) -> Admission:
        """A decision and a lease for one kernel, or Refused / LimitReached / PolicyError."""
        return Admission.model_validate(self.call(request))


def _wait_until_read(connection: socket.socket, away_s: float) -> None:
    """Until the other side answers, or has begun to work on it; TimeoutError when in all this time it has not even read the request."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(away_s * 1000) and struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0] > 0:
        raise TimeoutError(f"nobody has read the request within {away_s:g} s")


def send_frame(connection: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Write one frame, with file descriptors at its first byte."""
    body = json.dumps(message).encode()
    data = struct.pack(">I", len(body)) + body
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = connection.sendmsg([data], rights)
    if sent < len(data):  # sending nothing to a peer that has answered and closed is EPIPE
        connection.sendall(data[sent:])


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one frame and the file descriptors that came with it; EOFError when the other side ended."""
    fds: list[int] = []
    header = _receive_exactly(connection, 4, fds)
    (length,) = struct.unpack(">I", header)
    if length > MAX_FRAME_BYTES:
        raise EOFError(f"a frame of {length} bytes is too long")
    return json.loads(_receive_exactly(connection, length, fds)), fds


def _receive_exactly(connection: socket.socket, count: int, fds: list[int]) -> bytes:
    data = b""
    while len(data) < count:
        part, ancillary, _, _ = connection.recvmsg(min(count - len(data), 1 << 20), socket.CMSG_SPACE(4 * MAX_FDS), socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.extend(array.array("i", payload[: len(payload) - len(payload) % 4]))
        if not part:
            raise EOFError("the other side closed the connection")
        data += part
    return data
