"""The relay between network namespaces: one connection that ends badly never harms another."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading

import pytest

# The relay ends with its parent, so a process of its own stands between it and the tests.
PARENT = """
import socket, sys
from jupyter_guardrails.sandbox.relay import fork_relay
fork_relay({int(sys.argv[2]): socket.socket(fileno=int(sys.argv[1]))})
sys.stdin.read()
"""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def relayed():
    """A server that does what a connection's first byte says, and the address at which the relay offers it."""
    server, front = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    command = [sys.executable, "-c", PARENT, str(front.fileno()), str(server.getsockname()[1])]
    parent = subprocess.Popen(command, pass_fds=(front.fileno(),), stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()})
    yield front.getsockname()
    parent.stdin.close()
    parent.wait(10)
    front.close()
    server.close()


def serve(server: socket.socket) -> None:
    """`e`: send back what comes, piece by piece. `r`: wait for another byte, then reset the connection."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    with connection:
        order = connection.recv(1)
        if order == b"r":
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            return
        while data := connection.recv(100):
            connection.sendall(data)


def echo(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"e")
        connection.sendall(b"one")
        first = connection.recv(100)
        connection.sendall(b"two")  # comes when the relay already waits
        return first + connection.recv(100)


def be_reset(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection, contextlib.suppress(ConnectionResetError):
        connection.sendall(b"r")
        connection.sendall(b"x")
        assert connection.recv(1) == b""  # an end or a reset: either is what the server did


def test_it_carries_both_ways(relayed):
    assert echo(relayed) == b"onetwo"


def test_connections_live_on_after_others_were_reset(relayed):
    """A closed descriptor's number is soon another connection's: whatever still waited on it would end that one."""
    for _ in range(20):
        be_reset(relayed)
        assert [echo(relayed) for _ in range(3)] == [b"onetwo"] * 3
