"""A database and a server that speaks first, reached by name from governed sandboxes: real psql, real PostgreSQL, the real control.

test_cli_forwards.py runs this file with pytest in namespaces where it may make a network: control and the sandboxes in one, the servers in another
behind a veth pair, and an /etc/hosts of its own for the names. Run as a program, it is the servers: PostgreSQL itself runs outside, as an account
of its own, and is reached over its unix socket (FORWARDS_POSTGRES).
"""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jupyter_guardrails.control.interface import find_settings, start_own_control

HERE, SERVER = "10.79.0.1", "10.79.0.2"
NAMES = "db.example.com git.example.com unlisted.example.com shut.example.com"
PSQL = os.environ.get("FORWARDS_PSQL", "")
POLICY = """\
apiVersion: guardrails/v1
rules:
  - name: out
    for: everyone
    network:
      allow:
        - {host: db.example.com, port: 5432, private: 10.79.0.0/24}
        - {host: git.example.com, port: 22, private: 10.79.0.0/24}
        - shut.example.com:5432
"""
GREETED = """\
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
    print(s.getpeername()[0], s.recv(100).decode().strip())
"""


def serve(postgres: str, device: str) -> None:
    """Port 5432 is PostgreSQL, 22 greets as an ssh server does; in a network namespace whose device comes when a line arrives on stdin."""
    print("namespace", flush=True)
    sys.stdin.readline()
    for command in ("ip link set lo up", f"ip addr add {SERVER}/24 dev {device}", f"ip link set {device} up"):
        subprocess.run(command.split(), check=True)
    for port, answer in ((5432, lambda connection: join(connection, postgres)), (22, lambda connection: connection.sendall(b"SSH-2.0-test\r\n"))):
        listener = socket.create_server((SERVER, port))
        threading.Thread(target=accept, args=(listener, answer), daemon=True).start()
    print("listening", flush=True)
    sys.stdin.readline()


def accept(listener, answer):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection, answer), daemon=True).start()


def one(connection, answer):
    with connection:
        answer(connection)


def join(connection, path):
    """Bytes both ways."""
    with socket.socket(socket.AF_UNIX) as database:
        database.connect(path)
        back = threading.Thread(target=pump, args=(database, connection))
        back.start()
        pump(connection, database)
        back.join()


def pump(source, target):
    while data := source.recv(1 << 16):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Names, a second network namespace, and the servers in it."""
    hosts = tmp_path_factory.mktemp("network") / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{SERVER} {NAMES}\n")
    for command in (f"mount --bind {hosts} /etc/hosts", "ip link set lo up", "ip link add gr4 type veth peer name gr5"):
        subprocess.run(command.split(), check=True)
    program = ["unshare", "-n", sys.executable, __file__, os.environ["FORWARDS_POSTGRES"], "gr5"]
    servers = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert servers.stdout.readline() == "namespace\n"
    for command in (f"ip link set gr5 netns {servers.pid}", f"ip addr add {HERE}/24 dev gr4", "ip link set gr4 up"):
        subprocess.run(command.split(), check=True)
    servers.stdin.write("\n")
    servers.stdin.flush()
    assert servers.stdout.readline() == "listening\n"
    yield
    servers.kill()
    servers.wait()


class Place:
    """A workspace under a policy, with one control for all commands."""

    def __init__(self, root: Path) -> None:
        self.workspace, self.state, policy = root / "workspace", root / "state", root / "guardrails.yaml"
        self.workspace.mkdir()
        policy.write_text(POLICY)
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(root), "GUARDRAILS_POLICY": str(policy), "GUARDRAILS_STATE_DIR": str(self.state)}
        self.environ |= {"GUARDRAILS_CATALOG": str(root / "catalog")}
        (root / "catalog").mkdir()
        self.control = start_own_control(find_settings([], self.environ, home=root))

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command as a kernel of the person would run it."""
        line = [sys.executable, "-m", "jupyter_guardrails", "exec", "--workspace", str(self.workspace), "--", *command]
        return subprocess.run(line, env=self.environ, cwd=self.workspace, capture_output=True, text=True, timeout=60)

    def psql(self, host: str, question: str) -> subprocess.CompletedProcess[str]:
        return self.inside(PSQL, "-X", "-w", "-h", host, "-U", "records", "-At", "-c", question, "postgres")


@pytest.fixture(scope="session")
def place(network, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"))
    yield place
    place.control.stop()


def test_psql_reaches_an_approved_database_by_its_name(place):
    done = place.psql("db.example.com", "select 6 * 7, inet_client_addr() is null")
    assert done.stdout == "42|t\n", done.stderr


def test_much_data_comes_whole(place):
    done = place.psql("db.example.com", "select repeat('x', 20000000)")
    assert len(done.stdout) == 20_000_001, done.stderr


def test_a_server_that_speaks_first_is_heard(place):
    done = place.inside("/usr/bin/python3", "-I", "-c", GREETED, "git.example.com", "22")
    assert done.stdout == "127.64.0.2 SSH-2.0-test\n", done.stderr


def test_a_database_that_is_not_listed_has_no_name_inside(place):
    done = place.psql("unlisted.example.com", "select 1")
    assert (done.returncode, done.stdout) == (2, "")
    direct = place.psql(SERVER, "select 1")
    assert (direct.returncode, direct.stdout) == (2, "")


def test_a_database_at_an_address_that_the_entry_does_not_name_is_refused_and_recorded(place):
    done = place.psql("shut.example.com", "select 1")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"shut.example.com leads to {SERVER}, which is not public" in (place.state / "audit.jsonl").read_text()


if __name__ == "__main__":
    serve(*sys.argv[1:])
