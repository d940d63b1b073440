"""The start itself: what travels how, what refuses it, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import pty
import signal
import socket
import statistics
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_bench import PYTHON

from jupyter_guardrails.errors import BadRequest, GuardrailsError, HostCannotEnforce
from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import Limits

SHOW = "import json, os; print(json.dumps([dict(os.environ), sorted(os.listdir('/proc/self/fd'))]))"


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_the_program_gets_exactly_its_environment(sandbox, monkeypatch):
    monkeypatch.setenv("SERVER_TOKEN", "hidden")
    seen = sandbox.start("/usr/bin/env", env={"A": "b", "SPACE": "x y\n"}).process.communicate()[0]
    assert seen == "A=b\nSPACE=x y\n\n"


def test_the_shim_sees_nothing_of_it(sandbox, tmp_path):
    """A user's kernelspec may set LD_PRELOAD: it must not run in the shim, outside the limits."""
    spec = sandbox.spec(PYTHON, "-c", SHOW, env={"LD_PRELOAD": "/nonexistent/evil.so", "KERNEL_SECRET": "s3cret"})
    prepared = prepare(spec)
    assert "s3cret" not in json.dumps([prepared.argv, prepared.env])
    assert "LD_PRELOAD" not in prepared.env
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    prepared.receive()
    out, err = process.communicate(timeout=30)
    assert "evil.so" in err  # the loader of the program itself complained, so the variable arrived there
    assert json.loads(out)[0]["KERNEL_SECRET"] == "s3cret"


def test_no_descriptor_of_the_server_leaks_in(sandbox, tmp_path):
    """An open directory outside would be a way out."""
    outside = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    prepared = prepare(sandbox.spec(PYTHON, "-c", SHOW, channel=f"guardrails-fd-{os.getpid()}", proxy_port=3128))
    leaky = {"pass_fds": (*prepared.pass_fds, outside), "stdout": subprocess.PIPE}
    process = subprocess.Popen(prepared.argv, env=prepared.env, **leaky)
    os.close(outside)
    for fd in prepared.receive()[1]:
        os.close(fd)
    assert json.loads(process.communicate(timeout=30)[0])[1] == ["0", "1", "2", "3"]  # 3 is the listing itself


def test_no_descriptor_stays_in_the_server(sandbox):
    gc.collect()  # what earlier tests left to it must not be closed in between
    before = open_descriptors()
    sandbox.python("pass", popen={"stdout": None, "stderr": None})
    assert open_descriptors() == before
    with pytest.raises(GuardrailsError):
        start(sandbox.spec("/nonexistent/program", channel=f"guardrails-fd-{os.getpid()}"))
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("change", "said"), [({"cwd": "/nonexistent"}, "/nonexistent"), ({"read": ("/nonexistent",)}, "PermissionError|FileNotFoundError")]
)
def test_a_start_that_cannot_work_is_refused_with_its_reason(sandbox, change, said):
    with pytest.raises(GuardrailsError, match=said) as refusal:
        start(replace(sandbox.spec(PYTHON, "-c", "pass"), **change), stderr=subprocess.DEVNULL)
    assert refusal.value.next_step


def test_a_missing_interpreter_is_refused_with_its_name(sandbox):
    with pytest.raises(GuardrailsError, match="no-such-python"):
        sandbox.start("/usr/bin/no-such-python")
    with pytest.raises(GuardrailsError, match="no-such-python"):
        sandbox.start("no-such-python")
    assert sandbox.start("true").process.wait(10) == 0


def test_malformed_specifications_are_refused_before_anything_starts(sandbox):
    with pytest.raises(BadRequest, match="no program"):
        prepare(sandbox.spec())
    with pytest.raises(BadRequest, match="relative/data"):
        prepare(sandbox.spec("true", read=("relative/data",)))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("argv", (5,)),
        ("argv", "true"),
        ("env", {"A": 1}),
        ("env", {"A=B": "c"}),
        ("cwd", None),
        ("read", ("/a\0b",)),
        ("read", "/usr"),
        ("write", ("/\ud800",)),
        ("network", "nonsense"),
        ("root", None),
        ("tty", 1),
        ("proxy_port", 70000),
        ("forwards", (("10.0.0.1", 22),)),
        ("forwards", (("127.64.0.256", 22),)),
        ("forwards", (("127.64.0.1", 0),)),
        ("forwards", (("127.64.0.1", 22),) * 99),
        ("channel", "x" * 200),
        ("temporary", "relative"),
        ("covers", (("/a",),)),
        ("require", "files"),
        ("limits", {}),
    ],
)
def test_a_field_that_makes_no_sense_is_named(sandbox, field, wrong):
    with pytest.raises(BadRequest, match=field) as refusal:
        prepare(replace(sandbox.spec("true"), **{field: wrong}))
    assert refusal.value.next_step


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("memory_bytes", 1e9),  # the judge's sentence could not be built from it, after the start
        ("memory_bytes", 0),
        ("memory_bytes", True),
        ("cpus", float("nan")),
        ("cpus", -0.5),
        ("tasks", 1 << 70),
        ("open_files", None),
        ("file_size_bytes", -1),
        ("shm_bytes", "1GiB"),
        ("lifetime_s", 0),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(sandbox, name, wrong):
    with pytest.raises(BadRequest, match=f"limits.{name} of a sandbox must be a"):
        prepare(sandbox.spec("true", limits=Limits(**{name: wrong})))


def test_limits_at_their_bounds_start(sandbox):
    bounds = Limits(memory_bytes=1 << 62, cpus=0.5, tasks=64, open_files=64, file_size_bytes=0, shm_bytes=0, lifetime_s=1)
    assert sandbox.python("import os; print(os.statvfs('/dev/shm').f_blocks)", limits=bounds).out == "1\n"  # no room is no unlimited room


@pytest.mark.parametrize("root", ["own", "shared"])
def test_thousands_of_paths_that_are_not_there_are_all_reported(sandbox, root):
    gone = tuple(f"/nowhere/{number}/{'x' * 250}" for number in range(3000))
    spec = sandbox.spec("true", root=root)
    started = sandbox.start("true", root=root, read=(*spec.read, *gone))
    assert set(gone) <= set(started.report.missing_paths)
    assert started.process.wait(10) == 0


def test_a_guarantee_that_does_not_hold_stops_the_start(sandbox):
    ran = sandbox.workspace / "ran"
    with pytest.raises(HostCannotEnforce, match="sockets") as refusal:
        sandbox.start("/usr/bin/touch", str(ran), require=("files", "sockets"), root="shared")
    assert "agents" in refusal.value.next_step
    assert not ran.exists()
    assert sandbox.start("/usr/bin/touch", str(ran), require=("files", "network", "memory", "sockets")).process.wait(10) == 0
    assert ran.exists()


def test_an_unknown_guarantee_is_not_taken_for_held(sandbox):
    with pytest.raises(GuardrailsError, match="teleportation"):
        sandbox.start("true", require=("teleportation",))


def test_nothing_runs_before_it_is_told_to(sandbox):
    ran = sandbox.workspace / "ran"
    prepared = prepare(sandbox.spec("/usr/bin/touch", str(ran)))
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stderr=subprocess.DEVNULL)
    prepared.close()  # the server gives up instead
    assert process.wait(10) != 0
    assert not ran.exists()


def test_a_child_that_dies_or_hangs_is_a_refusal(sandbox):
    prepared = prepare(sandbox.spec("true"))
    subprocess.run(["true"], pass_fds=prepared.pass_fds)
    with pytest.raises(GuardrailsError, match="before it reported"):
        prepared.receive()
    prepared = prepare(sandbox.spec("true"))
    with subprocess.Popen(["sleep", "60"], pass_fds=prepared.pass_fds) as process:
        with pytest.raises(GuardrailsError, match="in time"):
            prepared.receive(timeout_s=0.2)
        process.kill()


def killed(process):
    """Everything of a start, gone for sure."""
    for pid in reversed(meter.sample(process.pid).pids):
        with contextlib.suppress(ProcessLookupError):  # the one above it has seen its end, and taken it away
            os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("when", ["before its program is named", "before it is told to go"])
def test_a_start_that_has_died_is_a_refusal(sandbox, when):
    ran = sandbox.workspace / "ran"
    before = open_descriptors()
    prepared = prepare(sandbox.spec("/usr/bin/touch", str(ran)))
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=prepared.pass_fds, stderr=subprocess.DEVNULL)
    prepared.make_place()
    if when == "before it is told to go":
        prepared._attach = lambda report, fds: killed(process)
    else:
        killed(process)
    with pytest.raises(GuardrailsError, match="ended before") as refusal:
        prepared.receive()
    process.wait()
    assert refusal.value.next_step
    assert not ran.exists()
    assert not open_descriptors() - before


PLAYS_ALONG = """
import json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
def spec():
    os.close(socket.recv_fds(control, 16, 1)[1][0])
spec()
control.send(b'{"need": "program"}')
spec()
control.send(sys.argv[2].encode())
assert control.recv(16) == b"go"
if len(sys.argv) > 3: control.send(sys.argv[3].encode())
"""


@pytest.mark.parametrize(
    ("last", "said"), [((), "ended before"), (('{"error": "OSError: no such program"}',), "no such program"), (('{"starts": true}',), "")]
)
def test_one_that_ends_between_the_word_and_its_program_has_not_started(sandbox, last, said):
    report = {"layers": sandbox.start("true").report.layers, "missing_paths": []}
    prepared = prepare(sandbox.spec("true"))
    command = [PYTHON, "-c", PLAYS_ALONG, prepared.argv[-1], json.dumps(report), *last]
    with subprocess.Popen(command, pass_fds=prepared.pass_fds) as process:
        if said:
            with pytest.raises(GuardrailsError, match=said):
                prepared.receive()
        else:
            assert prepared.receive()[0].pid == process.pid


def test_the_report_names_the_program_itself(sandbox):
    started = sandbox.start("/bin/cat", popen={"stdin": subprocess.PIPE})
    assert Path(f"/proc/{started.report.pid}/cmdline").read_bytes() == b"/bin/cat\0"  # by its number here, whatever it is in there
    json.dumps(started.report.to_json())


def foreground(terminal: int) -> str:
    """The name of the program that a terminal's signals go to, seen from its other end."""
    with contextlib.suppress(OSError):
        group = fcntl.ioctl(terminal, termios.TIOCGPGRP, bytes(4))
        return Path(f"/proc/{int.from_bytes(group, sys.byteorder)}/comm").read_text().strip()
    return ""


def test_a_shell_on_a_terminal_has_job_control(sandbox):
    ours, theirs = pty.openpty()
    control = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True, "text": False}
    take = "import fcntl, sys, termios, os; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvpe(sys.argv[1], sys.argv[1:], dict(os.environ))"
    prepared = prepare(sandbox.spec("/bin/bash", "--norc", "-i", tty=True, env={"PS1": "$ ", "PATH": "/usr/bin:/bin", "TERM": "dumb"}))
    process = subprocess.Popen([PYTHON, "-c", take, *prepared.argv], env=prepared.env, pass_fds=prepared.pass_fds, **control)
    os.close(theirs)
    prepared.receive()
    os.write(ours, b"sleep 60\n")
    deadline = time.monotonic() + 30
    while foreground(ours) != "sleep":  # bash tells nobody when it has put it there
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(ours, b"\x03echo $?-$((40+2))\nexit 5\n")
    shown = b""
    while b"exit\r\n" not in shown:
        shown += os.read(ours, 4096)
    assert process.wait(10) == 5
    os.close(ours)
    assert b"130-42" in shown  # sleep was interrupted, the shell was not
    assert b"no job control" not in shown


def test_a_hung_up_terminal_ends_everything(sandbox, alive):
    started = sandbox.start("/bin/sh", "-c", "trap '' HUP; echo up; sleep 600", tty=True, popen={"start_new_session": True})
    started.process.stdout.readline()
    started.process.send_signal(1)
    assert started.process.wait(10) == -1
    assert not alive(started.report.pid)


def test_a_start_costs_little(sandbox):
    """Measured here: 35 to 45 ms on two shared cores, of which 20 ms are the interpreter's own start. The bound is for slow machines."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        sandbox.start("/bin/true").process.wait(10)
        times.append(time.monotonic() - begin)
    assert statistics.median(times) < 0.4


def test_two_sandboxes_may_use_the_same_ports(sandbox):
    first = sandbox.start("/bin/sleep", "60", proxy_port=3128)
    second = sandbox.start("/bin/sleep", "60", proxy_port=3128)
    for started in (first, second):
        assert socket.socket(fileno=os.dup(started.fds[0])).getsockname() == ("127.0.0.1", 3128)
