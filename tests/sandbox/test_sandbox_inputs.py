"""What a program inside its limits really opened: files told apart from interpreters and libraries, whoever of its processes opened them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from sandbox_bench import PYTHON, SYSTEM, TIMEOUT_S

from jupyter_guardrails.sandbox.launch_inputs import Recorder
from jupyter_guardrails.sandbox.launch_seen import Named
from jupyter_guardrails.sandbox.tracer import Seen


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder that the sandbox may read, with a file; beside it one that it may not."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "data"


@pytest.fixture
def inputs(sandbox, data):
    """Run code with the workspace and the data told; what was recorded, and what the code printed."""

    def run(code: str, *arguments: object, program: str = PYTHON, **more: object) -> tuple[list[Seen], str]:
        fields: dict[str, object] = {
            "read": (*SYSTEM, str(data)),
            "trace": True,
            "told": (str(sandbox.workspace), str(data)),
            "beside": (*SYSTEM, "/dev"),
        } | more
        started = sandbox.start(program, "-c", code, *map(str, arguments), **fields)
        assert started.tracer, started.report.layers["trace"]
        batches = list(started.tracer.batches())
        out, err = started.process.communicate(timeout=TIMEOUT_S)
        assert (err, sum(batch.lost for batch in batches)) == ("", 0)
        return [seen for batch in batches for seen in batch.items], out

    return run


def named(found: list[Seen], kind: str = "read") -> set[str]:
    return {seen.what for seen in found if seen.kind == kind and not seen.stopped}


READS = {
    "open": "print(open(path).read())",
    "a relative path": "import os; os.chdir(os.path.dirname(path)); print(open('rows.csv').read())",
    "beneath a directory": "import os; d = os.open(os.path.dirname(path), os.O_PATH); print(os.read(os.open('rows.csv', 0, dir_fd=d), 99))",
    "a link": "import os; os.symlink(path, 'link'); print(open('link').read())",
    "a link like a module": "import os; os.symlink(path, 'link.so'); print(open('link.so').read())",
    "a child": "import subprocess; print(subprocess.run(['cat', path], capture_output=True, text=True).stdout)",
    "a grandchild": "import os; os.system(f'sh -c \"cat {path}\"')",
    "a thread": "import threading; t = threading.Thread(target=lambda: print(open(path).read())); t.start(); t.join()",
    "a C library": "import ctypes; c = ctypes.CDLL(None); c.fopen.restype = ctypes.c_void_p; print(c.fopen(path.encode(), b'r') and 'a,b')",
    "another C library": "import sqlite3; print(sqlite3.connect(f'file:{path}?mode=ro', uri=True).execute('select 1').fetchone(), 'a,b')",
    "a fork": "import os; pid = os.fork(); pid or (print(open(path).read(), flush=True), os._exit(0)); os.wait()",
}


@pytest.mark.parametrize("how", READS)
def test_a_file_is_recorded_however_it_is_opened(inputs, data, how):
    path = data / "rows.csv"
    found, out = inputs(f"import sys; path = sys.argv[1]; {READS[how]}", path)
    assert "a,b" in out
    if how != "another C library":  # sqlite opens the file when it first reads a table
        assert named(found) == {str(path)}


def test_libraries_with_their_own_way_to_files_are_recorded(inputs, data):
    """Python's audit hook does not see these."""
    pytest.importorskip("duckdb")
    pytest.importorskip("polars")
    import sys

    code = """
import sys, pyarrow.csv, duckdb, polars
for n, read in enumerate((pyarrow.csv.read_csv, duckdb.read_csv, polars.read_csv)):
    read(sys.argv[n + 1])
print("done")
"""
    paths = [data / f"{n}.csv" for n in range(3)]
    for path in paths:
        path.write_text("a,b\n1,2\n")
    found, out = inputs(code, *paths, program=sys.executable)
    assert "done" in out
    assert {str(path) for path in paths} <= named(found)


def test_what_a_program_needs_to_run_is_not_told(inputs):
    found, out = inputs("import json, decimal, email, ssl, os; print(os.listdir('/usr')[0] != '', open('/etc/hostname').read() != '')")
    assert out.strip()
    assert found == []


@pytest.mark.parametrize(("name", "told"), [("mod.so", False), ("mod.pyc", False), ("table.csv", True)])
def test_modules_of_an_environment_are_its_own_where_it_is_made_of_links(tmp_path, data, name, told):
    """As package managers make them; a table that lies there as a link to elsewhere is told."""
    (tmp_path / "environment").mkdir()
    link = tmp_path / "environment" / name
    link.symlink_to(data / "rows.csv")
    lists = {"read": [str(tmp_path)], "write": [], "devices": [], "shut": []}
    recorder = Recorder(told=[str(data)], beside=[str(tmp_path / "environment")], **lists)
    found = recorder.look(Named("read", b"", os.fsencode(link)))
    assert found == (("read", str(data / "rows.csv"), False) if told else None)


@pytest.mark.parametrize("name", ["link.so", "link.pyc"])
def test_a_link_like_a_module_in_a_folder_that_may_be_written_hides_no_file(inputs, sandbox, data, tmp_path, name):
    """A folder that is neither told nor the environment's, as shared memory is."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = "import os, sys; path, link = sys.argv[1:]; os.symlink(path, link); print(open(link).read())"
    lists = {"write": (str(sandbox.workspace), str(scratch)), "beside": (*SYSTEM, "/dev", str(scratch))}
    found, out = inputs(code, data / "rows.csv", scratch / name, **lists)
    assert "a,b" in out
    assert named(found) == {str(data / "rows.csv")}


def test_a_directory_that_is_listed_is_no_input_and_what_is_opened_beneath_it_is(inputs, data):
    code = (
        "import os, sys; names = os.listdir(sys.argv[1]); d = os.open(sys.argv[1], os.O_DIRECTORY); print(os.read(os.open(names[0], 0, dir_fd=d), 9))"
    )
    found, _ = inputs(code, data)
    assert named(found) == {str(data / "rows.csv")}


def test_the_compiled_modules_of_the_workspace_are_not_told_and_its_sources_are(inputs, sandbox):
    (sandbox.workspace / "mine.py").write_text("x = 1\n")
    found, out = inputs("import sys; sys.path.insert(0, '.'); import mine; print(mine.x)")
    assert out == "1\n"
    assert named(found) == {str(sandbox.workspace / "mine.py")}
    assert named(found, "write") == set()


WRITES = {
    "open": "open('new', 'w').write('x')",
    "append": "open('new', 'a').write('x')",
    "a child": "import os; os.system('echo x > new')",
    "rename": "import os; open('old', 'w').write('x'); os.rename('old', 'new')",
    "mkdir": "import os; os.mkdir('new')",
}


@pytest.mark.parametrize("how", WRITES)
def test_what_is_written_is_recorded(inputs, sandbox, how):
    found, _ = inputs(WRITES[how])
    assert str(sandbox.workspace / "new") in named(found, "write")


def test_what_the_sandbox_refused_is_told_as_refused(inputs, data):
    code = "import sys\nfor path in sys.argv[1:]:\n    try: open(path).read()\n    except OSError as error: print(error.errno)"
    secret, nothing = data.parent / "secret.txt", data.parent / "nothing.txt"
    found, out = inputs(code, secret, nothing)
    assert len(out.split()) == 2
    assert [(seen.what, seen.stopped) for seen in found] == [(str(secret), True)]


def test_when_it_was_opened_is_told(inputs, data):
    """On the clock of whoever asks: that is how a cell is found."""
    code = "import sys, time; a = time.monotonic(); open(sys.argv[1]); b = time.monotonic(); print(a, b)"
    before = time.monotonic()
    found, out = inputs(code, data / "rows.csv")
    first, second = map(float, out.split())
    assert before <= first <= found[0].at <= second


def test_an_address_is_recorded(inputs):
    code = "import socket\ntry: socket.create_connection(('10.1.2.3', 443), timeout=1)\nexcept OSError as error: print(error)"
    found, _ = inputs(code)
    assert [(seen.kind, seen.what) for seen in found] == [("connect", "10.1.2.3:443")]


def test_nothing_is_missed_among_many(inputs, data):
    """Several processes that open many files at once."""
    for n in range(400):
        (data / str(n)).touch()
    code = """
import os, sys
for child in range(4):
    if os.fork() == 0:
        for n in range(child, 400, 4):
            open(f"{sys.argv[1]}/{n}").close()
        os._exit(0)
for _ in range(4): os.wait()
"""
    found, _ = inputs(code, data)
    assert named(found) == {str(data / str(n)) for n in range(400)}


def test_the_same_file_a_thousand_times_crowds_out_no_other(inputs, data):
    """More opens than wait at once, in one go: what is known already takes no place for long."""
    (data / "other.csv").touch()
    code = "import sys\nfor n in range(10_000): open(sys.argv[1]).close()\nopen(sys.argv[2]).close()"
    found, _ = inputs(code, data / "rows.csv", data / "other.csv")
    assert [seen.what for seen in found] == [str(data / "rows.csv"), str(data / "other.csv")]


def test_programs_that_are_never_quiet_are_told_of_while_they_run(sandbox, data):
    """Several processes that look at the same file again and again: what they opened before does not wait for their end."""
    code = "import os, sys\nos.fork(); os.fork()\nopen(sys.argv[1]).close()\nfor _ in range(60_000): open('/etc/hostname').close()"
    fields = {"read": (*SYSTEM, str(data)), "trace": True, "told": (str(data),), "beside": (*SYSTEM, "/dev")}
    started = sandbox.start(PYTHON, "-c", code, str(data / "rows.csv"), **fields)
    first = next(started.tracer.batches())
    assert (named(list(first.items)), started.process.poll()) == ({str(data / "rows.csv")}, None)
    started.process.kill()


def test_io_uring_is_no_way_around(inputs):
    found, out = inputs("import ctypes, errno; c = ctypes.CDLL(None, use_errno=True); print(c.syscall(425, 8, 0), ctypes.get_errno())")
    assert out.split()[0] == "-1"
    assert int(out.split()[1]) in (1, 38)  # EPERM or ENOSYS
    assert found == []


def test_the_tracer_hears_no_interrupt_and_ends_with_what_it_traced(sandbox, data):
    """An interrupt is for the program; a tracer that ended would end it too."""
    code = "import signal, sys, time; signal.signal(2, lambda *_: sys.exit(7)); print('ready', flush=True)\nwhile True: time.sleep(0.1)"
    started = sandbox.start(PYTHON, "-c", code, trace=True, told=(str(sandbox.workspace),), beside=SYSTEM, popen={"process_group": 0})
    assert started.process.stdout.readline() == "ready\n"
    os.killpg(started.process.pid, 2)
    os.kill(started.report.pid, 2)
    list(started.tracer.batches())
    started.process.communicate(timeout=TIMEOUT_S)
    assert not started.tracer.broke
    assert started.tracer.process.poll() == 0
