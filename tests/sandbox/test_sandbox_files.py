"""Files: only the listed ones, by whatever means; names and the account's own modes are said to stay visible."""

from __future__ import annotations

import os

import pytest
from sandbox_bench import CLOSED

OPENAT2 = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
how = struct.pack("QQQ", os.O_RDONLY, 0, 0)
if libc.syscall(437, -100, sys.argv[1].encode(), how, len(how)) < 0:
    raise OSError(ctypes.get_errno(), "openat2")
"""
READERS = {
    "open": "open(sys.argv[1]).read()",
    "a child process": "import subprocess\nif subprocess.run(['cat', sys.argv[1]], capture_output=True).returncode: raise PermissionError(13, 'cat')",
    "openat2 by ctypes": OPENAT2,
    "a symbolic link": "os.symlink(sys.argv[1], 'link')\nopen('link').read()",
    "/proc/self/root": "open('/proc/self/root' + sys.argv[1]).read()",
}
WRITERS = {
    "open": "open(sys.argv[1], 'w').write('x')",
    "truncate": "os.truncate(sys.argv[1], 0)",
    "unlink": "os.unlink(sys.argv[1])",
    "a hard link to it": "os.link(sys.argv[1], 'hard')\nopen('hard', 'w')",
    "renaming it": "os.rename(sys.argv[1], 'mine')",
}


@pytest.fixture(params=["own", "shared"])
def root(request):
    """With a root of its own and without: what these tests say holds in both."""
    return request.param


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_reading_ends_at_the_listed_files(sandbox, secret, reader):
    assert sandbox.outcome(reader, secret) in CLOSED
    inside = sandbox.workspace / "inside.txt"
    inside.write_text("mine")
    (sandbox.workspace / "link").unlink(missing_ok=True)
    assert sandbox.outcome(reader, inside) == "done"


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_writing_ends_at_the_workspace(sandbox, secret, writer):
    assert sandbox.outcome(writer, secret) in CLOSED
    assert secret.read_text() == "secret"
    inside = sandbox.workspace / "inside.txt"
    inside.write_text("mine")
    assert sandbox.outcome(writer, inside) == "done"


def test_a_readable_directory_is_not_writable(sandbox, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("1")
    readable = (*sandbox.spec("x").read, str(data))
    assert sandbox.outcome("open(sys.argv[1]).read()", data / "a.csv", read=readable) == "done"
    assert sandbox.outcome("open(sys.argv[1], 'a')", data / "a.csv", read=readable) in CLOSED


def test_a_listed_file_can_be_read_and_its_neighbour_cannot(sandbox, tmp_path, secret):
    (tmp_path / "one.csv").write_text("1")
    readable = (*sandbox.spec("x").read, str(tmp_path / "one.csv"))
    assert sandbox.outcome("open(sys.argv[1]).read()", tmp_path / "one.csv", read=readable) == "done"
    assert sandbox.outcome("open(sys.argv[1]).read()", secret, read=readable) in CLOSED


def test_a_path_that_does_not_exist_is_reported(sandbox):
    ran = sandbox.python("pass", read=(*sandbox.spec("x").read, "/nonexistent/data"))
    assert ran.report.missing_paths == ("/nonexistent/data",)
    assert sandbox.python("pass").report.missing_paths == ()


def test_new_mounts_and_roots_are_refused(sandbox):
    mount = (
        "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nif l.mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError(ctypes.get_errno(), '')"
    )
    assert sandbox.outcome(mount) == "EPERM"
    assert sandbox.outcome("os.chroot('.')") == "EPERM"
    assert (
        sandbox.outcome("import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nif l.unshare(0x10020000): raise OSError(ctypes.get_errno(), '')")
        == "EPERM"
    )


def test_what_the_report_says_about_root(sandbox):
    files = next(g for g in sandbox.python("pass").report.guarantees if g.name == "files")
    assert files.held
    assert ("runs as root" in files.how) == (os.getuid() == 0)
