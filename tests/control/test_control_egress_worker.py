"""The worker that carries kernels' connections: hardened, started again when it dies, ended with its control."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from data_world import DataWorld, Loop

from jupyter_guardrails.control import egress, egress_process, hardening
from jupyter_guardrails.control.interface.messages import Forward

pytestmark = pytest.mark.slow  # left out of `make test-fast`

REFUSED = b"GET http://a.example/ HTTP/1.1\r\n\r\n"


@pytest.fixture
def served(tmp_path):
    """A world, its loop, the proxy's address and handle."""
    world, loop = DataWorld(tmp_path), Loop()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    handle = loop.run(egress.serve(world.state(), world.kernel(), listener.detach()))
    yield world, loop, address, handle
    loop.run(world.state().egress.stop())
    loop.close()
    world.close()


def talk(address, data=REFUSED):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(data)
        found = b""
        while part := connection.recv(1 << 16):
            found += part
    return found


def ended(pid, within_s):
    deadline = time.monotonic() + within_s
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # not a child of this test: it has no event that could be awaited
    return not Path(f"/proc/{pid}/cmdline").exists()


def test_the_worker_is_another_process_and_hardened(served):
    world, _, address, _ = served
    assert talk(address).startswith(b"HTTP/1.1 403 ")
    pid = world.state().egress.pid
    assert pid not in (0, os.getpid())
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            os.listdir(f"/proc/{pid}/fd")
        return
    held = [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]  # of one that is closed meanwhile its own path
    assert not any("records" in place or "audit" in place for place in held)
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", Path(f"/proc/{pid}/limits").read_text()).groups()
    assert int(soft) == min(int(hard), hardening.MOST_DESCRIPTORS)
    assert "TOKEN" not in Path(f"/proc/{pid}/environ").read_text()


def test_a_worker_that_dies_is_replaced_and_the_listener_handed_over_again(served):
    world, _, address, _ = served
    assert talk(address).startswith(b"HTTP/1.1 403 ")
    before = world.state().egress.pid
    idle = socket.create_connection(address, timeout=20)
    idle.sendall(b"GET ")
    os.kill(before, signal.SIGKILL)
    assert talk(address).startswith(b"HTTP/1.1 403 ")  # it waited in the listener's queue
    assert world.state().egress.pid != before
    (record,) = world.audited("network.proxy")
    assert "started again" in record["reason"]
    assert not record["allowed"]


def test_a_listener_of_one_place_is_handed_over_again_as_that(served):
    world, loop, _, _ = served
    listener = socket.create_server(("127.64.0.1", 0))
    address, live = listener.getsockname(), world.kernel()
    live.admission.forwards.append(Forward(address=address[0], host="db.example.com", port=address[1]))
    handle = loop.run(egress.serve_forward(world.state(), live, listener.detach()))
    assert talk(address, b"") == b""
    os.kill(world.state().egress.pid, signal.SIGKILL)
    assert talk(address, b"") == b""
    loop.run(handle.close())
    refused = [(record["resource"], record["allowed"]) for record in world.audited("network.connect")]
    assert refused == [(f"db.example.com:{address[1]}", False)] * 2  # the first at once, the second counted and told at the end


def test_a_stuck_worker_holds_up_no_end_of_a_lease(served):
    world, loop, address, handle = served
    assert talk(address).startswith(b"HTTP/1.1 403 ")
    stuck = world.state().egress.pid
    os.kill(stuck, signal.SIGSTOP)
    begun = time.monotonic()
    loop.run(handle.close())
    assert time.monotonic() - begun < egress_process.STUCK_S, "it waits for no end of the stuck one"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    assert ended(stuck, 15)  # and with it what it still carried


def test_the_worker_ends_with_its_control(served):
    world, loop, address, _ = served
    assert talk(address).startswith(b"HTTP/1.1 403 ")
    pid = world.state().egress.pid
    loop.run(world.state().egress.stop())
    assert ended(pid, 5)
