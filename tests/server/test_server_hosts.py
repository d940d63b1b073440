"""Without the launcher, and on hosts that lack something: what is said to hold is tried from a kernel and a terminal of a real server.

`simulate_host.py` takes something away from this machine for one server and all that it starts.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import websocket

SIMULATE = str(Path(__file__).parents[1] / "sandbox" / "simulate_host.py")
TOKEN = "token-of-the-test-server"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: []
profiles:
  small: {memory: 1GiB, cpus: 1, tasks: 200}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
"""
ATTEMPTS = """
import errno, json, os, socket
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return 'done'
def unix(address):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
seen = {
    'read': outcome(lambda: open(SECRET).close()),
    'write': outcome(lambda: open(SECRET, 'a').close()),
    'truncate': outcome(lambda: os.truncate(SECRET, 1)),
    'tcp': outcome(lambda: socket.create_connection(('127.0.0.1', PORT), 2).close()),
    'udp': outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))),
    'signal': outcome(lambda: os.kill(SERVER, 0)),
    'abstract': outcome(lambda: unix(chr(0) + ABSTRACT)),
    'own': outcome(lambda: open('made-here', 'w').close()),
    'pair': outcome(lambda: socket.socketpair()),
    'child': outcome(lambda: os.system('exit 0')),
}
print('seen=' + json.dumps(seen))
"""
OF = {"files": ("read", "write", "truncate"), "network": ("tcp", "udp"), "processes": ("signal",)}
TWINS = ("own", "pair", "child")
HOSTS = {  # what is gone -> (not held, word of the setting that doctor names)
    "seccomp": ({"processes", "sockets"}, "allows unshare"),
    "enospc": ({"processes", "sockets"}, "user.max_user_namespaces"),
    "sysctl": ({"processes", "sockets"}, "user.max_user_namespaces"),
    "nolandlock": ({"files", "processes", "sockets"}, "landlock"),
    "notbooted": ({"files", "processes", "sockets"}, "landlock"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def account(server):
    """Whose the servers of this file are: an ordinary account where there is one."""
    if server.account.pw_uid == 0:
        pytest.skip("needs an ordinary account that can run this: Linux counts no processes of root")
    return server.account.pw_name if server.account.pw_uid != os.getuid() else None


@pytest.fixture(scope="module", params=[None, *HOSTS], ids=str)
def lesser(request, make_server, account):
    """A plain `jupyter server` with the extension, on such a host; None is this one."""
    before = (sys.executable, SIMULATE, request.param) if request.param else ()
    made = make_server(account=account, policy=POLICY, before=before).wait_ready()
    made.kind = request.param
    yield made
    made.stop()


@pytest.fixture
def targets(lesser):
    """Code with the attempts in it, aimed at what is really there outside of the sandbox."""
    abstract = f"guardrails-hosts-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0" + abstract)
        unix.listen(8)
        aims = {"SECRET": str(lesser.secret / "secret.txt"), "PORT": tcp.getsockname()[1], "SERVER": lesser.process.pid, "ABSTRACT": abstract}
        yield "\n".join(f"{name} = {value!r}" for name, value in aims.items()) + ATTEMPTS


def enforced(server):
    """name -> held, as the panel shows it."""
    return {g["name"]: g["held"] for g in server.rest("GET", "guardrails/me").json()["enforced"]}


def check(server, seen):
    """Nothing that is said to hold went through, and what is allowed did."""
    held = enforced(server)
    through = {name for name in OF if held[name] and "done" in [seen[attempt] for attempt in OF[name]]}
    assert through == set(), (held, seen)
    assert [seen[twin] for twin in TWINS] == ["done"] * len(TWINS), seen
    if not held["files"]:
        assert seen["read"] == "done"  # what is said not to hold doesn't


def test_what_is_said_to_hold_holds_for_a_kernel(lesser, targets):
    kernel = lesser.start_kernel()
    try:
        check(lesser, json.loads(kernel.run(targets).partition("seen=")[2]))
    finally:
        kernel.stop()


def test_what_is_said_to_hold_holds_for_a_terminal(lesser, targets):
    (lesser.workspace / "attempts.py").write_text(targets)
    name = lesser.rest("POST", "api/terminals", json={}).json()["name"]
    url = f"ws://127.0.0.1:{lesser.port}/terminals/websocket/{name}"
    terminal = websocket.create_connection(url, header={"Authorization": f"token {TOKEN}"}, timeout=30)
    terminal.send(json.dumps(["stdin", f"{sys._base_executable} attempts.py; echo en''d\r"]))
    printed = ""
    while not re.search(r"end\r?\n", printed):
        kind, *rest = json.loads(terminal.recv())
        printed += rest[0] if kind == "stdout" else ""
    terminal.close()
    lesser.rest("DELETE", f"api/terminals/{name}")
    check(lesser, json.loads(re.search(r"seen=(\{.*?\})", re.sub(r"\r?\n", "", printed))[1]))


def test_what_does_not_hold_is_said_with_its_setting(lesser):
    missing, setting = HOSTS.get(lesser.kind, (set(), ""))
    held = enforced(lesser)
    assert {name for name, there in held.items() if not there} - {"sockets"} == missing - {"sockets"}
    done = command(lesser, "doctor", "--json")
    report = json.loads(done.stdout)
    assert {g["name"]: g["held"] for g in report["guarantees"]} == held
    for guarantee in report["guarantees"]:
        if guarantee["name"] in missing - {"sockets"}:
            assert setting in guarantee["setting"], guarantee


def test_what_is_required_and_missing_refuses(lesser):
    missing, _ = HOSTS.get(lesser.kind, (set(), ""))
    for name in ("files", "processes", "network"):
        require(lesser, name)
        answer = lesser.rest("POST", "api/kernels", json={"name": "python3"})
        done = command(lesser, "exec", "--workspace", str(lesser.workspace), "--", "/bin/true")
        if name in missing:
            said = answer.json()
            assert (answer.status_code, said["code"]) == (503, "host_cannot_enforce"), said
            assert name in said["message"]
            assert said["next_step"]
            terminal = lesser.rest("POST", "api/terminals", json={})
            assert (terminal.status_code, terminal.json()["code"]) == (503, "host_cannot_enforce"), terminal.text
            assert lesser.rest("GET", "api/terminals").json() == []
            assert done.returncode == 3, done.stderr
            assert command(lesser, "doctor").returncode == 3
        else:
            assert answer.status_code == 201, answer.text
            assert done.returncode == 0, done.stderr
            lesser.rest("DELETE", f"api/kernels/{answer.json()['id']}")
    require(lesser, None)


def require(server, name):
    """Change the policy, and wait until it is in force."""
    before = server.rest("GET", "guardrails/me").json()["policy"]["digest"]
    text = POLICY.replace("require: []", f"require: [{name or ''}]")
    changed = text != server.policy.read_text()
    server.policy.write_text(text)
    deadline = time.monotonic() + 20
    while changed and server.rest("GET", "guardrails/me").json()["policy"]["digest"] == before:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)


def command(server, *arguments):
    """A command of the server's account, on the same host."""
    become = ["setpriv", f"--reuid={server.account.pw_uid}", f"--regid={server.account.pw_gid}", "--clear-groups"]
    prefix = become if server.account.pw_uid != os.getuid() else []
    variables = {"PATH": os.environ["PATH"], "HOME": str(server.root / "home"), "GUARDRAILS_STATE_DIR": str(server.state)}
    variables |= {"GUARDRAILS_POLICY": str(server.policy), "GUARDRAILS_CATALOG": str(server.root / "catalog")}
    line = [*prefix, *server.before, sys.executable, "-m", "jupyter_guardrails", *arguments]
    return subprocess.run(line, env=variables, cwd=server.root, capture_output=True, text=True, check=False, timeout=60)
