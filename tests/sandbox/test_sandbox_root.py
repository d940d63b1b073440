"""A root of its own: what isn't listed isn't there, whatever Landlock leaves open; what is listed works as before."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from sandbox_bench import CLOSED, PYTHON

from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.launch_root import View, copies, find, follow, follow_known
from jupyter_guardrails.sandbox.spec import Limits

CONNECT = "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])"
PROCESSES = "print(*sorted(int(p) for p in os.listdir('/proc') if p.isdigit()), os.getpid())"


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_a_socket_by_path_outside_is_not_there_and_one_inside_is(sandbox, tmp_path):
    with listen(tmp_path / "agent"), listen(sandbox.workspace / "own"):
        assert sandbox.outcome(CONNECT, tmp_path / "agent", require=("sockets",)) == "ENOENT"
        assert sandbox.outcome(CONNECT, sandbox.workspace / "own") == "done"
        assert sandbox.outcome(CONNECT, tmp_path / "agent", root="shared") == "done"  # why it needs the own root


def test_modes_and_dates_outside_can_not_be_changed(sandbox, secret):
    before = secret.stat()
    for change in ("os.chmod(sys.argv[1], 0o777)", "os.utime(sys.argv[1], (1, 1))", "os.setxattr(sys.argv[1], 'user.x', b'1')"):
        assert sandbox.outcome(change, secret) == "ENOENT"
    assert secret.stat() == before
    (sandbox.workspace / "own").write_text("")
    assert sandbox.outcome("os.chmod('own', 0o600)") == "done"


def test_modes_of_what_may_only_be_read_can_not_be_changed(sandbox, tmp_path):
    (tmp_path / "data").mkdir()
    read = (*sandbox.spec("x").read, str(tmp_path / "data"))
    assert sandbox.outcome("os.chmod(sys.argv[1], 0o777)", tmp_path / "data", read=read) == "EROFS"
    assert sandbox.outcome("os.listdir(sys.argv[1])", tmp_path / "data", read=read) == "done"


def test_only_its_own_processes_exist_for_it(sandbox):
    *seen, own = map(int, sandbox.python(f"import os; {PROCESSES}").out.split())
    assert seen == [1, own]


def test_the_names_of_the_rest_of_the_machine_are_not_there(sandbox):
    tops = set(sandbox.python("import os; print(*os.listdir('/'))").out.split())
    assert not tops & {"root", "home", "var", "opt", "srv", "run"}
    assert {"usr", "proc", "dev", "tmp"} <= tops
    assert sandbox.outcome("open('/new', 'w')") in ("EROFS", "EACCES")


def test_shared_memory_has_its_own_size(sandbox):
    fill = "with open('/dev/shm/x', 'wb') as f: f.write(bytes(3 << 20)); f.flush()"
    limits = Limits(memory_bytes=1 << 30, shm_bytes=2 << 20)
    assert sandbox.outcome(fill, limits=limits) == "ENOSPC"
    assert sandbox.outcome(fill, limits=Limits(memory_bytes=1 << 30, shm_bytes=4 << 20)) == "done"
    assert not os.path.exists("/dev/shm/x")


def test_tmp_is_a_folder_of_its_own(sandbox, tmp_path):
    private = tmp_path / "t"
    private.mkdir()
    write = (*sandbox.spec("x").write, str(private))
    assert sandbox.outcome("open('/tmp/made', 'w').write('x')", temporary=str(private), write=write) == "done"
    assert (private / "made").read_text() == "x"
    assert sandbox.outcome("open('/tmp/made', 'w')") in ("EROFS", "EACCES", "ENOENT")  # without one, nothing is there


def test_a_file_shows_in_the_place_of_another(sandbox, tmp_path):
    (tmp_path / "hosts").write_text("127.64.0.1 db.example.com")
    code = "print(open('/etc/hosts').read())"
    assert "db.example.com" in sandbox.python(code, covers=((str(tmp_path / "hosts"), "/etc/hosts"),)).out
    assert "db.example.com" not in sandbox.python(code).out
    assert sandbox.outcome("open('/etc/hosts', 'a')", covers=((str(tmp_path / "hosts"), "/etc/hosts"),)) in ("EROFS", "EACCES")


def test_terminals_of_others_are_not_there(sandbox):
    code = "import os, pty\nprint(os.listdir('/dev/pts'))\npty.openpty()\nprint(sorted(os.listdir('/dev/pts')))"
    devices = (*sandbox.spec("x").devices, "/dev/ptmx", "/dev/pts")
    ours = os.openpty()
    try:
        assert sandbox.python(code, devices=devices).out.splitlines() == ["['ptmx']", "['0', 'ptmx']"]
    finally:
        for fd in ours:
            os.close(fd)


def test_no_directory_descriptor_leads_out(sandbox, tmp_path):
    """A directory that the starter holds open and inheritable must not be a way out (it was one of a chroot)."""
    outside = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(outside, True)
    code = (
        "import os, stat\nfound = []\nfor fd in map(int, os.listdir('/proc/self/fd')):\n"
        "    try: found.append(stat.S_ISDIR(os.fstat(fd).st_mode) and os.readlink(f'/proc/self/fd/{fd}') != '/proc/self/fd')\n"
        "    except OSError: pass\nprint(any(found))\n"
        "d = os.open('.', os.O_RDONLY)\nfor _ in range(64): os.chdir('..')\nprint(os.getcwd(), sorted(os.listdir('.')) == sorted(os.listdir('/')))"
    )
    prepared = prepare(sandbox.spec(PYTHON, "-c", code))
    process = subprocess.Popen(prepared.argv, env=prepared.env, pass_fds=(*prepared.pass_fds, outside), stdout=subprocess.PIPE, text=True)
    prepared.receive()
    os.close(outside)
    assert process.communicate(timeout=30)[0].splitlines() == ["False", "/ True"]


def test_a_path_through_symbolic_links_works_inside(sandbox, tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a.csv").write_text("1,2")
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "relative").symlink_to("absolute/deep")
    read = (*sandbox.spec("x").read, str(tmp_path / "relative"))
    assert sandbox.outcome("open(sys.argv[1]).read()", tmp_path / "relative" / "a.csv", read=read) == "done"
    assert sandbox.outcome("open(sys.argv[1]).read()", tmp_path / "real" / "deep" / "a.csv", read=read) == "done"


def test_links_in_a_circle_are_missing_and_nothing_more(sandbox, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    ran = sandbox.python("print('ran')", read=(*sandbox.spec("x").read, str(tmp_path / "a")))
    assert (ran.out, ran.report.missing_paths) == ("ran\n", (str(tmp_path / "a"),))


def test_two_hundred_paths(sandbox, tmp_path):
    paths = [tmp_path / f"d{number}" for number in range(200)]
    for path in paths:
        path.mkdir()
        (path / "x").write_text(path.name)
    code = "import sys\nprint(sum(len(open(p + '/x').read()) > 1 for p in sys.argv[1:]))"
    assert sandbox.python(code, *paths, read=(*sandbox.spec("x").read, *map(str, paths))).out == "200\n"


def test_a_name_with_a_newline(sandbox, tmp_path):
    odd = tmp_path / "two\nlines"
    odd.mkdir()
    (odd / "x").write_text("1")
    assert sandbox.outcome("open(sys.argv[1] + '/x').read()", odd, read=(*sandbox.spec("x").read, str(odd))) == "done"


def test_what_lies_below_something_writable_comes_with_it_once(tmp_path):
    (tmp_path / "w" / "below").mkdir(parents=True)
    found = find(View(read=(str(tmp_path / "w" / "below"), "/no/such"), write=(str(tmp_path / "w"),)))
    assert found.missing == ["/no/such"]
    assert [one.path for one in found.shown] == [str(tmp_path / "w" / "below"), str(tmp_path / "w")]
    assert all(stat.S_ISDIR(os.fstat(one.handle).st_mode) for one in found.shown)
    for one in found.shown:
        os.close(one.handle)
    assert copies([]) == []


def test_links_are_followed_the_same_from_memory(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("./x/../real")
    (tmp_path / "x").mkdir()
    links: dict[str, str] = {}
    assert follow(str(tmp_path / "link"), links) == str(tmp_path / "real")
    assert links == {str(tmp_path / "link"): "./x/../real"}
    assert follow_known(str(tmp_path / "link"), links) == str(tmp_path / "real")
    with pytest.raises(FileNotFoundError):
        follow("/no/such/thing", links)


def test_beside_a_workspace_below_tmp_nothing_can_be_written(sandbox, tmp_path):
    private = tmp_path / "t"
    private.mkdir()
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        (Path(place) / "w").mkdir()
        write = (*sandbox.spec("x").write, str(private), f"{place}/w")
        changes = {"temporary": str(private), "write": write, "cwd": f"{place}/w"}
        assert sandbox.outcome("open('../beside', 'w')", **changes) in CLOSED
        assert sandbox.outcome("open('mine', 'w')", **changes) == "done"
        assert sandbox.outcome("open('../beside', 'w')", **changes) in CLOSED  # the second start finds the folders of the first
        assert (Path(place) / "w" / "mine").exists()


def test_where_the_whole_file_system_is_listed_there_is_no_other_root_and_the_report_says_so(sandbox, tmp_path):
    with listen(tmp_path / "agent"):
        ran = sandbox.python("import os; print(os.path.exists(sys.argv[1]))".replace("import os", "import os, sys"), tmp_path / "agent", read=("/",))
    assert ran.out == "True\n"
    assert "sockets" not in ran.report.held()
