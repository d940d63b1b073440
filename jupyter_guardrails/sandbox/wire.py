"""Messages between the caller of a start and its shim: JSON over SOCK_SEQPACKET, in parts where it is long; specifications in sealed memory."""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

PART_BYTES = 1 << 16  # a message has to fit into the socket's buffer, 208 KiB by default
MAX_PARTS = 1024
MORE = b"+"  # before each part but the last; JSON of ours begins with a brace
MAX_MEMORY_BYTES = 64 << 20
MAX_FDS = 40  # of channel, proxy, forwards and tracer
CREDENTIALS = struct.Struct("3i")
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Told(NamedTuple):
    """A message of the shim, the process that sent it (by its number here, whatever it is in there), and what came with it."""

    body: dict[str, Any]
    pid: int
    fds: list[int]


def receive(ours: socket.socket) -> Told:
    """One whole message; an empty body when the other end was closed. OSError, ValueError when it can't be had."""
    whole = b""
    for _ in range(MAX_PARTS):
        data, pid, fds = _part(ours)
        whole += data.removeprefix(MORE)
        if not data.startswith(MORE):
            return Told(json.loads(whole) if data else {}, pid, fds)
    raise ValueError(f"a message of more than {MAX_PARTS} parts")


def send(ours: socket.socket, body: dict[str, Any]) -> None:
    """One message, in as many parts as it takes."""
    data = json.dumps(body).encode()
    while len(data) > PART_BYTES:
        ours.send(MORE + data[:PART_BYTES])
        data = data[PART_BYTES:]
    ours.send(data)


def send_spec(ours: socket.socket, spec: dict[str, Any]) -> None:
    """In sealed memory: neither the command line nor the environment of a process shows it to others."""
    send_in_memory(ours, spec)


def send_in_memory(ours: socket.socket, body: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """A message of any length as one packet, whoever else sends on the same socket: sealed memory, and more descriptors behind it."""
    memory = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(memory, "wb", closefd=False) as stream:
            stream.write(json.dumps(body).encode())
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
        socket.send_fds(ours, [b"memory"], [memory, *fds])
    finally:
        os.close(memory)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def receive_in_memory(ours: socket.socket, *, discard: Callable[[list[int]], None] = _close_all) -> tuple[dict[str, Any], list[int]]:
    """What `send_in_memory` sent, and the descriptors behind it, the caller's to close; an empty body when the other end was closed.

    ValueError for anything but sealed memory of a bounded size, and all of it goes to `discard`: what another account sent in its place
    may keep whoever reads or closes it waiting for ever.
    """
    data, fds, _, _ = socket.recv_fds(ours, len(b"memory"), MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return {}, []
    if not fds or not _is_sealed(fds[0]) or os.fstat(fds[0]).st_size > MAX_MEMORY_BYTES:
        discard(fds)
        raise ValueError("a message that is no sealed memory, or too much of it")
    with open(fds[0], "rb") as memory:
        memory.seek(0)
        body: dict[str, Any] = json.load(memory)
    return body, fds[1:]


def _is_sealed(fd: int) -> bool:
    try:
        return fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
    except OSError:  # no memory file
        return False


def _part(ours: socket.socket) -> tuple[bytes, int, list[int]]:
    room = socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(MAX_FDS * 4)
    data, ancillary, _, _ = ours.recvmsg(PART_BYTES + len(MORE), room, socket.MSG_CMSG_CLOEXEC)
    pid, fds = 0, array.array("i")
    for _, kind, content in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            pid = CREDENTIALS.unpack(content)[0]
        elif kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, pid, list(fds)
