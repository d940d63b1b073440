"""The mounter with a real server domain and real sandboxes in it; the test plays control, honest or not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_bench import DEVICES, PYTHON, SYSTEM, has_user_namespaces, landlock_version

import jupyter_guardrails
from jupyter_guardrails.sandbox import wire

HOUSE = str(Path(jupyter_guardrails.__file__).parents[1])
ENTER = """
import json, os, socket, sys
from jupyter_guardrails.sandbox.outer import OuterSpec, enter
back = socket.socket(fileno=int(sys.argv[1]))
def hand_over(fd):
    socket.send_fds(back, [b"mounter"], [fd])
    return "launch"
report = enter(OuterSpec(**json.loads(sys.argv[2])), hand_over=hand_over)
back.send(json.dumps(report).encode())
back.set_inheritable(True)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[3], str(back.detach()), *sys.argv[4:]])
"""
SERVER = """
import json, os, socket, subprocess, sys
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox import wire
from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.spec import *
back = socket.socket(fileno=int(sys.argv[1]))
def ask(process):
    socket.send_fds(back, [b"root"], [process])
    return wire.receive_in_memory(back)[0]
while line := back.recv(1 << 20):
    fields = json.loads(line)
    fresh = fields.pop("fresh_proc")
    prepared = prepare(SandboxSpec(**fields), ask, fresh_proc=fresh)
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE, text=True)
    try:
        report, fds = prepared.receive()
    except GuardrailsError as error:
        process.kill()
        back.send(json.dumps({"error": str(error)}).encode())
    else:
        back.send(json.dumps({"out": process.communicate(timeout=30)[0], "held": report.held()}).encode())
"""
SEEN = "import os, sys\nprint(*(p for p in sys.argv[1:] if os.path.lexists(p)))\nopen('made', 'w')"

pytestmark = pytest.mark.skipif(landlock_version() < 6 or not has_user_namespaces(), reason="needs Landlock 6 and user namespaces")


class Launch:
    """A server in its domain, with its mounter; what `control` would send is up to each test."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("w", "k", "roots", "granted", "secret"):
            (place / name).mkdir()
        self.private = place / "k" / "0123abcd"
        self.private.mkdir()
        for name in ("c", "tmp", "state", "data"):
            (self.private / name).mkdir()
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(30)
        self.process = self._start(theirs)
        theirs.close()
        _, (self.mounter,), _, _ = socket.recv_fds(self.ours, 64, 1)
        self.report = json.loads(self.ours.recv(1 << 20))
        self.orders = socket.socket(fileno=self.mounter)
        self.orders.settimeout(30)

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        write = [str(self.place / "w"), str(self.place / "k"), "/dev/shm"]
        outer = {"read": [*SYSTEM, HOUSE], "write": write, "devices": DEVICES}
        outer |= {"private_dir": str(self.place / "k"), "roots_dir": str(self.place / "roots")}
        command = [sys.executable, "-c", ENTER, str(theirs.fileno()), json.dumps(outer), SERVER]
        return subprocess.Popen(command, pass_fds=(theirs.fileno(),), cwd="/")

    def start(self, *looked_for: object, read: tuple[str, ...] = (), **changes: object) -> None:
        """Ask the server for a sandbox that prints which of some paths exist."""
        fields = {"argv": [PYTHON, "-c", SEEN, *map(str, looked_for)], "env": {}, "cwd": str(self.place / "w"), "read": [*SYSTEM, *read]}
        fields |= {
            "write": [str(self.place / "w"), str(self.private / "tmp"), "/dev/shm"],
            "devices": DEVICES,
            "fresh_proc": self.report["fresh_proc"],
        }
        self.ours.send(json.dumps(fields | changes).encode())

    def process_behind_the_request(self) -> int:
        message, (pidfd,), _, _ = socket.recv_fds(self.ours, 64, 1)
        assert message == b"root"
        return pidfd

    def order(self, pidfd: int, *, read: tuple[str, ...] = (), granted: tuple[object, ...] = (), **changes: object) -> dict[str, object]:
        """What the mounter answers to an order."""
        asked = {"read": [*SYSTEM, *read], "write": [str(self.place / "w"), str(self.private / "tmp")], "device": list(DEVICES)}
        asked |= {"temporary": None, "covers": [], "terminal": False, "fresh_proc": self.report["fresh_proc"]} | changes
        body = {"id": 7, "asked": asked, "granted": {"read": list(granted), "write": [], "device": []}, "shm_bytes": 1 << 20}
        wire.send_in_memory(self.orders, body, [pidfd])
        answer, _ = wire.receive_in_memory(self.orders)
        assert answer.pop("id") == 7
        return answer

    def outcome(self, answer: dict[str, object]) -> dict[str, object]:
        """How the sandbox fared with this answer."""
        wire.send_in_memory(self.ours, answer)
        return json.loads(self.ours.recv(1 << 20))

    def close(self) -> None:
        self.ours.close()
        self.orders.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def launch(tmp_path):
    made = Launch(tmp_path)
    yield made
    made.close()


def named(path: Path) -> dict[str, object]:
    return {"path": str(path), "file": [path.stat().st_dev, path.stat().st_ino]}


def test_a_kernel_sees_the_table_its_own_folder_and_what_was_granted(launch):
    place = launch.place
    launch.start(place / "granted", place / "secret", place / "w", launch.private / "tmp", launch.private / "state", read=(str(place / "granted"),))
    answer = launch.order(launch.process_behind_the_request(), read=(str(place / "granted"),), granted=(named(place / "granted"),))
    assert answer == {"missing": []}
    outcome = launch.outcome(answer)
    assert outcome["out"].split() == [str(place / "granted"), str(place / "w"), str(launch.private / "tmp")]
    assert "sockets" in outcome["held"]
    assert (place / "w" / "made").exists()


@pytest.mark.parametrize(
    "path", ["secret", "k", "k/0123abcd", "k/0123abcd/c/kernel.json", "k/0123abcd/../../secret", "roots", "w/../secret", "/root"]
)
def test_a_path_that_nobody_granted_is_missing(launch, path):
    wanted = str(launch.place / path) if not path.startswith("/") else path
    launch.start(launch.place / "secret", read=(wanted,))
    answer = launch.order(launch.process_behind_the_request(), read=(wanted,))
    assert answer == {"missing": [wanted]}
    assert launch.outcome(answer)["out"].strip() == ""


@pytest.mark.parametrize("swap", ["another folder", "a link to a secret"])
def test_a_dataset_that_was_replaced_since_it_was_granted_stops_the_start(launch, swap):
    granted, secret = launch.place / "granted", launch.place / "secret"
    before = named(granted)
    granted.rename(launch.place / "moved")
    granted.mkdir() if swap == "another folder" else granted.symlink_to(secret)
    launch.start(read=(str(granted),))
    answer = launch.order(launch.process_behind_the_request(), read=(str(granted),), granted=(before,))
    assert "another file than the one that was granted" in answer["error"]
    assert "another file" in launch.outcome(answer)["error"]
    assert not (launch.place / "w" / "made").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"temporary": "/etc"},
        {"temporary": "k/0123abcd/state"},
        {"covers": [["/etc/passwd", "/etc/hosts"]]},
        {"covers": [["k/0123abcd/tmp", "/etc/shadow"]]},
    ],
    ids=str,
)
def test_other_folders_are_not_shown_as_private_ones(launch, changes):
    changes = json.loads(json.dumps(changes).replace("k/0123abcd", str(launch.private)))
    launch.start()
    answer = launch.order(launch.process_behind_the_request(), **changes)
    assert "error" in answer
    assert "error" in launch.outcome(answer)


def test_the_server_itself_gets_no_other_root(launch):
    pidfd = os.pidfd_open(launch.process.pid)
    assert "system call 308" in launch.order(pidfd)["error"]  # setns: EPERM, or EINVAL without a process namespace
    ours = os.pidfd_open(os.getpid())
    assert "error" in launch.order(ours)


def test_when_the_mounter_has_ended_nothing_starts(launch):
    launch.start()
    pidfd = launch.process_behind_the_request()
    for entry in Path("/proc").glob("[0-9]*"):
        if children_of(launch.process.pid, entry):
            os.kill(int(entry.name), signal.SIGKILL)
    launch.orders.settimeout(10)
    assert launch.orders.recv(10) == b""  # what control sees
    outcome = launch.outcome({"error": "it has ended"})
    assert "it has ended" in outcome["error"]
    os.close(pidfd)


def children_of(server: int, entry: Path) -> bool:
    """Whether an entry of /proc is the mounter: the server's child that leads a session."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[1]) == server and int(fields[3]) == int(entry.name)


def test_it_ends_with_its_server(launch):
    launch.process.kill()
    launch.process.wait()
    launch.orders.settimeout(10)
    assert launch.orders.recv(10) == b""


def test_thousands_of_granted_files_are_shown_and_thousands_that_are_missing_are_told(launch):
    files = [launch.place / "granted" / f"{'n' * 100}-{number}" for number in range(3000)]
    for file in files[:50]:
        file.touch()
    launch.start(files[0], files[49], read=tuple(map(str, files[:50])))
    granted = [{"path": str(file), "file": [file.stat().st_dev, file.stat().st_ino]} for file in files[:50]]
    answer = launch.order(launch.process_behind_the_request(), read=tuple(map(str, files)), granted=tuple(granted))
    assert set(answer["missing"]) >= set(map(str, files[50:]))
    assert launch.outcome(answer)["out"].split() == [str(files[0]), str(files[49])]
