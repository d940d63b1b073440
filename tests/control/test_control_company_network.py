"""A company's proxy and certificates: what a kernel's client sends arrives there, with the credentials, and nothing that isn't approved."""

import socket
import ssl
import threading

import pytest
from data_world import DataWorld, Loop

from jupyter_guardrails.control import company_network, egress
from jupyter_guardrails.control.interface.messages import Forward, KernelAdmit
from jupyter_guardrails.control.service import OPERATIONS
from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.kernels import plan

pytestmark = pytest.mark.slow  # left out of `make test-fast`

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
rules:
  - name: all
    for: everyone
    network: {allow: ["pkg.example.com:443", "files.example.com:80", "10.1.2.3:443", "near.example.com:80"]}
"""


class CompanyProxy:
    """Takes one connection after the other and keeps what came; answers CONNECT, then `pong`."""

    def __init__(self, refuse=b""):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heads, self.after, self.refuse = [], [], refuse
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(1 << 16)
                self.heads.append(head.decode())
                if self.refuse:
                    connection.sendall(self.refuse)
                    continue
                if head.startswith(b"CONNECT"):
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self.after.append(connection.recv(1 << 16))
                    connection.sendall(b"pong")
                else:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path, POLICY)
    yield world
    world.close()


@pytest.fixture
def serve(world):
    """Write network.yaml, serve one kernel: the address of its proxy."""
    loop, served = Loop(), []

    def start(text):
        (world.root / "network.yaml").write_text(text)
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        served.append(loop.run(egress.serve(world.state(), world.kernel(), listener.detach())))
        return address

    yield start
    for one in served:
        loop.run(one.close())
    loop.run(world.state().egress.stop())
    loop.close()


def secret(world):
    path = world.root / "proxy-credentials"
    path.write_text("svc:s3cret\n")
    path.chmod(0o600)
    return path


def hello(host):
    """The first bytes of a real TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def tunnel(address, place, first):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        said = connection.recv(1 << 16)
        if b" 200 " not in said:
            return said
        connection.sendall(first)
        return connection.recv(1 << 16)


def talk(address, data):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(data)
        found = b""
        while part := connection.recv(1 << 16):
            found += part
    return found


def test_a_tunnel_goes_through_it_with_its_credentials(world, serve):
    company = CompanyProxy()
    address = serve(f"upstream_proxy: http://127.0.0.1:{company.port}\nupstream_credentials: {secret(world)}\n")
    first = hello("pkg.example.com")
    assert tunnel(address, "pkg.example.com:443", first) == b"pong"
    assert company.heads[0].startswith("CONNECT pkg.example.com:443 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic c3ZjOnMzY3JldA==\r\n" in company.heads[0]
    assert company.after == [first]
    assert "s3cret" not in (world.root / "audit.jsonl").read_text()


def test_a_place_that_speaks_no_http_goes_through_it_too(world):
    company, loop, live = CompanyProxy(), Loop(), world.kernel()
    (world.root / "network.yaml").write_text(f"upstream_proxy: http://127.0.0.1:{company.port}\n")
    listeners = [socket.create_server((f"127.64.0.{number}", 0)) for number in (1, 2)]
    places = [listener.getsockname() for listener in listeners]
    for host, (address, port) in zip(("db.example.com", "elsewhere.example.com"), places, strict=True):
        live.admission.forwards.append(Forward(address=address, host=host, port=port))
    world.policy_file.write_text(POLICY.replace("pkg.example.com:443", f"db.example.com:{places[0][1]}"))
    served = [loop.run(egress.serve_forward(world.state(), live, listener.detach())) for listener in listeners]
    try:
        assert talk(places[0], b"ping") == b"pong"
        assert talk(places[1], b"") == b""
        assert [head.split("\r\n")[0] for head in company.heads] == [f"CONNECT db.example.com:{places[0][1]} HTTP/1.1"]
        assert company.after == [b"ping"]
    finally:
        for one in served:
            loop.run(one.close())
        loop.run(world.state().egress.stop())
        loop.close()


def test_a_plain_request_goes_through_it_as_a_proxy_takes_it(serve):
    company = CompanyProxy()
    address = serve(f"upstream_proxy: http://127.0.0.1:{company.port}\n")
    request = b"GET http://files.example.com/a?b=1 HTTP/1.1\r\nHost: evil.example\r\nProxy-Authorization: Basic mine\r\n\r\n"
    assert talk(address, request).endswith(b"hello")
    assert company.heads[0].startswith("GET http://files.example.com/a?b=1 HTTP/1.1\r\nHost: files.example.com\r\n")
    assert "mine" not in company.heads[0]


def test_what_is_not_approved_never_reaches_it(serve):
    company = CompanyProxy()
    address = serve(f"upstream_proxy: http://127.0.0.1:{company.port}\n")
    assert tunnel(address, "elsewhere.example.com:443", b"").startswith(b"HTTP/1.1 403 guardrails: elsewhere.example.com:443 is not on the approved")
    assert talk(address, b"GET http://elsewhere.example.com/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    assert tunnel(address, "10.1.2.3:443", b"").startswith(b"HTTP/1.1 403 guardrails: 10.1.2.3 leads to 10.1.2.3, which is not public")
    assert company.heads == []


def test_hosts_that_are_direct_do_not_go_through_it(serve):
    company = CompanyProxy()
    address = serve(f"upstream_proxy: http://127.0.0.1:{company.port}\ndirect: ['near.example.com']\n")
    assert b"can" in talk(address, b"GET http://near.example.com/ HTTP/1.1\r\n\r\n")  # resolved here, and there is no such host
    assert company.heads == []


def test_a_refusal_of_the_companys_proxy_is_said_as_its(serve):
    company = CompanyProxy(refuse=b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    address = serve(f"upstream_proxy: http://127.0.0.1:{company.port}\n")
    said = tunnel(address, "pkg.example.com:443", b"").decode()
    assert said.startswith("HTTP/1.1 502 guardrails: the company's proxy")
    assert "407 Proxy Authentication Required" in said


def test_one_that_is_away_is_said_too(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = tunnel(serve(f"upstream_proxy: http://127.0.0.1:{port}\n"), "pkg.example.com:443", b"").decode()
    assert f"the company's proxy 127.0.0.1:{port} does not answer" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("upstream_proxy: https://proxy.example.com:3128\n", "network.yaml:1:"),
        ("upstream_proxy: http://me:hunter2@proxy.example.com:3128\n", "upstream_credentials"),
        ("upstream_proxy: http://me:hunter2/x@proxy.example.com:3128\n", "upstream_credentials"),
        ("upstream_proxy: https://me:hunter2 x@proxy.example.com:3128\n", "upstream_credentials"),
        ("upstream_proxy: me:hunter2@proxy.example.com:3128\n", "upstream_credentials"),
        ('upstream_proxy: "http:\\x2f/me:hunter2@proxy.example.com:3128"\n', "upstream_credentials"),
        ("upstream_proxy: http://proxy.example.com:0\n", "network.yaml:1:"),
        ("upstream_proxy: http://proxy.example.com:3128#x\n", "network.yaml:1:"),
        ("upstream_proxi: http://proxy.example.com:3128\n", "upstream_proxy"),
        ("ca_bundle: /no/such/file.pem\n", "can't be read"),
        ("ca_bundle: relative.pem\n", "absolute"),
        ("direct: ['bad host']\n", "network.yaml:1:"),
        ("[1]\n", "network.yaml:1:"),
    ],
)
def test_a_mistake_in_it_stops_starts_and_is_said_with_its_place(world, text, said):
    (world.root / "network.yaml").write_text(text)
    with pytest.raises(PolicyError) as refusal:
        company_network.read(world.policy_file)
    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    loop = Loop()
    request = KernelAdmit(kernel_id="k1", kernelspec="python3", workspace="/", key="k1")
    with pytest.raises(PolicyError):
        loop.run(OPERATIONS[KernelAdmit](world.state(), request, []))
    (world.root / "network.yaml").unlink()
    assert loop.run(OPERATIONS[KernelAdmit](world.state(), request, []))["lease"]
    loop.close()


def test_credentials_that_others_may_read_are_refused(world):
    path = secret(world)
    path.chmod(0o644)
    (world.root / "network.yaml").write_text(f"upstream_proxy: http://proxy.example.com:3128\nupstream_credentials: {path}\n")
    with pytest.raises(PolicyError, match="others may read it"):
        company_network.read(world.policy_file)


def test_a_comment_may_hold_an_address(world):
    (world.root / "network.yaml").write_text(
        "# see https://wiki.example.com, ask it@example.com\nupstream_proxy: http://proxy.example.com:3128  # of it@example.com\n"
    )
    assert company_network.read(world.policy_file).upstream_proxy == "http://proxy.example.com:3128"


def admit(world, workspace):
    loop = Loop()
    try:
        return loop.run(
            OPERATIONS[KernelAdmit](world.state(), KernelAdmit(kernel_id="k1", kernelspec="python3", workspace=str(workspace), key="k1"), [])
        )
    finally:
        loop.close()


def test_credentials_that_kernels_could_read_are_refused(world, tmp_path):
    """They run as control's own account, so the file's mode keeps nothing from them."""
    (world.root / "network.yaml").write_text(f"upstream_proxy: http://proxy.example.com:3128\nupstream_credentials: {secret(world)}\n")
    (tmp_path / "workspace").mkdir()
    (tmp_path / "way").symlink_to(world.root)
    for reached in (world.root, tmp_path / "way"):
        with pytest.raises(PolicyError, match="kernels run as this account and may read"):
            admit(world, reached)
    assert admit(world, tmp_path / "workspace")["lease"]


def test_credentials_below_a_folder_of_the_system_are_refused(world, monkeypatch):
    monkeypatch.setattr(company_network, "SYSTEM", (str(world.root),))
    (world.root / "network.yaml").write_text(f"upstream_credentials: {secret(world)}\n")
    with pytest.raises(PolicyError, match="kernels run as this account and may read"):
        company_network.read(world.policy_file)


def test_what_every_kernel_reads_is_known_here():
    assert {path for path in plan.SYSTEM_READ if not path.startswith(("/proc", "/sys/"))} == set(company_network.SYSTEM)


def test_credentials_stay_shut_where_the_policy_observes(world, tmp_path):
    world.policy_file.write_text(POLICY.replace("mode: enforce", "mode: observe"))
    assert str(secret(world)) not in admit(world, tmp_path / "w")["shut"]
    (world.root / "network.yaml").write_text(f"upstream_credentials: {secret(world)}\n")
    assert str(secret(world)) in admit(world, tmp_path / "w")["shut"]


def test_kernels_are_told_of_the_companys_certificates_and_may_read_them(world):
    bundle = world.root / "company.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    (world.root / "network.yaml").write_text(f"ca_bundle: {bundle}\n")
    loop = Loop()
    answer = loop.run(OPERATIONS[KernelAdmit](world.state(), KernelAdmit(kernel_id="k1", kernelspec="python3", workspace="/", key="k1"), []))
    loop.close()
    assert answer["env_set"]["SSL_CERT_FILE"] == answer["env_set"]["PIP_CERT"] == str(bundle)
    assert str(bundle) in answer["read_paths"]


def test_an_empty_file_is_told_what_can_be_in_it(tmp_path):
    (tmp_path / "network.yaml").write_text("# to do\n")
    with pytest.raises(PolicyError, match=r"is empty\s+its keys can be upstream_proxy, upstream_credentials, direct, ca_bundle"):
        company_network.read(tmp_path / "guardrails.yaml")
