"""A real server domain with its mounter and real sandboxes in it; the test plays control, honest or not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from sandbox_bench import DEVICES, PYTHON, SYSTEM

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
        self.send(answer)
        return self.heard()

    def send(self, answer: dict[str, object]) -> None:
        """The answer alone, where the sandbox is to be looked at while it runs."""
        wire.send_in_memory(self.ours, answer)

    def heard(self) -> dict[str, object]:
        """How the sandbox fared, once it has ended."""
        return json.loads(self.ours.recv(1 << 20))

    def close(self) -> None:
        self.ours.close()
        self.orders.close()
        self.process.kill()
        self.process.wait()


def named(path: Path) -> dict[str, object]:
    return {"path": str(path), "file": [path.stat().st_dev, path.stat().st_ino]}
