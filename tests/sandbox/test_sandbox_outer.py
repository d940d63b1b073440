"""The server's own domain, with a real server and a nested sandbox in it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from ports import free_port
from sandbox_bench import DEVICES, PYTHON, SYSTEM, has_user_namespaces, landlock_version

import jupyter_guardrails

SIMULATE = str(Path(__file__).with_name("simulate_host.py"))
HOUSE = str(Path(jupyter_guardrails.__file__).parents[1])
ENTER = """
import json, os, sys
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox.outer import OuterSpec, enter
fields = json.loads(sys.argv[1])
best_effort = fields.pop("best_effort")
try:
    report = enter(OuterSpec(**fields), best_effort=best_effort)
except GuardrailsError as error:
    print(json.dumps(error.to_json()), flush=True)
    sys.exit(error.exit_code)
print(json.dumps(report), flush=True)
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""
ATTEMPTS = """
import errno, json, os, socket, sys
seen = {}
def attempt(name, f):
    try: f(); seen[name] = "done"
    except OSError as e: seen[name] = errno.errorcode[e.errno]
attempt("secret", lambda: open(sys.argv[1]))
attempt("write", lambda: open(sys.argv[2] + "/own", "w"))
attempt("listed", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 2))
attempt("unlisted", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[4])), 2))
attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM))
attempt("parent", lambda: os.kill(os.getppid(), 0))
print(json.dumps(seen), flush=True)
"""
SERVE = """
import http.server, sys
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"x" * 3000000)
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hello)
print("up", flush=True)
server.serve_forever()
"""
NESTED = """
import json, subprocess, sys
from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.headroom import Headroom
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import *
fields = json.loads(sys.argv[1])
fields["limits"] = Limits(memory_bytes=1 << 30)
started = start(SandboxSpec(**fields), stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
assert started.process.stdout.readline() == "up\\n"
action = Headroom(started.process.pid, 1 << 30).tick(meter.sample(started.process.pid))
out, _ = started.process.communicate("go\\n", timeout=30)
print(json.dumps({"out": out, "held": started.report.held(), "fds": len(started.fds), "action": action.kind}), flush=True)
"""
IN_THE_KERNEL = """
import socket, sys
print("up", flush=True)
sys.stdin.readline()
s = socket.create_server(("127.0.0.1", 0))
socket.create_connection(s.getsockname()).close()
a = socket.socket(socket.AF_UNIX); a.bind(chr(0) + "own"); a.listen(); socket.socket(socket.AF_UNIX).connect(chr(0) + "own")
try: bytearray(4 << 30)
except MemoryError: print("MemoryError")
try: open(sys.argv[1])
except OSError: print("refused")
"""

pytestmark = pytest.mark.skipif(landlock_version() < 6 or not has_user_namespaces(), reason="needs Landlock 6 and user namespaces")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "secret").write_text("secret")
    return tmp_path


def enter(place, code: str, *arguments: object, kind: str | None = None, best_effort: bool = False, **fields: object) -> subprocess.Popen[str]:
    body = {"read": [*SYSTEM, HOUSE], "write": [str(place / "w"), "/dev/shm"], "devices": DEVICES, "best_effort": best_effort} | fields
    before = [sys.executable, SIMULATE, kind] if kind else []
    command = [*before, sys.executable, "-c", ENTER, json.dumps(body), code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/")


def answers(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    out, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in out.splitlines()]


def test_files_network_and_signals_of_the_server(place):
    with socket.create_server(("127.0.0.1", 0)) as listed, socket.create_server(("127.0.0.1", 0)) as unlisted:
        ports = [s.getsockname()[1] for s in (listed, unlisted)]
        report, seen = answers(enter(place, ATTEMPTS, place / "secret", place / "w", *ports, tcp_connect=(ports[0],)))
    assert report["outer"]
    assert report["network_namespace"]
    assert seen == {"secret": "ENOENT", "write": "done", "listed": "done", "unlisted": "ECONNREFUSED", "udp": "EAFNOSUPPORT", "parent": "EPERM"}


def test_without_user_namespaces_ports_are_held_by_landlock(place):
    with socket.create_server(("127.0.0.1", 0)) as listed, socket.create_server(("127.0.0.1", 0)) as unlisted:
        ports = [s.getsockname()[1] for s in (listed, unlisted)]
        report, seen = answers(enter(place, ATTEMPTS, place / "secret", place / "w", *ports, tcp_connect=(ports[0],), kind="seccomp"))
    assert not report["network_namespace"]
    assert (seen["listed"], seen["unlisted"], seen["udp"]) == ("done", "EACCES", "EAFNOSUPPORT")


@pytest.mark.parametrize("kind", [None, "seccomp"])
def test_the_servers_port_is_served(place, kind):
    port = free_port()
    process = enter(place, SERVE, port, tcp_bind=(port,), kind=kind)
    try:
        process.stdout.readline()
        assert process.stdout.readline() == "up\n"
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert len(answer.read()) == 3000000
    finally:
        process.kill()
        process.wait()
    assert wait_until_refused(port)


def wait_until_refused(port: int) -> bool:
    """True once nobody listens: the relay ends with its server."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.01)
    return False


def test_a_taken_port_is_an_error_with_a_next_step(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = enter(place, "", tcp_bind=(taken.getsockname()[1],))
        (error,) = answers(process)
    assert process.returncode == 1
    assert "--port" in error["next_step"]


@pytest.mark.parametrize("kind", [None, "seccomp"])
def test_sandboxes_nest_in_it(place, kind):
    fields = {"argv": [PYTHON, "-c", IN_THE_KERNEL, str(place / "secret")], "env": {}, "cwd": str(place / "w"), "read": SYSTEM, "devices": DEVICES}
    fields |= {
        "write": [str(place / "w"), "/dev/shm"],
        "proxy_port": 3128,
        "channel": f"guardrails-outer-{os.getpid()}",
        "require": ["files", "network", "memory"],
    }
    if kind:
        fields["argv"][2] = IN_THE_KERNEL.replace("s = socket.create_server", "# ").replace("socket.create_connection(s", "# (s")
    _, nested = answers(enter(place, NESTED, json.dumps(fields), kind=kind))
    assert nested["out"] == "MemoryError\nrefused\n"
    assert set(nested["held"]) >= {"files", "network", "memory", "processes"}
    assert nested["fds"] == (1 if kind else 2)
    assert nested["action"] == "none"


def test_without_landlock_it_is_refused_unless_told_otherwise(place):
    refused = enter(place, ATTEMPTS, place / "secret", place / "w", 1, 2, kind="nolandlock")
    (error,) = answers(refused)
    assert (error["code"], refused.returncode) == ("host_cannot_enforce", 3)
    report, seen = answers(enter(place, ATTEMPTS, place / "secret", place / "w", 1, 2, kind="nolandlock", best_effort=True))
    assert not report["outer"]
    assert "reason" in report
    assert seen["secret"] == "done"
    assert seen["udp"] == "EAFNOSUPPORT"


def test_a_process_with_threads_is_refused(place):
    threaded = ENTER.replace(
        "import json, os, sys", "import json, os, sys, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    body = json.dumps({"read": SYSTEM, "write": [], "best_effort": False})
    ran = subprocess.run([sys.executable, "-c", threaded, body, "print('up')"], stdout=subprocess.PIPE, text=True)
    assert "1 more threads" in json.loads(ran.stdout)["message"]
    alone = subprocess.run([sys.executable, "-c", ENTER, body, "print('up')"], stdout=subprocess.PIPE, text=True)
    assert alone.stdout.endswith("up\n")


def test_of_a_directory_listed_by_name_only_what_is_shown_below_it_exists(place):
    code = "import os, sys\nprint(os.listdir(sys.argv[1]))\ntry: open(sys.argv[1] + '/secret')\nexcept FileNotFoundError: print('refused')"
    out, _ = enter(place, code, place, names=[str(place)]).communicate(timeout=30)
    assert out.splitlines()[1:] == ["['w']", "refused"]


def test_without_an_own_root_listed_directories_show_names_only(place):
    code = "import os, sys\nprint(os.listdir(sys.argv[1]))\ntry: open(sys.argv[1] + '/secret')\nexcept PermissionError: print('refused')"
    out, _ = enter(place, code, place, names=[str(place)], kind="seccomp").communicate(timeout=30)
    assert out.splitlines()[1:] == [str(os.listdir(place)), "refused"]
