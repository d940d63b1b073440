"""Processes: nothing outside can be touched, nothing inside survives, interrupts arrive once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sandbox_bench import BEYOND, PYTHON

from jupyter_guardrails.sandbox.spec import Limits

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open("daemon", "w").write(str(os.getpid()))
        os.close(1); os.close(2)
        time.sleep(600)
    os._exit(0)
os.wait()
while not (os.path.exists("daemon") and open("daemon").read()): time.sleep(0.01)
print("up", flush=True)
"""
INTERRUPTED = """
import signal, sys, time, os
count = 0
def noted(*_):
    global count
    count += 1
    os.write(1, b"noted\\n")
signal.signal(signal.SIGINT, noted)
print("up", flush=True)
sys.stdin.readline()
print(count, flush=True)
"""


@pytest.fixture(params=["own", "shared"])
def root(request):
    """With a root of its own and without: what these tests say holds in both."""
    return request.param


def wait_until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def victim():
    """A process of the same account, outside."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


def ctypes_call(expression: str) -> str:
    return f"import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nif {expression} < 0: raise OSError(ctypes.get_errno(), '')"


AGAINST_OTHERS = {
    "signal": "os.kill(int(sys.argv[1]), 0)",
    "pidfd signal": "import signal\nsignal.pidfd_send_signal(os.pidfd_open(int(sys.argv[1])), 0)",
    "ptrace": ctypes_call("l.ptrace(16, int(sys.argv[1]), 0, 0)"),
    "memory": "open(f'/proc/{sys.argv[1]}/mem', 'rb')",
    "environment": "open(f'/proc/{sys.argv[1]}/environ', 'rb').read()",
    "prlimit": "import resource\nresource.prlimit(int(sys.argv[1]), resource.RLIMIT_NOFILE, (64, 64))",
    "priority": "os.setpriority(os.PRIO_PROCESS, int(sys.argv[1]), 19)",
}


@pytest.mark.parametrize("attack", AGAINST_OTHERS.values(), ids=AGAINST_OTHERS)
def test_processes_outside_cannot_be_touched(sandbox, victim, attack):
    assert sandbox.outcome(attack, victim) in BEYOND


def test_the_wardens_cannot_be_touched(sandbox):
    assert sandbox.outcome("os.kill(os.getppid(), 9)") == "EPERM"


@pytest.mark.parametrize(
    "allowed", ["os.kill(child, 9)", "import signal\nsignal.pidfd_send_signal(os.pidfd_open(child), 15)", "open(f'/proc/{child}/environ')"]
)
def test_its_own_children_can_be(sandbox, allowed):
    assert sandbox.outcome(f"import subprocess\nchild = subprocess.Popen(['sleep', '5']).pid\n{allowed}") == "done"


def test_its_own_priority_and_limits_can_be_lowered(sandbox):
    assert sandbox.outcome("os.nice(1)\nimport resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))") == "done"


def test_its_own_data_limit_is_not_its_to_set(sandbox):
    raise_it = "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))"
    assert sandbox.python(raise_it).err.strip().splitlines()[-1].startswith("ValueError")  # how Python words EPERM here
    by_number = "l.syscall(302, 0, 2, ctypes.byref((ctypes.c_ulong * 2)(-1, -1)), None)"
    assert sandbox.outcome(ctypes_call(by_number)) == "EPERM"
    assert (
        sandbox.outcome(ctypes_call(by_number.replace(" 2,", " 4,", 1).replace("(-1, -1)", "(0, 0)"))) == "done"
    )  # RLIMIT_CORE: the call itself works


def of_sandbox(workspace):
    """Processes, as this machine numbers them, that have the workspace in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(workspace).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("end", ["itself", "SIGTERM", "SIGHUP", "SIGKILL", "group"])
def test_a_daemon_ends_with_its_sandbox(sandbox, end):
    code = DAEMON + ("" if end == "itself" else "time.sleep(600)")
    started = sandbox.start_python(code, sandbox.workspace, popen={"start_new_session": True})
    assert started.process.stdout.readline() == "up\n"
    if end == "group":
        os.killpg(started.process.pid, signal.SIGKILL)
    elif end != "itself":
        assert len(of_sandbox(sandbox.workspace)) == 2
        started.process.send_signal(getattr(signal, end))
    started.process.wait(10)
    wait_until(lambda: not of_sandbox(sandbox.workspace))


def test_it_ends_with_the_process_that_started_it(sandbox, tmp_path):
    script = tmp_path / "server.py"
    spec = sandbox.spec(PYTHON, "-c", DAEMON + "time.sleep(600)", str(sandbox.workspace))
    script.write_text(
        "import sys, os\nfrom jupyter_guardrails.sandbox.run import start\nfrom jupyter_guardrails.sandbox.spec import *\n"
        f"s = start({spec!r})\nprint(s.report.pid, flush=True)\nsys.stdin.readline()\n"
    )
    server = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = {server.stdout.readline().strip(), server.stdout.readline().strip()}
    assert int(next(line for line in lines if line != "up")) in of_sandbox(sandbox.workspace)
    server.kill()
    server.wait()
    wait_until(lambda: not of_sandbox(sandbox.workspace))


@pytest.mark.parametrize("send", [lambda p: os.killpg(p.pid, signal.SIGINT), lambda p: p.send_signal(signal.SIGINT)], ids=["group", "process"])
def test_an_interrupt_arrives_exactly_once(sandbox, send):
    started = sandbox.start_python(INTERRUPTED, popen={"stdin": subprocess.PIPE, "start_new_session": True})
    assert started.process.stdout.readline() == "up\n"
    send(started.process)
    assert started.process.stdout.readline() == "noted\n"
    time.sleep(0.3)  # a second one, if any, would come right after the first
    started.process.stdin.write("\n")
    started.process.stdin.flush()
    assert started.process.stdout.readline() == "1\n"
    assert started.process.wait(10) == 0


@pytest.mark.parametrize(
    ("code", "expected"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", -11), ("import os; os.abort()", -6), ("pass", 0)]
)
def test_the_exit_status_is_passed_on(sandbox, code, expected):
    assert sandbox.python(code).code == expected


def test_a_termination_shows_as_one(sandbox):
    started = sandbox.start_python("import time; print('up', flush=True); time.sleep(600)")
    started.process.stdout.readline()
    started.process.terminate()
    assert started.process.wait(10) == -signal.SIGTERM


FORKS = """
import os
made = 0
try:
    while made < 60:
        if os.fork() == 0:
            import time; time.sleep(600)
        made += 1
except BlockingIOError:
    pass
print(made)
"""


@pytest.mark.skipif(os.getuid() == 0, reason="Linux counts no processes of root")
def test_the_number_of_processes_is_limited(sandbox):
    limited = sandbox.python(FORKS, limits=Limits(tasks=20), require=("processes",))
    assert int(limited.out) == 19
    assert int(sandbox.python(FORKS, limits=Limits(tasks=100)).out) == 60


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_as_root_the_report_admits_that_processes_are_not_counted(sandbox):
    verdict = {g.name: g for g in sandbox.python("pass", limits=Limits(tasks=20)).report.guarantees}["processes"]
    assert not verdict.held
    assert "root" in verdict.how
    assert sandbox.python("pass", limits=Limits()).report.guarantees[2].held


def test_no_capabilities_are_left(sandbox):
    status = sandbox.python("print(open('/proc/self/status').read())").out
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


def test_cpus_are_bound_and_cannot_be_widened(sandbox):
    widen = "import os; os.sched_setaffinity(0, range(os.cpu_count())); print(len(os.sched_getaffinity(0)))"
    assert sandbox.python(widen, limits=Limits(cpus=1)).out == "1\n"
    if len(os.sched_getaffinity(0)) > 1:
        assert int(sandbox.python(widen, limits=Limits(cpus=2)).out) == 2


def test_files_have_a_largest_size(sandbox):
    write = "f = open('big', 'wb')\nf.write(bytes(1 << 20))\nf.flush()"
    assert sandbox.outcome(write, limits=Limits(file_size_bytes=1 << 16)) == "EFBIG"
    assert sandbox.outcome(write, limits=Limits(file_size_bytes=1 << 22)) == "done"
