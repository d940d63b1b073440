"""Carries TCP connections between two network namespaces: a listener made in one, connections made in the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import NoReturn

from jupyter_guardrails.sandbox.launch_libc import drop_capabilities, no_new_privileges

CHUNK_BYTES = 1 << 17
LOOPBACK = "127.0.0.1"
STARTING_S, RETRY_S = 1.0, 0.05  # less than clients that look whether it is there give it


def fork_relay(listeners: Mapping[int, socket.socket]) -> int:
    """Start a process that hands each connection of a listener to its port on the loopback of *this* network namespace; its pid.

    It ends with the process that calls this, and stays reachable by nobody: outside any Landlock domain entered later, without capabilities.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become_relay(parent, listeners)
    return child


def serve_received(parent: int, connection: socket.socket, ports: tuple[int, ...]) -> NoReturn:
    """Become the relay for listeners that arrive, in the order of `ports`, on a unix socket; ends with the process `parent`."""
    try:
        _, fds, _, _ = socket.recv_fds(connection, 64, len(ports))
        _become_relay(parent, {port: socket.socket(fileno=fd) for port, fd in zip(ports, fds, strict=True)})
    finally:
        os._exit(0)


def listen(port: int, *, address: str = LOOPBACK) -> socket.socket:
    """A listener in this network namespace; OSError where the port is taken or the address isn't this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=128)


def _become_relay(parent: int, listeners: Mapping[int, socket.socket]) -> NoReturn:
    try:
        no_new_privileges()
        drop_capabilities()
        _close_all_but(listeners)
        asyncio.run(_serve(parent, listeners))
    finally:
        os._exit(0)  # never back into the caller's stack


def _close_all_but(listeners: Mapping[int, socket.socket]) -> None:
    keep = sorted(listener.fileno() for listener in listeners.values())
    for after, before in zip([2, *keep], [*keep, 1 << 20], strict=True):
        os.closerange(after + 1, before)


async def _serve(parent: int, listeners: Mapping[int, socket.socket]) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(os.pidfd_open(parent), ended.set)
    servers = [asyncio.create_task(_accept(listener, port)) for port, listener in listeners.items()]
    await ended.wait()
    for server in servers:
        server.cancel()


async def _accept(listener: socket.socket, port: int) -> None:
    listener.setblocking(False)
    running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        task = asyncio.create_task(_carry(connection, port))
        running.add(task)
        task.add_done_callback(running.discard)


async def _carry(connection: socket.socket, port: int) -> None:
    with connection, contextlib.ExitStack() as stack:
        try:
            other = stack.enter_context(await _connected(port))
            for end in (connection, other):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A group ends the second pump before its socket closes: a reader left behind would starve the next connection with that number.
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(connection, other))
                pumps.create_task(_pump(other, connection))
        except* OSError:
            pass  # refused or reset: both ends are closed, which is what either side would have seen


async def _connected(port: int) -> socket.socket:
    """A connection to a port here; who comes before the server listens (it says "running" a moment earlier) waits a little."""
    deadline = asyncio.get_running_loop().time() + STARTING_S
    while True:
        made = socket.socket()
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, (LOOPBACK, port))
        except OSError as error:
            made.close()
            if not isinstance(error, ConnectionRefusedError) or asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(RETRY_S)
        else:
            return made


async def _pump(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, CHUNK_BYTES):
        await loop.sock_sendall(target, data)
    target.shutdown(socket.SHUT_WR)
