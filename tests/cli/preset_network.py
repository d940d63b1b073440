"""Presets at work: pip, git and plain HTTPS in governed sandboxes, a policy that `init` made, real servers behind the real proxy.

test_presets.py runs this file with pytest in namespaces where it may make a network: control and the sandboxes in one, the server in another
behind a veth pair, and an /etc/hosts of its own for the names. Run as a program, it is the server.
"""

import datetime
import functools
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pip
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jupyter_guardrails.cli import demo_server
from jupyter_guardrails.control.interface import find_settings, start_own_control

HERE, SERVER = "10.78.0.1", "10.78.0.2"
NAMES = [f"{name}.example.com" for name in ("packages", "conda", "git", "models", "other")]
PRESETS = {"python": "packages", "conda": "conda", "git-https": "git", "models": "models"}
PIP_FILES = (Path("/etc/pip.conf"), Path("/etc/xdg/pip/pip.conf"))  # this machine's own, which the sandboxed pip would read as well
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def serve(root: str, certificate: str, device: str) -> None:
    """Files over TLS on 443, in a network namespace whose device comes when a line arrives on stdin."""
    print("namespace", flush=True)
    sys.stdin.readline()
    for command in ("ip link set lo up", f"ip addr add {SERVER}/24 dev {device}", f"ip link set {device} up"):
        subprocess.run(command.split(), check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = http.server.ThreadingHTTPServer((SERVER, 443), functools.partial(http.server.SimpleHTTPRequestHandler, directory=root))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("listening", flush=True)
    server.serve_forever()


def make_certificate(path: Path) -> Path:
    """A certificate for all names, signed by itself, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


def make_files(root: Path) -> None:
    """What the servers offer: an index with one wheel, a repository, a model's file, a channel."""
    wheel = "demo_small-1.0-py3-none-any.whl"
    write(root / "simple" / "demo-small" / "index.html", f'<a href="/files/{wheel}">{wheel}</a>')
    (root / "files").mkdir()
    with zipfile.ZipFile(root / "files" / wheel, "w") as archive:
        archive.writestr("demo_small.py", "ANSWER = 42\n")
        archive.writestr("demo_small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo-small\nVersion: 1.0\n")
        archive.writestr("demo_small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("demo_small-1.0.dist-info/RECORD", "demo_small.py,,\n")
    write(root / "org" / "model" / "resolve" / "main" / "config.json", '{"layers": 2}')
    write(root / "main" / "noarch" / "repodata.json", '{"packages": {}}')
    work = root.with_name("work")
    write(work / "README", "cloned through the proxy\n")
    who = ["-c", "user.name=ana", "-c", "user.email=ana@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"], ["clone", "-q", "--bare", ".", root / "team.git"]):
        subprocess.run(["git", *command], cwd=work, check=True)
    subprocess.run(["git", "update-server-info"], cwd=root / "team.git", check=True)  # for HTTP servers that know nothing of git


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Names, a second network namespace and the server in it; the certificate."""
    place = tmp_path_factory.mktemp("network")
    hosts = write(place / "hosts", f"127.0.0.1 localhost\n{SERVER} {' '.join(NAMES)}\n")
    make_files(place / "root")
    pem = make_certificate(place / "server.pem")
    bound = [(hosts, Path("/etc/hosts")), *((write(place / "empty.conf", ""), file) for file in PIP_FILES if file.exists())]
    for command in [f"mount --bind {source} {target}" for source, target in bound]:
        subprocess.run(command.split(), check=True)
    for command in ("ip link set lo up", "ip link add gr2 type veth peer name gr3"):
        subprocess.run(command.split(), check=True)
    program = ["unshare", "-n", sys.executable, __file__, str(place / "root"), str(pem), "gr3"]
    server = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout.readline() == "namespace\n"
    for command in (f"ip link set gr3 netns {server.pid}", f"ip addr add {HERE}/24 dev gr2", "ip link set gr2 up"):
        subprocess.run(command.split(), check=True)
    server.stdin.write("\n")
    server.stdin.flush()
    assert server.stdout.readline() == "listening\n"
    yield pem
    server.kill()
    server.wait()


class Place:
    """A home whose clients are set to our servers, a policy that `init` made from that, and a workspace."""

    def __init__(self, root: Path, pem: Path) -> None:
        self.home, self.workspace, self.policy = root / "home", root / "workspace", root / "policy" / "guardrails.yaml"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), "HF_ENDPOINT": "https://models.example.com", "GIT_CONFIG_NOSYSTEM": "1"}
        self.environ |= {"GUARDRAILS_POLICY": str(self.policy), "GUARDRAILS_CATALOG": str(root / "policy" / "catalog")}
        self.environ |= {"GUARDRAILS_STATE_DIR": str(root / "state")}
        write(self.home / ".condarc", "channels: ['https://conda.example.com/main']\n")
        write(self.home / ".gitconfig", '[url "https://git.example.com/"]\n\tinsteadOf = team:\n')
        for folder in (self.home, self.workspace):  # kernels have the workspace for a home: a person's own settings lie there
            write(folder / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://packages.example.com/simple\n")
        self.python = str(root / "env" / "bin" / "python")  # an environment as kernels have one, with a pip of its own
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "env"], check=True)
        (packages,) = (root / "env" / "lib").glob("python3*/site-packages")
        shutil.copytree(Path(pip.__file__).parent, packages / "pip")
        self.pem = write(self.workspace / "company.pem", pem.read_text())

    def guardrails(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jupyter_guardrails", *map(str, arguments)]
        return subprocess.run(command, env=self.environ, cwd=self.workspace, capture_output=True, text=True, timeout=60)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command as a kernel of the person would run it."""
        return self.guardrails("exec", "--workspace", self.workspace, "--", *command)

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.inside(self.python, "-m", "pip", "install", "--disable-pip-version-check", "--retries=1", "--no-deps", *arguments)


@pytest.fixture(scope="session")
def place(network, tmp_path_factory):
    """Everything set up: all presets opened by `init`, enforced, with the certificate that the starter's example is about."""
    short = tempfile.TemporaryDirectory(prefix="gp-", dir="/tmp")  # the path of control's socket in it has 107 bytes
    place = Place(Path(short.name), network)
    done = place.guardrails("init", place.policy.parent, *(part for name in PRESETS for part in ("--preset", name)))
    assert done.returncode == 0, done.stderr
    text = place.policy.read_text()
    start, middle, end = text.partition("#environment:\n")[0], *text.partition("#environment:\n")[2].partition("\n\n")[0::2]
    example = "environment:\n" + middle.replace("#", "").replace("/etc/ssl/company.pem", str(place.pem))
    place.policy.write_text(f"{start}{example}\n\n{end}".replace("\nmode: observe\n", "\nmode: enforce\n"))
    checked = place.guardrails("policy", "check")
    assert "mode enforce" in checked.stdout, checked.stderr
    control = start_own_control(find_settings([], place.environ, home=place.home))  # one for all commands
    yield place
    control.stop()
    short.cleanup()


@pytest.fixture(scope="session")
def kernel(place):
    """A kernel of a launched server under the same policy, as a notebook of the person has it."""
    environment = place.environ | {"GUARDRAILS_STATE_DIR": str(place.home.parent / "server-state")}
    log = place.home.parent / "server.log"
    with demo_server.serve(["jupyter_guardrails", "server"], place.workspace, environment=environment, log=log) as server:
        started = server.kernel("python3")
        yield started
        started.close()


def test_init_found_the_hosts_and_where_they_lead(place):
    rules = {rule["name"]: rule for rule in yaml.safe_load(place.policy.read_text())["rules"]}
    for preset, host in PRESETS.items():
        assert {"host": f"{host}.example.com", "port": 443, "private": f"{SERVER}/32"} in rules[f"preset-{preset}"]["network"]["allow"]
    tested = place.guardrails("policy", "test", place.policy.with_name("policy-tests.yaml"))
    assert tested.returncode == 0, tested.stdout


def test_pip_installs_from_the_index(place):
    done = place.pip("--target=lib", "demo-small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Successfully installed demo-small-1.0" in done.stdout
    assert (place.workspace / "lib" / "demo_small.py").read_text() == "ANSWER = 42\n"


def test_pip_from_another_host_is_told_why(place):
    done = place.pip("--target=other", "--index-url=https://other.example.com/simple", "demo-small")
    assert done.returncode != 0
    assert "403 guardrails: other.example.com:443 is not on the approved network list" in done.stdout + done.stderr
    assert not (place.workspace / "other").exists()


def test_git_clones_over_https(place):
    done = place.inside("git", "clone", "https://git.example.com/team.git", "cloned")
    assert done.returncode == 0, done.stderr
    assert (place.workspace / "cloned" / "README").read_text() == "cloned through the proxy\n"


def test_git_from_another_host_is_refused(place):
    done = place.inside("git", "clone", "https://other.example.com/team.git", "other")
    assert done.returncode == 128
    assert "403" in done.stderr  # git shows the status of a refused tunnel, not its reason
    assert not (place.workspace / "other").exists()


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("https://conda.example.com/main/noarch/repodata.json", '{"packages": {}}'),
        ("https://models.example.com/org/model/resolve/main/config.json", '{"layers": 2}'),
    ],
)
def test_channels_and_hubs_answer(place, url, answer):
    done = place.inside(place.python, "-c", GET, url)
    assert done.stdout.strip() == answer, done.stderr


def test_another_host_is_told_why(place):
    done = place.inside(place.python, "-c", GET, "https://other.example.com/main/noarch/repodata.json")
    assert done.returncode == 1
    assert "403 guardrails: other.example.com:443 is not on the approved network list" in done.stderr


def test_pip_in_a_cell_installs_from_the_index(kernel):
    cell = kernel.run("%pip install --disable-pip-version-check --target=packages demo-small")
    assert "Successfully installed demo-small-1.0" in cell.text
    assert kernel.run("import sys; sys.path.insert(0, 'packages'); import demo_small; print(demo_small.ANSWER)").text.strip() == "42"


def test_pip_in_a_cell_is_told_why_by_which_rule_and_what_to_do(place, kernel):
    options = "--disable-pip-version-check --retries=1 --target=refused --index-url=https://other.example.com/simple"
    said = " ".join(kernel.run(f"%pip install {options} demo-small").text.split())
    assert "403 guardrails: other.example.com:443 is not on the approved network list (rule " in said
    assert "(rule built-in default: what nothing allows is refused). Next step: ask an admin (root) to allow other.example.com:443'" in said
    assert not (place.workspace / "refused").exists()


if __name__ == "__main__":
    serve(*sys.argv[1:])
