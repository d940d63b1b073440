"""The proxy with real servers behind it. test_control_egress.py runs this file with pytest in namespaces where it may make a network:
control and the client in one, the servers in another behind a veth pair, and an /etc/hosts of its own for the names."""

import contextlib
import datetime
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from data_world import DataWorld, Loop

from jupyter_guardrails.control import egress, egress_process, policies
from jupyter_guardrails.control.interface.messages import Forward

LATEST_CUT_S = egress_process.FOLLOW_S + policies.SETTLE_S  # a look, and a file that is still being written; what a machine adds is not measured here

HERE, SERVER = "10.77.0.1", "10.77.0.2"
HOSTS = f"""\
127.0.0.1 localhost loop.example.com
{SERVER} packages.example.com other.example.com unlisted.example.com unnamed.example.com
169.254.169.254 meta.example.com
{HERE} own.example.com
10.77.0.9 absent.example.com
"""
POLICY = """\
apiVersion: guardrails/v1
rules:
  - name: out
    for: everyone
    network:
      allow:
        - {host: packages.example.com, port: "*", private: 10.77.0.0/24}
        - {host: absent.example.com, port: 80, private: 10.77.0.0/24}
        - {host: loop.example.com, port: "*", private: 0.0.0.0/0}
        - {host: meta.example.com, port: 80, private: 0.0.0.0/0}
        - {host: own.example.com, port: "*", private: 0.0.0.0/0}
        - unnamed.example.com:80
        - nowhere.example.com:80
        - {host: 10.77.0.2, port: 443, private: 10.77.0.0/24}
    deny: {network: ["packages.example.com:81"]}
"""
HTTP = b"GET http://%s/%s HTTP/1.1\r\nHost: x\r\n\r\n"


def certificate(path: Path) -> Path:
    """A self-signed certificate with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "packages.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("packages.example.com")]), critical=False).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Names, a second network namespace, and the servers in it; the certificate's path."""
    root = tmp_path_factory.mktemp("network")
    (root / "hosts").write_text(HOSTS)
    for command in (f"mount --bind {root / 'hosts'} /etc/hosts", "ip link set lo up", "ip link add gr0 type veth peer name gr1"):
        subprocess.run(command.split(), check=True)
    pem = certificate(root / "server.pem")
    program = [sys.executable, str(Path(__file__).with_name("egress_upstream.py")), SERVER, "gr1", str(pem)]
    servers = subprocess.Popen(["unshare", "-n", *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert servers.stdout.readline() == "namespace\n"
    for command in (f"ip link set gr1 netns {servers.pid}", f"ip addr add {HERE}/24 dev gr0", "ip link set gr0 up"):
        subprocess.run(command.split(), check=True)
    servers.stdin.write("\n")
    servers.stdin.flush()
    assert servers.stdout.readline() == "listening\n"
    yield pem
    servers.kill()
    servers.wait()


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path, POLICY)
    yield world
    world.close()


@pytest.fixture
def proxy(network, world, monkeypatch, request):
    """The proxy's address; limits are set before the worker hears of them."""
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setattr(egress, name, value)
    loop = Loop()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    served = loop.run(egress.serve(world.state(), world.kernel(), listener.detach()))
    yield address
    loop.run(served.close())
    loop.run(world.state().egress.stop())
    loop.close()


@pytest.fixture
def forward(network, world):
    """What a kernel's listener for `host:5432` leads to, in turn: `forward(host)` is a connection to it."""
    loop, served = Loop(), []

    def connect(host: str) -> socket.socket:
        listener = socket.create_server(("127.64.0.1", 5432))
        live = world.kernel()
        live.admission.forwards.append(Forward(address="127.64.0.1", host=host, port=5432))
        served.append(loop.run(egress.serve_forward(world.state(), live, listener.detach())))
        return socket.create_connection(("127.64.0.1", 5432), timeout=20)

    yield connect
    for one in served:
        loop.run(one.close())
    loop.run(world.state().egress.stop())
    loop.close()


def talk(address, data: bytes) -> bytes:
    """Everything that comes back."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(data)
        return read_all(connection)


def read_all(connection) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            found += part
    return found


def tunnel(address, place: str) -> socket.socket:
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 200 "), head
    return connection


def seen(address) -> list[str]:
    return json.loads(talk(address, HTTP % (b"packages.example.com", b"log")).partition(b"\r\n\r\n")[2])


def records(world, action, count):
    """That many audit records, waiting for the one that a closing connection writes."""
    deadline = time.monotonic() + 10
    while len(found := world.audited(action)) < count and time.monotonic() < deadline:
        time.sleep(0.01)  # the record has no event that a test could wait for
    return found


def test_a_plain_request_reaches_an_approved_host_and_is_recorded(proxy, world):
    answer = talk(proxy, HTTP % (b"packages.example.com", b"simple"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    got = json.loads(answer.partition(b"\r\n\r\n")[2])["got"]
    assert got == "GET /simple HTTP/1.1\r\nHost: packages.example.com\r\nConnection: close\r\n\r\n"
    (record,) = records(world, "network.connect", 1)
    assert (record["allowed"], record["principal"], record["resource"], record["kernel"]) == (True, "ana", "packages.example.com:80", "k-1")
    assert "guardrails.yaml:" in record["rule"]
    (counted,) = records(world, "network.bytes", 1)
    assert counted["reason"] == f"{len(got)} bytes sent, {len(answer)} bytes received"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (b"unlisted.example.com", "unlisted.example.com:80 is not on the approved network list"),
        (b"packages.example.com:81", "packages.example.com:81 is not on the approved network list"),
        (b"unnamed.example.com", "leads to 10.77.0.2, which is not public"),
        (b"loop.example.com", "which is loopback"),
        (b"meta.example.com", "which is link-local"),
        (b"own.example.com", "an address of this machine itself"),
        (b"127.0.0.1", "not on the approved network list"),
        (b"10.77.0.2", "not on the approved network list"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "tunnel"])
def test_what_is_refused_says_so_in_the_status_line(proxy, world, place, words, kind):
    with_port = place if b":" in place else place + b":80"
    data = HTTP % (place, b"") if kind == "plain" else b"CONNECT %s HTTP/1.1\r\n\r\n" % with_port
    line = talk(proxy, data).partition(b"\r\n")[0].decode()
    assert line.startswith("HTTP/1.1 403 guardrails: ")
    assert words in line
    assert "rule " in line
    assert any(not record["allowed"] and record["resource"] == with_port.decode() for record in world.audited("network.connect"))
    assert world.audited("network.bytes") == []


@pytest.mark.parametrize(("host", "status"), [(b"absent.example.com", b"502"), (b"nowhere.example.com", b"502")])
@pytest.mark.parametrize("proxy", [{"CONNECT_S": 1.0}], indirect=True)
def test_an_approved_host_that_is_not_there(proxy, host, status):
    assert talk(proxy, HTTP % (host, b"")).startswith(b"HTTP/1.1 %s guardrails: " % status)


def test_a_second_request_on_the_connection_goes_nowhere(proxy):
    before = len(seen(proxy))
    smuggled = b"GET http://packages.example.com/evil HTTP/1.1\r\nHost: other.example.com\r\n\r\n"
    assert talk(proxy, HTTP % (b"packages.example.com", b"first") + smuggled).count(b"HTTP/1.1 200") == 1
    after = seen(proxy)[before:]
    assert len(after) == 1
    assert "evil" not in after[0]


def test_bodies_by_length_and_in_chunks(proxy):
    post = b"POST http://packages.example.com/p HTTP/1.1\r\n%s\r\n\r\n%s"
    assert json.loads(talk(proxy, post % (b"Content-Length: 5", b"hello")).partition(b"\r\n\r\n")[2])["got"].endswith("\r\n\r\nhello")
    chunks = b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
    got = json.loads(talk(proxy, post % (b"Transfer-Encoding: chunked", chunks)).partition(b"\r\n\r\n")[2])["got"]
    assert got.endswith("\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"3\r\nhello\r\n0\r\n\r\n", b"-1\r\n", b"fffffffff\r\n"])
def test_malformed_chunks_end_the_request(proxy, chunks):
    answer = talk(proxy, b"POST http://packages.example.com/p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 400 guardrails: a chunk")


def test_a_tunnel_carries_tls_for_its_host(network, proxy, world):
    context = ssl.create_default_context(cafile=str(network))
    with context.wrap_socket(tunnel(proxy, "packages.example.com:443"), server_hostname="packages.example.com") as secure:
        data = os.urandom(1 << 20)
        secure.sendall(data)
        found = b""
        while len(found) < len(data):
            found += secure.recv(1 << 16)
        assert found == data
    (record,) = records(world, "network.bytes", 1)
    sent, received = (int(word) for word in record["reason"].split() if word.isdigit())
    assert min(sent, received) > len(data)


@pytest.mark.parametrize("name", ["other.example.com", None])
def test_a_tunnel_for_another_name_is_cut(proxy, world, name):
    context = ssl._create_unverified_context()
    with pytest.raises(ssl.SSLError, match=r"(?i)access.denied"):
        context.wrap_socket(tunnel(proxy, "packages.example.com:443"), server_hostname=name)
    refused = [record for record in records(world, "network.connect", 2) if not record["allowed"]]
    assert f"names {name or 'no host'}, not packages.example.com" in refused[0]["reason"]


def test_an_approved_address_needs_no_name(proxy):
    context = ssl._create_unverified_context()
    with context.wrap_socket(tunnel(proxy, f"{SERVER}:443")) as secure:
        secure.sendall(b"ping")
        assert secure.recv(4) == b"ping"


def test_plain_http_inside_a_tunnel_is_cut(proxy):
    before = len(seen(proxy))
    connection = tunnel(proxy, "packages.example.com:80")
    connection.sendall(b"GET /evil HTTP/1.1\r\nHost: other.example.com\r\n\r\n")
    assert b"a tunnel carries TLS only" in read_all(connection)
    assert len(seen(proxy)) == before


def test_a_big_answer_comes_whole_and_others_are_served_meanwhile(proxy):
    slow = socket.create_connection(proxy, timeout=20)
    slow.sendall(HTTP % (b"packages.example.com", b"big"))
    assert talk(proxy, HTTP % (b"packages.example.com", b"quick")).startswith(b"HTTP/1.1 200")
    assert len(read_all(slow).partition(b"\r\n\r\n")[2]) == 8 << 20


def test_a_policy_that_changes_holds_for_the_next_connection(proxy, world):
    assert talk(proxy, HTTP % (b"packages.example.com", b"")).startswith(b"HTTP/1.1 200")
    world.policy_file.write_text(POLICY.replace("host: packages.example.com", "host: gone.example.com"))
    assert talk(proxy, HTTP % (b"packages.example.com", b"")).startswith(b"HTTP/1.1 403")


def test_a_policy_that_takes_a_host_away_cuts_its_tunnels_within_two_seconds(proxy, world):
    context = ssl._create_unverified_context()
    with context.wrap_socket(tunnel(proxy, "packages.example.com:443"), server_hostname="packages.example.com") as secure:
        secure.sendall(b"ping")
        assert secure.recv(4) == b"ping"
        world.policy_file.write_text(POLICY.replace("host: packages.example.com", "host: gone.example.com"))
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
            assert secure.recv(1) == b""
    assert LATEST_CUT_S < 2
    cut = [record for record in world.audited("network.connect") if not record["allowed"]]
    assert [record["resource"] for record in cut] == ["packages.example.com:443"]
    assert "the policy has changed" in cut[0]["reason"]


def test_a_policy_that_keeps_a_host_keeps_its_tunnels(proxy, world):
    context = ssl._create_unverified_context()
    with context.wrap_socket(tunnel(proxy, "packages.example.com:443"), server_hostname="packages.example.com") as secure:
        world.policy_file.write_text(POLICY.replace("host: absent.example.com", "host: gone.example.com"))
        records(world, "network.connect", 1)
        assert talk(proxy, HTTP % (b"absent.example.com", b"")).startswith(b"HTTP/1.1 403")  # the new policy is in force
        secure.sendall(b"ping")
        assert secure.recv(4) == b"ping"


def test_curl_shows_the_reason(proxy):
    command = ["curl", "-sS", "-x", f"http://{proxy[0]}:{proxy[1]}", "-i", "http://unlisted.example.com/"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    assert "403 guardrails: unlisted.example.com:80 is not on the approved network list" in shown


def test_a_place_that_speaks_no_http_is_reached_through_its_own_listener(forward, world):
    with forward("packages.example.com") as connection, connection.makefile("rb") as lines:
        assert lines.readline() == b"welcome\n"
        connection.sendall(b"ping\n")
        assert lines.readline() == b"ping\n"
        connection.shutdown(socket.SHUT_WR)
        assert lines.read() == b""
    (record,) = records(world, "network.connect", 1)
    assert (record["allowed"], record["principal"], record["resource"]) == (True, "ana", "packages.example.com:5432")
    (counted,) = records(world, "network.bytes", 1)
    assert counted["reason"] == "5 bytes sent, 13 bytes received"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("unlisted.example.com", "not on the approved network list"),
        ("loop.example.com", "which is loopback"),
        ("own.example.com", "an address of this machine itself"),
    ],
)
def test_such_a_place_is_judged_like_any_other(forward, world, host, words):
    with forward(host) as connection:
        assert read_all(connection) == b""
    refused = [record for record in world.audited("network.connect") if not record["allowed"]]
    assert [record["resource"] for record in refused] == [f"{host}:5432"]
    assert words in refused[0]["reason"]


def test_a_policy_that_takes_such_a_place_away_cuts_it_within_two_seconds(forward, world):
    with forward("packages.example.com") as connection:
        assert connection.recv(8) == b"welcome\n"
        world.policy_file.write_text(POLICY.replace("host: packages.example.com", "host: gone.example.com"))
        assert read_all(connection) == b""
    assert LATEST_CUT_S < 2
    with socket.create_connection(("127.64.0.1", 5432), timeout=20) as again:
        assert read_all(again) == b""
