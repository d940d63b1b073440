"""Frames on control's side: like interface/client.py, for an event loop, with bounds. File descriptors come close-on-exec."""

from __future__ import annotations

import array
import asyncio
import json
import select
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from jupyter_guardrails.control.closing import close_all
from jupyter_guardrails.control.interface.client import MAX_FDS
from jupyter_guardrails.errors import BadRequest

__all__ = ["close_all", "encode", "has_hung_up", "receive", "send"]
T = TypeVar("T")
MAX_REQUEST_BYTES = 4 << 20
HALF_A_CHARACTER = "a text in the request holds half a character (a lone surrogate)"


async def receive(connection: socket.socket, *, limit_bytes: int = MAX_REQUEST_BYTES) -> tuple[dict[str, Any], list[int]]:
    """One request and its file descriptors, or BadRequest; EOFError when the peer ended first."""
    fds: list[int] = []
    try:
        (length,) = struct.unpack(">I", await _exactly(connection, 4, fds))
        if length > limit_bytes:
            raise BadRequest(
                f"a request of {length} bytes is too long",
                next_step=f"ask for less at a time (fewer columns or values): at most {limit_bytes:,} bytes",
            )
        return _object(await _exactly(connection, length, fds)), fds
    except BaseException:
        close_all(fds)
        raise


def encode(message: dict[str, Any]) -> bytes:
    """One frame's bytes."""
    body = json.dumps(message, allow_nan=False).encode()
    return struct.pack(">I", len(body)) + body


async def send(connection: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Write one frame that `encode` made, with file descriptors at its first byte."""
    if fds:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        sent = await _when_ready(connection, lambda: connection.sendmsg([data], rights), writing=True)
        data = data[sent:]
    await asyncio.get_running_loop().sock_sendall(connection, data)


def has_hung_up(connection: socket.socket) -> bool:
    """Whether the other end is closed: nobody would hear an answer."""
    poll = select.poll()
    poll.register(connection, 0)  # an end that is closed shows whatever one asks for
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest("the request is not a JSON object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


async def _exactly(connection: socket.socket, count: int, fds: list[int]) -> bytes:
    data = bytearray()

    def more() -> bytes:
        return _take(connection, count - len(data), fds)

    while len(data) < count:
        part = await _when_ready(connection, more, writing=False)
        if not part:
            raise EOFError("the peer closed the connection")
        data += part
    return bytes(data)


def _take(connection: socket.socket, count: int, fds: list[int]) -> bytes:
    space = socket.CMSG_SPACE(4 * MAX_FDS)
    part, ancillary, flags, _ = connection.recvmsg(min(count, 1 << 16), space, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.extend(array.array("i", payload[: len(payload) - len(payload) % 4]))
    if flags & socket.MSG_CTRUNC or len(fds) > MAX_FDS:
        raise BadRequest(f"more than {MAX_FDS} file descriptors came with a request")
    return part


async def _when_ready(connection: socket.socket, attempt: Callable[[], T], *, writing: bool) -> T:
    """What `attempt` returns once the socket lets it; the event loop has no `recvmsg` of its own (Python 3.13)."""
    while True:
        try:
            return attempt()
        except (BlockingIOError, InterruptedError):
            await _ready(connection, writing=writing)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _ready(connection: socket.socket, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
    add(connection.fileno(), _settle, ready)
    try:
        await ready
    finally:
        remove(connection.fileno())
