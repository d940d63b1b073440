"""The kernel's only way out: in a real sandbox and on plain sockets here; with real servers behind it in egress_network.py."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from data_world import DataWorld, Loop

from jupyter_guardrails.control import channel, egress
from jupyter_guardrails.control.egress_relay import CHUNK_BYTES
from jupyter_guardrails.control.policies import PolicyHolder
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import SandboxSpec

pytestmark = pytest.mark.slow  # left out of `make test-fast`

INSIDE = Path(__file__).with_name("egress_network.py")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc")


@pytest.fixture
def loop(world):
    """Control's loop, with its egress worker ended at the end."""
    loop = Loop()
    yield loop
    loop.run(world.state().egress.stop())
    loop.close()


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    yield world
    world.close()


@pytest.fixture
def proxy(world, loop, monkeypatch, request):
    """The proxy's address and handle; `limits` are set before the worker hears of them."""
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setattr(egress, name, value)
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    served = loop.run(egress.serve(world.state(), world.kernel(), listener.detach()))
    yield address, served
    loop.run(served.close())


def talk(address, data):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(data)
        found = b""
        while part := connection.recv(1 << 16):
            found += part
    return found


def test_with_real_servers_behind_it(tmp_path):
    """Allowed and refused traffic, names, TLS: the tests of egress_network.py, in namespaces where they may make a network."""
    missing = [name for name in ("ip", "unshare", "mount", "curl") if shutil.which(name) is None]
    enough = not missing and subprocess.run(
        ["unshare", "-Urnm", "ip", "link", "add", "gr0", "type", "veth", "peer", "name", "gr1"], capture_output=True
    )
    if missing or enough.returncode:
        pytest.skip(f"a network of one's own needs {missing or enough.stderr.decode()}")
    command = ["unshare", "-Urnm", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/inside", str(INSIDE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_sandboxed_program_has_proxy_and_channel_and_nothing_else(world, loop, tmp_path):
    """Real listeners from a real network namespace: a refusal reads well inside, the channel answers, a direct connection fails."""
    program = textwrap.dedent("""
        import json, socket, struct, urllib.error, urllib.request
        out = {}
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://127.0.0.1:3128"})).open("http://packages.example.com/")
        except urllib.error.HTTPError as error:
            out["proxy"] = str(error)
        s = socket.socket(socket.AF_UNIX); s.connect("\\0gr-egress-test")
        body = json.dumps({"v": 1, "id": 1, "op": "datasets.path", "args": {"name": "nyc/flights"}}).encode()
        s.sendall(struct.pack(">I", len(body)) + body); out["channel"] = s.recv(65536)[4:].decode()
        try:
            socket.create_connection((HOST, PORT), 5); out["direct"] = "open"
        except OSError as error:
            out["direct"] = type(error).__name__
        print(json.dumps(out))
    """)
    outside = socket.create_server(("127.0.0.1", 0))
    host, port = outside.getsockname()
    program = program.replace("HOST", repr(host)).replace("PORT", str(port))
    spec = SandboxSpec(("/usr/bin/python3", "-I", "-c", program), {"PATH": "/usr/bin"}, "/", read=SYSTEM, proxy_port=3128, channel="gr-egress-test")
    started = start(spec, stdout=subprocess.PIPE, text=True)
    if len(started.fds) != 2:
        started.process.kill()
        pytest.skip("this host gives no network namespace")
    served = [
        loop.run(channel.serve(world.state(), world.kernel(), started.fds[0])),
        loop.run(egress.serve(world.state(), world.kernel(), started.fds[1])),
    ]
    said, _ = started.process.communicate(timeout=60)
    for one in served:
        closing = loop.call(one.close)
        loop.run(closing) if closing else None
    assert "403: guardrails: packages.example.com:80 is not on the approved network list (rule " in said.replace("Error 403", "403")
    assert str(world.data / "nyc/flights.parquet") in said
    assert '"direct": "open"' not in said
    assert '"direct"' in said
    assert [record["allowed"] for record in world.audited("network.connect")] == [False]


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\2\r\n\r\n", b"GET http://a.example/ HTTP/1.1\r\nX : y\r\n\r\n", b"CONNECT a.example HTTP/1.1\r\n\r\n"]
)
def test_malformed_requests_are_told_so(proxy, data):
    assert talk(proxy[0], data).startswith(b"HTTP/1.1 400 guardrails: ")


def test_an_endless_head_is_cut(proxy):
    assert talk(proxy[0], b"GET http://a.example/ HTTP/1.1\r\nX: " + b"y" * (CHUNK_BYTES + 10)).startswith(b"HTTP/1.1 400 guardrails: the head")


def test_a_refusal_cannot_be_made_to_write_header_lines(proxy):
    answer = talk(proxy[0], b"CONNECT a.example:443\tX:y HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\t" not in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("proxy", [{"MAX_CONNECTIONS": 3}], indirect=True)
def test_more_connections_than_allowed_are_turned_away_and_freed_again(proxy):
    address, _ = proxy
    idle = [socket.create_connection(address, timeout=20) for _ in range(3)]
    assert talk(address, b"GET http://a.example/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 guardrails: more than 3 connections")
    for connection in idle:
        connection.sendall(b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
        connection.close()
    assert talk(address, b"GET http://a.example/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("proxy", [{"HEAD_S": 0.05}], indirect=True)
def test_who_says_nothing_is_cut_off(proxy):
    assert talk(proxy[0], b"GET http://a.ex") == b""


def test_without_a_valid_policy_nothing_goes_out(world, loop):
    state = world.state()
    state.policies = PolicyHolder(world.policy_file)
    world.policy_file.write_text("apiVersion: guardrails/v1\nrules: [")
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    served = loop.run(egress.serve(state, world.kernel(), listener.detach()))
    assert talk(address, b"GET http://a.example/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 guardrails: ")
    loop.run(served.close())


def test_close_ends_listener_and_connections(proxy, loop):
    address, served = proxy
    idle = socket.create_connection(address, timeout=20)
    talk(address, b"x\r\n\r\n")  # accepted behind the idle one: the worker has both
    loop.run(served.close())
    assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


@pytest.mark.parametrize(
    "make", [lambda: os.open("/dev/null", os.O_RDONLY), lambda: socket.socket().detach(), lambda: socket.socketpair()[0].detach()]
)
def test_only_a_listening_internet_socket_is_served(world, loop, make):
    fd = make()
    with pytest.raises(BadRequest):
        loop.run(egress.serve(world.state(), world.kernel(), fd))
    for thread in [one for one in threading.enumerate() if one.name == "closing"]:
        thread.join(20)
    with pytest.raises(OSError):
        os.fstat(fd)
