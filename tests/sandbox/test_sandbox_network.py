"""Network: nothing but its own loopback, and the two listeners that are handed out."""

from __future__ import annotations

import os
import socket

import pytest

from jupyter_guardrails.sandbox.spec_check import MAX_FORWARDS

TCP = "socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2).close()"
SENDMMSG = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
s = socket.socket()
name = ctypes.create_string_buffer(struct.pack("=HH4s8x", 2, socket.htons(int(sys.argv[1])), socket.inet_aton("127.0.0.1")))
data = ctypes.create_string_buffer(b"x")
iov = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), 1))
message = ctypes.create_string_buffer(struct.pack("QIIQQQQIIIi", ctypes.addressof(name), 16, 0, ctypes.addressof(iov), 1, 0, 0, 0, 0, 0, 0))
if libc.sendmmsg(s.fileno(), message, 1, FLAGS) < 0:
    raise OSError(ctypes.get_errno(), "sendmmsg")
"""
FAST_OPEN = {
    "sendto": "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', int(sys.argv[1])))",
    "sendmsg": "socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', int(sys.argv[1])))",
    "sendmmsg": SENDMMSG.replace("FLAGS", "0x20000000"),
}
FAMILIES = {
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "UDP6": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "ICMP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)",
    "raw": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "packet": "socket.socket(17, socket.SOCK_RAW, 3)",
    "MPTCP": "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",
    "vsock": "socket.socket(40, socket.SOCK_STREAM)",
    "netlink audit": "socket.socket(16, socket.SOCK_RAW, 9)",
    "kernel crypto": "socket.socket(38, socket.SOCK_SEQPACKET)",
}
OWN_LOOPBACK = "s = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname()).close()\ns.accept()"


@pytest.fixture
def outside():
    """A listener of this machine's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_listener_of_the_machine_is_out_of_reach(sandbox, outside):
    assert sandbox.outcome(TCP, outside) == "ECONNREFUSED"  # its own loopback has no such port
    assert sandbox.outcome(TCP, outside, network="host") == "done"


def test_its_own_loopback_works(sandbox):
    assert sandbox.outcome(OWN_LOOPBACK) == "done"


@pytest.mark.parametrize("call", FAST_OPEN.values(), ids=FAST_OPEN)
def test_fast_open_is_refused(sandbox, outside, call):
    assert sandbox.outcome(call, outside) == "EPERM"


def test_the_sendmmsg_probe_works_where_it_may(sandbox, outside):
    """The twin of the above: without the flag the same call reaches the kernel's own check for a connection."""
    assert sandbox.outcome(SENDMMSG.replace("FLAGS", "0"), outside) == "EPIPE"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_other_kinds_of_sockets_are_refused(sandbox, family):
    assert sandbox.outcome(family) == "EAFNOSUPPORT"


@pytest.mark.parametrize(
    "family", ["socket.socket(socket.AF_UNIX)", "socket.socket()", "socket.socket(socket.AF_INET6)", "socket.socket(16, socket.SOCK_RAW, 0)"]
)
def test_ordinary_sockets_can_be_made(sandbox, family):
    assert sandbox.outcome(family) == "done"


def test_with_the_hosts_network_names_can_be_looked_up_but_packets_not_made(sandbox):
    assert sandbox.outcome(FAMILIES["UDP"], network="host") == "done"
    assert sandbox.outcome(FAMILIES["packet"], network="host") == "EAFNOSUPPORT"
    report = sandbox.python("pass", network="host").report
    assert "network" not in report.held()
    assert "files" in report.held()


def test_abstract_sockets_outside_are_out_of_reach(sandbox):
    name = f"guardrails-test-{os.getpid()}"
    connect = "socket.socket(socket.AF_UNIX).connect(chr(0) + sys.argv[1])"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        assert sandbox.outcome(connect, name) == "ECONNREFUSED"
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect("\0" + name)  # the name is right: from out here it works
    own = "s = socket.socket(socket.AF_UNIX)\ns.bind(chr(0) + 'own')\ns.listen()\nsocket.socket(socket.AF_UNIX).connect(chr(0) + 'own')"
    assert sandbox.outcome(own) == "done"


def test_as_many_forwards_as_may_be_are_handed_over_beside_channel_and_proxy(sandbox):
    forwards = tuple((f"127.64.0.{number}", 5432) for number in range(1, MAX_FORWARDS + 1))
    name = f"guardrails-many-{os.getpid()}"
    started = sandbox.start_python("pass", name, channel=name, proxy_port=3128, forwards=forwards)
    found = []
    for fd in started.fds[2:]:
        with socket.socket(fileno=os.dup(fd)) as listener:
            found.append(listener.getsockname())
    assert tuple(found) == forwards


def test_channel_proxy_and_forward_listeners_are_handed_over_in_that_order(sandbox):
    name = f"guardrails-test-{os.getpid()}"
    code = (
        "import socket, sys\na = socket.socket(socket.AF_UNIX)\na.connect(chr(0) + sys.argv[1])\na.sendall(b'channel')\n"
        "b = socket.create_connection(('127.0.0.1', 3128))\nb.sendall(b'proxy')\n"
        "c = socket.create_connection(('127.64.0.2', 22))\nc.sendall(b'ssh')\n"
        "d = socket.create_connection(('127.64.0.1', 5432))\nd.sendall(b'db')\nd.recv(1)"
    )
    started = sandbox.start_python(code, name, channel=name, proxy_port=3128, forwards=(("127.64.0.2", 22), ("127.64.0.1", 5432)))
    received = []
    for fd in started.fds:
        with socket.socket(fileno=os.dup(fd)) as listener:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(16))
    assert received == [b"channel", b"proxy", b"ssh", b"db"]
    assert started.process.wait(10) == 0
