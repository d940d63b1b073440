"""Limits of terminals where the launcher confines the server: held as for kernels; and what is said when control is gone for good."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from server_terminal import Terminal

PATIENCE_S = 20.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 400MiB, cpus: 1, tasks: 40, shm: 64MiB}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small, terminals: small, max: 5}, workspace: {size: 30MiB}}]
"""
PYTHON = sys._base_executable
SHOW_MEMORY = f"{PYTHON} -c 'print(len(bytearray(%d << 20)) >> 20, chr(77))'"
FORKS = f"""{PYTHON} -c '
import os, signal
made = []
try:
    while len(made) < 200: made.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {{}}))
except OSError as error: print("after", len(made), type(error).__name__)
[os.kill(pid, signal.SIGKILL) for pid in made]'"""


@pytest.fixture(scope="module")
def launched(make_server):
    other = "nobody" if os.getuid() == 0 and others_can_run() else None
    return make_server(account=other, policy=POLICY, module=("jupyter_guardrails", "server")).wait_ready()


def others_can_run():
    """Linux limits the number of processes of ordinary accounts only."""
    command = [sys.executable, "-c", "import jupyter_guardrails.server.app"]
    return subprocess.run(command, user="nobody", group="nogroup", extra_groups=[], cwd="/", capture_output=True, check=False).returncode == 0


@pytest.fixture
def terminal(launched):
    started = Terminal(launched)
    yield started
    started.stop()


@pytest.mark.slow
def test_memory_is_held(terminal):
    assert "100 M" in terminal.run(SHOW_MEMORY % 100)
    time.sleep(1.0)  # a look: what a process may have is set from outside
    assert "MemoryError" in terminal.run(f"sleep 1; {PYTHON} -c 'import time; time.sleep(1); bytearray(600 << 20)'")


@pytest.mark.slow
def test_processors_and_shared_memory_are_held(terminal):
    assert "count=1\r" in terminal.run("echo count=$(nproc)")
    said = terminal.run("head -c 100M /dev/zero > /dev/shm/full; echo size=$(stat -c %s /dev/shm/full); rm /dev/shm/full")
    assert "No space left" in said
    assert f"size={64 << 20}\r" in said
    assert "wrote=30" in terminal.run("head -c 30M /dev/zero > /dev/shm/fits; echo wrote=$(($(stat -c %s /dev/shm/fits) >> 20)); rm /dev/shm/fits")


@pytest.mark.slow
def test_files_in_shared_memory_count_as_memory_once_they_are_closed(terminal, launched):
    terminal.run("head -c 50M /dev/zero > /dev/shm/kept")

    def used():
        return [k["memory_bytes"] for k in launched.rest("GET", "guardrails/kernels").json()["kernels"] if k["kind"] == "terminal"][-1]

    until(lambda: used() > 50 << 20)
    terminal.run("rm /dev/shm/kept")
    until(lambda: used() < 40 << 20)


@pytest.mark.slow
def test_tasks_are_held(terminal):
    if os.getuid() == 0 and "uid=0" in terminal.run("echo uid=$(id -u)"):
        pytest.skip("Linux counts no processes of root")
    said = terminal.run(FORKS)
    assert "BlockingIOError" in said
    assert 20 < int(said.split("after ")[-1].split()[0]) < 45


@pytest.mark.slow
def test_a_full_workspace_refuses_growth(terminal):
    said = terminal.run("for i in $(seq 300); do head -c 1M /dev/zero >> large || break; sleep 0.02; done; ls -s --block-size=1M large; id")
    assert "File too large" in said
    terminal.run("rm large")
    until(lambda: "again=2" in terminal.run("head -c 2M /dev/zero > again; echo again=$(($(stat -c %s again) >> 20)); rm again"))


def until(question):
    deadline = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def supervisor_of(server):
    """The process number of the supervisor of the control that serves this state directory."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        words = Path(f"/proc/{entry}/cmdline")
        try:
            line = words.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "jupyter_guardrails.control.supervisor" in line and f"--state-dir={server.state}" in line:
            return int(entry)
    raise AssertionError("no supervisor")


@pytest.mark.slow
def test_when_control_has_ended_for_good_it_is_said_that_the_server_must_be_started_again(make_server):
    """A control that is started by hand is of no use to it: the mounter has ended with the first one, and the new token is out of reach."""
    server = make_server(policy=POLICY, module=("jupyter_guardrails", "server")).wait_ready()
    kernel = server.start_kernel()
    kernel.run("kept = 41")
    os.kill(supervisor_of(server), signal.SIGKILL)
    until(lambda: not (server.state / "control.token").exists())
    command = [sys.executable, "-m", "jupyter_guardrails", "control", f"--policy={server.policy}", f"--catalog={server.root / 'catalog'}"]
    anew = subprocess.Popen([*command, f"--state-dir={server.state}"], stderr=subprocess.DEVNULL)
    try:
        until((server.state / "control.token").exists)
        until(lambda: "has ended" in server.rest("GET", "guardrails/me").json()["message"])
        for path, body in (("api/kernels", {"name": "python3"}), ("api/terminals", {})):
            answer = server.rest("POST", path, json=body)
            assert answer.status_code == 503, answer.text
            assert "control, which decides for this server, has ended" in answer.json()["message"]
            assert "start it again with `jupyter guardrails lab`" in answer.json()["message"]
        assert kernel.run("print(kept + 1)") == "42\n"
    finally:
        anew.terminate()
        anew.wait(20)
