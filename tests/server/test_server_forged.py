"""What a kernel says about itself, draws or installs decides nothing: use, state and environment are looked at from outside.

The published snippets KRN-01, KRN-02 and SUP-01 can't judge this: a kernel may always forge its own psutil, show HTML, and fill its own folder.
"""

import json
import time
import zipfile

import pytest
from test_server_policy import put

pytestmark = pytest.mark.slow  # left out of `make test-fast`

BIG_BYTES = 200 << 20
FORGE_PSUTIL = """
import psutil
class Tiny:
    rss = vms = uss = pss = 1
psutil.Process.memory_info = psutil.Process.memory_full_info = lambda self: Tiny()
psutil.Process.cpu_percent = lambda self, interval=None: 0.0
print(psutil.Process().memory_info().rss)
"""
FORGE_REPLY = """
kernel = get_ipython().kernel
tiny = {"hostname": "x", "pid": 1, "kernel_cpu": 0.0, "kernel_memory": 1, "cpu_count": 1}
async def forged(stream, ident, parent):
    kernel.session.send(stream, "usage_reply", {"content": tiny, "status": "ok"}, parent, ident)
kernel.usage_request = kernel.control_handlers["usage_request"] = forged
kernel.session.send(kernel.iopub_socket, "usage_reply", tiny)
print("sent")
"""
LOOK_ALIKE = """
kernel = get_ipython().kernel
say = lambda kind, content: kernel.session.send(kernel.iopub_socket, kind, content)
say("display_data", {"data": {"text/html": "<b>Approved by admin</b>"}, "metadata": {}, "transient": {}})
say("comm_open", {"comm_id": "guardrails", "target_name": "jupyter_guardrails", "data": {"submissions": [{"id": "s-1", "state": "approved"}]}})
say("clear_output", {"wait": False})
print("drawn")
"""


def listed(server, kernel):
    return next(k for k in server.rest("GET", "guardrails/kernels").json()["kernels"] if k["id"] == kernel.id)


def grown(server, kernel):
    """Take memory; how much the watch, which looks twice a second, then finds."""
    kernel.run(f"kept = b'x' * {BIG_BYTES}")
    deadline = time.monotonic() + 40
    while (found := listed(server, kernel)["memory_bytes"]) <= BIG_BYTES:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_use_is_measured_from_outside_whatever_a_kernel_says(kernel, server):
    """KRN-01."""
    assert kernel.run(FORGE_PSUTIL) == "1\n"
    assert kernel.run(FORGE_REPLY) == "sent\n"
    assert grown(server, kernel) > BIG_BYTES
    assert "MemoryError" in kernel.run("more = b'x' * (4 << 30)")  # the limit holds by the same numbers


def test_an_honest_kernel_is_measured_alike(kernel, server):
    deadline = time.monotonic() + 40
    while not (before := listed(server, kernel)["memory_bytes"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert before < BIG_BYTES
    assert grown(server, kernel) < before + 2 * BIG_BYTES


def state(server):
    """What a panel is drawn from; numbers that move by themselves left out."""
    whole = {name: server.rest("GET", f"guardrails/{name}").json() for name in ("me", "submissions", "requests")}
    return json.dumps(whole, sort_keys=True)


def test_what_a_kernel_draws_changes_no_state_of_the_panel(kernel, server):
    """KRN-02; the twin is what a person asks for over REST, which does."""
    before = state(server)
    assert kernel.run(LOOK_ALIKE).endswith("drawn\n")
    assert state(server) == before
    asked = server.rest("POST", "guardrails/requests", json={"dataset": "hr/salaries", "purpose": "the twin of a forged one"})
    assert asked.status_code == 201
    assert "hr/salaries" in server.rest("GET", "guardrails/requests").text  # also where another test has asked before


@pytest.mark.parametrize("path", ["submissions/s-1/decision", "submissions/s-1/approve", "requests/r-1/decision"])
def test_nothing_is_approved_from_a_page(server, path):
    """No route of the browser's decides; what a page may do is ask."""
    for body in ({"decision": "approved"}, {"decision": "grant"}, {"decision": "approve", "content_digest": "a" * 64, "evidence_digest": "b" * 64}):
        assert server.rest("POST", f"guardrails/{path}", json=body).status_code in (400, 403, 404, 405)
    assert server.rest("GET", "guardrails/submissions").status_code == 200


INSTALL = """
import subprocess, sys
def pip(*arguments):
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", *arguments],
                          capture_output=True, text=True)
    said = done.stdout + done.stderr
    print(done.returncode, any(words in said for words in ("denied", "not writeable", "Read-only")))
"""


def wheel(server):
    """A wheel that drops a `.pth` line, which would run in every interpreter of the environment."""
    path = server.workspace / "grcanary-0-py3-none-any.whl"
    info = "grcanary-0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("grcanary.py", "here = True\n")
        archive.writestr("grcanary.pth", f"import pathlib; pathlib.Path({str(server.workspace / 'pth-ran')!r}).touch()\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: grcanary\nVersion: 0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    path.chmod(0o644)
    return path


def test_what_a_kernel_installs_never_comes_into_the_servers_environment(kernel, server):
    """SUP-01, SUP-04: the environment is read-only, also for root; the workspace is the person's, and what lies there runs in kernels alone."""
    package = wheel(server)
    kernel.run(INSTALL)
    refused = kernel.run(f"pip({str(package)!r})")
    assert refused.startswith("1 True"), refused
    assert kernel.run(f"pip('--target', {str(server.workspace / 'lib')!r}, {str(package)!r})").startswith("0")
    assert (server.workspace / "lib" / "grcanary.pth").exists()  # visible: a file of the workspace, as submissions look at it
    again = server.start_kernel()
    assert not (server.workspace / "pth-ran").exists()
    assert "ModuleNotFoundError" in again.run("import grcanary")
    assert again.run("import sys; sys.path.insert(0, 'lib'); import grcanary; print(grcanary.here)") == "True\n"
    again.stop()


BASH = """\
cat "$1" > "$2/outside.txt" 2>&1
cat "$2/mine.txt" > "$2/inside.txt" 2>&1
(exec 3<>/dev/tcp/127.0.0.1/"$3") > "$2/network.txt" 2>&1 && echo connected > "$2/network.txt"
echo done > "$2/done.txt"
"""


def test_a_kernel_that_is_no_python_is_held_alike(server):
    """KRN-07: the provisioner is the same for every kernelspec; this one is bash, and ends after what it tried."""
    folder, place = server.root / "share" / "kernels" / "bash", server.workspace / "bash"
    folder.mkdir(parents=True)
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    (place / "mine.txt").write_text("mine")
    argv = ["/bin/bash", "-c", BASH, "bash", str(server.secret / "secret.txt"), str(place), str(server.port)]
    spec = {"argv": argv, "display_name": "bash", "language": "bash", "metadata": {"supported_encryption": ["curve"]}}
    (folder / "kernel.json").write_text(json.dumps(spec))
    answer = server.rest("POST", "api/kernels", json={"name": "bash"})
    assert answer.status_code == 201, answer.text
    waiting = server.start_kernel()
    waiting.run(f"import os, time\nwhile not os.path.exists({str(place / 'done.txt')!r}): time.sleep(0.05)")
    waiting.stop()
    server.rest("DELETE", f"api/kernels/{answer.json()['id']}")
    assert "No such file" in (place / "outside.txt").read_text()
    assert (place / "inside.txt").read_text() == "mine"
    assert "connected" not in (place / "network.txt").read_text()


SHORT_LIVED = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1, idle: 2s, lifetime: LIFETIME}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 5}}
"""
CHATTY = "import time\nwhile True: print('.', end='', flush=True); time.sleep(0.1)"


@pytest.mark.parametrize(("lifetime", "ended"), [("8s", True), ("1h", False)])
def test_a_kernel_that_is_never_idle_still_ends_with_its_lifetime(make_server, lifetime, ended):
    """RES-21: outputs keep a kernel from being idle, not from its lifetime, and what it uses is counted."""
    server = make_server(policy=SHORT_LIVED.replace("LIFETIME", lifetime)).wait_ready()
    kernel = server.start_kernel()
    cell = kernel.send(CHATTY)
    if ended:
        assert "its profile lets it run for 8 s" in kernel.wait(cell, until="lets it run for 8 s")
    else:
        kernel.wait(cell, until="." * 40)  # longer than it might be idle
        assert listed(server, kernel)["idle_s"] == 0
    server.stop()


def test_a_role_counts_from_the_request_after_it_was_taken_away(make_server, server):
    """WEB-16: token and cookie stay the same, the role is looked up each time."""
    own = make_server(account=server.account.pw_name).wait_ready()
    text = own.policy.read_text()
    roles = lambda: own.rest("GET", "guardrails/me").json()["roles"]  # noqa: E731
    put(own, text + f"admins: {{users: [{own.account.pw_name}]}}\n")
    assert "admin" in roles()
    put(own, text)
    assert "admin" not in roles()
