"""What is observed and not refused: everything but what is shut is open, and each would-be refusal is recorded once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox_bench import CLOSED, PYTHON, TIMEOUT_S

from jupyter_guardrails.sandbox.launch_all_but import beside, ways
from jupyter_guardrails.sandbox.launch_trace import CALLS, numbers
from jupyter_guardrails.sandbox.launch_tracer import FLUSH_S, UNTOLD

OPEN_BY_NUMBER = "ctypes.CDLL(None).syscall(257, -100, {path!r}.encode(), 0)"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder outside the sandbox with a secret and with a place that is to stay shut."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("secret")
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "token").write_text("token")
    return tmp_path


@pytest.fixture
def observe(sandbox, place):
    """Run code observed; what was recorded as {(kind, what)}, what it printed, and how many times anything came."""

    def run(code: str, *arguments: object, **changes: object) -> tuple[set[tuple[str, str]], str, int]:
        fields = {"observed": True, "trace": True, "network": "host", "shut": (str(place / "shut"),)} | changes
        started = sandbox.start_python(code, *arguments, **fields)
        assert started.tracer, started.report.layers["trace"]
        items = [(seen.kind, seen.what) for batch in started.tracer.batches() for seen in batch.items]
        out, err = started.process.communicate(timeout=TIMEOUT_S)
        assert not err, err
        return set(items), out, len(items)

    return run


ATTEMPTS = {
    "an open": ("print(open({secret!r}).read())", "read", "secret"),
    "a relative open": ("import os; os.chdir({out!r}); print(open('secret').read())", "read", "secret"),
    "an open beneath a directory": (
        "import os; d = os.open({out!r}, os.O_PATH); print(os.read(os.open('secret', 0, dir_fd=d), 9))",
        "read",
        "secret",
    ),
    "a link in the workspace": ("import os; os.symlink({secret!r}, 'link'); print(open('link').read())", "read", "secret"),
    "a child": ("import os; os.system('cat {secret}')", "read", "secret"),
    "a thread": ("import threading; t = threading.Thread(target=open, args=({secret!r},)); t.start(); t.join()", "read", "secret"),
    "a listing": ("import os; print(os.listdir({out!r}))", "read", ""),
    "a new file": ("open({out!r} + '/new', 'w').write('x')", "write", "new"),
    "an emptied file": ("import os; os.truncate({secret!r}, 0)", "write", "secret"),
    "a new folder": ("import os; os.mkdir({out!r} + '/folder')", "write", "folder"),
    "a removed file": ("import os; os.unlink({secret!r})", "write", "secret"),
    "a file moved away": ("import os; os.rename({secret!r}, {out!r} + '/moved')", "write", "moved"),
    "a hard link": ("import os; os.link({secret!r}, 'mine')", "write", "secret"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_would_be_refused_succeeds_and_is_recorded(sandbox, observe, place, attempt):
    code, kind, name = ATTEMPTS[attempt]
    out = place / "out"
    code = code.format(secret=str(out / "secret"), out=str(out))
    found, _, _ = observe(code)
    assert (kind, str(out / name) if name else str(out)) in found


@pytest.mark.parametrize("attempt", ["an open", "a new file", "a listing", "a removed file"])
def test_the_same_is_refused_when_enforced(sandbox, place, attempt):
    out = place / "out"
    assert sandbox.outcome(ATTEMPTS[attempt][0].format(secret=str(out / "secret"), out=str(out))) in CLOSED


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of openat is that of x86-64")
def test_a_raw_system_call_is_recorded(observe, place):
    path = str(place / "out" / "secret")
    found, _, _ = observe(f"import ctypes; assert {OPEN_BY_NUMBER.format(path=path)} > 0")
    assert ("read", path) in found


def test_what_would_be_allowed_is_not_recorded(observe, sandbox):
    found, out, _ = observe("import json, os; open('mine', 'w').write('x'); print(open('mine').read(), os.listdir('/usr')[0] != '')")
    assert (found, out) == (set(), "x True\n")


def test_what_fails_anyway_is_not_recorded(observe, place):
    code = "import sys\nfor path in sys.argv[1:]:\n    try: open(path)\n    except OSError as error: print(error.errno)"
    found, out, _ = observe(code, place / "out" / "no-such-file", place / "no-such-folder" / "file")
    assert (found, out) == (set(), "2\n2\n")


def test_each_thing_is_recorded_once(observe, place):
    path = str(place / "out" / "secret")
    _, _, count = observe(f"for _ in range(50): open({path!r}).close()")
    assert count == 1


def test_what_is_shut_stays_shut(observe, place):
    code = """
import os, sys
for how in ("open(shut + '/token')", "open(shut + '/new', 'w')", "os.unlink(shut + '/token')", "os.rename(shut, shut + '2')", "os.mkdir(shut + '/d')",
            "os.link(shut + '/token', 'mine')", "os.symlink(shut, 'link') or open('link/token')"):
    shut = sys.argv[1]
    try: eval(how); print("done", how)
    except OSError as error: print(error.errno)
"""
    _, out, _ = observe(code, place / "shut")
    assert set(out.split()) <= {"13", "18"}, out  # 18: a hard link across what may not be left is EXDEV
    assert (place / "shut" / "token").read_text() == "token"


def test_a_list_that_holds_what_is_shut_does_not_open_it(observe, place):
    code = (
        "import sys\ntry: open(sys.argv[1] + '/shut/token'); print('open')\nexcept PermissionError: print(open(sys.argv[1] + '/out/secret').read())"
    )
    _, out, _ = observe(code, place, read=("/usr", "/lib", "/lib64", "/proc", str(place)))
    assert out == "secret\n"


def test_connections_are_recorded_but_not_those_to_a_listener_of_ones_own(observe):
    code = """
import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])))
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname())
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"x", ("127.0.0.1", 9))
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found, _, _ = observe(code, port)
    assert {what for kind, what in found if kind == "connect"} == {f"127.0.0.1:{port}", "127.0.0.1:9"}


def test_signals_and_debugging_stay_refused(sandbox, observe):
    code = "import os, sys\ntry: os.kill(int(sys.argv[1]), 0); print('sent')\nexcept PermissionError: print('refused')"
    assert observe(code, os.getpid())[1] == "refused\n"


def test_a_tracer_that_dies_makes_calls_fail_and_none_hang(sandbox, place):
    code = "import sys\nprint('ready', flush=True); sys.stdin.readline()\ntry: open('/etc/passwd')\nexcept OSError as error: print(error.errno)"
    started = sandbox.start_python(code, observed=True, trace=True, popen={"stdin": subprocess.PIPE})
    assert started.process.stdout.readline() == "ready\n"
    started.tracer.process.kill()
    assert list(started.tracer.batches()) == []
    out, _ = started.process.communicate("go\n", timeout=TIMEOUT_S)
    assert (out, started.tracer.broke) == ("38\n", True)  # ENOSYS


def test_many_different_files_are_counted_and_memory_is_bounded(sandbox, place):
    count = 5000
    code = f"""
import os, sys
for number in range({count}):
    os.close(os.open(f"{{sys.argv[1]}}/{{number}}", os.O_CREAT | os.O_RDWR))
print("done", flush=True)
sys.stdin.readline()
"""
    started = sandbox.start_python(code, place / "out", observed=True, trace=True, popen={"stdin": subprocess.PIPE})
    assert started.process.stdout.readline() == "done\n"
    status = Path(f"/proc/{started.tracer.process.pid}/status").read_text()
    started.process.stdin.close()
    batches = list(started.tracer.batches())
    kept, lost = sum(len(batch.items) for batch in batches), sum(batch.lost for batch in batches)
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert kept == 1000
    assert kept + lost == count
    assert peak_kib < 64 << 10


def test_long_lists_and_long_paths_fit_into_messages(observe, place):
    code = """
import os, sys
os.chdir(sys.argv[1])
for number in range(200):
    os.makedirs(f"{number:04}" + chr(0xe4) * 100 + "/" + "b" * 200)
"""
    many = ("/usr" + "/." * 40,) * 5000
    found, _, count = observe(code, place / "out", read=("/usr", "/lib", "/lib64", "/proc", "/etc", sys.prefix, *many))
    assert count == len(found) == 400


def test_the_numbers_of_both_architectures_are_complete():
    assert set(numbers("x86_64").values()) == set(CALLS.values())
    assert 56 in numbers("aarch64")
    assert len(numbers("aarch64")) == sum(call.aarch64 is not None for call in CALLS.values())


def test_the_way_to_what_is_shut():
    assert ways(["/usr/lib/none", "/nowhere/at/all"]) == ["/", "/usr", "/usr/lib"]
    assert beside(["/usr", "/usr/lib/none/below", "/etc"], ["/usr/lib/none"]) == ("/usr/lib/none/below", "/etc")


def test_nothing_is_traced_unless_asked_for(sandbox):
    started = sandbox.start(PYTHON, "-c", "pass")
    assert started.tracer is None
    assert started.report.layers["trace"] == "not asked for"


def test_what_a_program_that_is_never_quiet_does_is_recorded_while_it_runs(sandbox, place):
    secret = place / "out" / "secret"
    code = f"open({str(secret)!r})\nprint('up', flush=True)\nimport os, time\nwhile True: os.close(os.open('/etc/passwd', 0)); time.sleep(0.005)"
    started = sandbox.start_python(code, observed=True, trace=True, network="host")
    try:
        assert started.process.stdout.readline() == "up\n"
        assert any(str(secret) == seen.what for batch in started.tracer.batches() for seen in batch.items)  # waits for it
        assert started.process.poll() is None
    finally:
        started.process.kill()
        started.process.communicate(timeout=TIMEOUT_S)
        list(started.tracer.batches())


MANY_FILES = "import os, sys\nfor n in range(4000):\n    open(sys.argv[1] + '/%04d' % n + 'x' * 200, 'w').close()"


def traced(sandbox, place):
    """A program that has ended and of which more was found than waits in a socket, nothing of it read; all of it in one burst."""
    fields = {"observed": True, "trace": True, "network": "host", "shut": (str(place / "shut"),)}
    started = sandbox.start_python(MANY_FILES, place / "out", **fields)
    started.process.communicate(timeout=TIMEOUT_S)
    return started.tracer


def test_whoever_reads_late_is_told_all_once_the_program_has_ended(sandbox, place):
    tracer = traced(sandbox, place)
    time.sleep(2 * FLUSH_S)  # a server that is held up
    batches = list(tracer.batches())
    assert sum(len(batch.items) for batch in batches) + sum(batch.lost for batch in batches) >= 4000
    assert not tracer.broke


def test_a_record_of_which_not_all_could_be_told_is_broken(sandbox, place):
    tracer = traced(sandbox, place)
    assert tracer.process.wait(TIMEOUT_S) == UNTOLD
    assert tracer.broke
    tracer.close()
