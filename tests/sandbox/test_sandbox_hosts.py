"""Hosts that lack something: what then holds is said honestly, and tried."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_bench import PYTHON, SYSTEM, has_user_namespaces, landlock_version

SIMULATE = str(Path(__file__).with_name("simulate_host.py"))
TRY = """
import json, os, socket, subprocess, sys
from dataclasses import asdict
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import *
fields = json.loads(sys.argv[1])
fields["limits"] = Limits(**fields.pop("limits", {}))
try:
    started = start(SandboxSpec(**fields), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
except GuardrailsError as error:
    print(json.dumps({"code": error.code, "message": error.message, "next_step": error.next_step}))
else:
    received = []
    for fd in started.fds:
        os.set_blocking(fd, True)
        received.append(socket.socket(fileno=fd).accept()[0].recv(9).decode())
    out, err = started.process.communicate(timeout=30)
    print(json.dumps({"out": out, "err": err, "fds": received, "report": started.report.to_json()}))
"""
ATTEMPTS = """
import errno, os, socket, sys
def attempt(name, f):
    try: f(); print(name, "done")
    except OSError as e: print(name, errno.errorcode[e.errno])
attempt("secret", lambda: open(sys.argv[1]))
attempt("own", lambda: open("own", "w"))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2))
attempt("listen", lambda: socket.socket().listen())
attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socketpair())
attempt("parent", lambda: os.kill(os.getppid(), 0))
"""


@pytest.fixture
def host(tmp_path):
    """Start a sandbox on a host of the given kind; the JSON that `TRY` prints."""
    if not has_user_namespaces() or landlock_version() < 6:
        pytest.skip("hosts are simulated by taking away from a complete one, which this is not")

    def run(kind: str, *argv: str, **changes: object) -> dict[str, object]:
        fields = {"env": {}, "cwd": str(tmp_path), "read": SYSTEM, "write": [str(tmp_path / "w")], "devices": ["/dev/null", "/dev/urandom"]}
        (tmp_path / "w").mkdir(exist_ok=True)
        fields |= {"argv": argv, "cwd": str(tmp_path / "w"), "limits": {"memory_bytes": 1 << 30, "tasks": 40}} | changes
        command = [sys.executable, SIMULATE, kind, sys.executable, "-c", TRY, json.dumps(fields)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.stdout, ran.stderr
        return json.loads(ran.stdout)

    return run


def verdicts(answer):
    return {g["name"]: g for g in answer["report"]["guarantees"]}


def attempts(host, tmp_path, kind):
    (tmp_path / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = host(kind, PYTHON, "-c", ATTEMPTS, str(tmp_path / "secret"), str(listener.getsockname()[1]))
    return dict(line.split() for line in answer["out"].splitlines()), verdicts(answer)


NO = "EAFNOSUPPORT"
WITHOUT_INTERNET = {"secret": "EACCES", "own": "done", "tcp": NO, "listen": NO, "udp": NO, "unix": "done", "parent": "EPERM"}


@pytest.mark.parametrize(("kind", "errno_name"), [("seccomp", "EPERM"), ("sysctl", "ENOSPC")])
def test_without_user_namespaces(host, tmp_path, kind, errno_name):
    seen, held = attempts(host, tmp_path, kind)
    own_network = kind == "sysctl" and os.getuid() == 0  # root needs no user namespace for a network of its own
    assert seen == WITHOUT_INTERNET | ({"tcp": "ECONNREFUSED", "listen": "done"} if own_network else {})
    assert {name for name, verdict in held.items() if verdict["held"]} == {"files", "network", "memory"}  # processes can't be counted
    assert own_network or errno_name in held["network"]["how"]
    assert os.getuid() == 0 or "user_namespaces" in held["processes"]["next_step"]


def test_without_user_namespaces_the_channel_still_works(host):
    code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + 'guardrails-host-test'); s.sendall(b'channel')"
    answer = host("seccomp", PYTHON, "-c", code, channel="guardrails-host-test", proxy_port=3128)
    assert answer["fds"] == ["channel"]


def test_what_is_required_and_lacking_is_refused_with_the_setting(host):
    answer = host("seccomp", "/bin/true", require=["files", "processes"])
    assert answer["code"] == "host_cannot_enforce"
    assert "processes" in answer["message"]
    assert "files" not in answer["message"]
    assert answer["next_step"]
    assert "report" in host("seccomp", "/bin/true", require=["files", "network"])


def test_without_landlock(host, tmp_path):
    seen, held = attempts(host, tmp_path, "nolandlock")
    assert seen["secret"] == "done"
    assert not held["files"]["held"]
    assert "Landlock is not available" in held["files"]["how"]
    assert "lsm=" in held["files"]["next_step"]
    assert not held["processes"]["held"]
    assert held["network"]["held"]  # by the system call filter alone
    assert seen["tcp"] == "EAFNOSUPPORT"
    answer = host("nolandlock", "/bin/true", require=["files"])
    assert answer["code"] == "host_cannot_enforce"


def test_without_network_namespaces(host, tmp_path):
    seen, held = attempts(host, tmp_path, "nonet")
    assert seen["tcp"] == "EAFNOSUPPORT"
    assert "ENOSPC" in held["network"]["how"]


def test_the_probe_says_the_same(host):
    script = (
        "import json\nfrom dataclasses import asdict\nfrom jupyter_guardrails.sandbox.probe import probe_host\n"
        "print(json.dumps([asdict(g) for g in probe_host()]))"
    )
    for kind, expected in (("seccomp", {"files", "network", "memory"}), ("nolandlock", {"network", "memory"})):
        ran = subprocess.run([sys.executable, SIMULATE, kind, sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert {g["name"] for g in json.loads(ran.stdout) if g["held"]} == expected, ran.stderr


def test_the_probe_of_this_host():
    from jupyter_guardrails.sandbox.probe import contradicted, probe_host

    held = {g.name for g in probe_host() if g.held}
    assert held >= {"files", "network", "memory"}
    doubted = contradicted(probe_host(), {"files": False})
    assert "files" not in {g.name for g in doubted if g.held}
    assert "network" in {g.name for g in doubted if g.held}
