"""Opening beneath a directory: no way out by any path."""

from __future__ import annotations

import errno
import os

import pytest

from jupyter_guardrails.sandbox.beneath import open_beneath


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "in").symlink_to("sub/a.txt")
    (folder / "out").symlink_to("../outside.txt")
    (folder / "up").symlink_to("..")
    return folder


def text(fd: int) -> str:
    with os.fdopen(fd) as file:
        return file.read()


@pytest.mark.parametrize("relative", ["sub/a.txt", "./sub/../sub/a.txt", "in"])
def test_paths_inside_open(root, relative):
    assert text(open_beneath(root, relative, os.O_RDONLY)) == "inside"


@pytest.mark.parametrize("relative", ["../outside.txt", "out", "up/outside.txt", "/etc/passwd", "sub/../../outside.txt"])
def test_paths_that_leave_are_refused(root, relative):
    with pytest.raises(OSError) as refusal:
        open_beneath(root, relative, os.O_RDONLY)
    assert refusal.value.errno == errno.EXDEV


def test_no_symbolic_link_at_all_where_asked(root):
    with pytest.raises(OSError) as refusal:
        open_beneath(root, "in", os.O_RDONLY, no_symlinks=True)
    assert refusal.value.errno == errno.ELOOP
    assert text(open_beneath(root, "sub/a.txt", os.O_RDONLY, no_symlinks=True)) == "inside"


def test_a_descriptor_serves_as_root_and_files_can_be_made(root):
    root_fd = os.open(root, os.O_PATH)
    try:
        fd = open_beneath(root_fd, "sub/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode=0o600)
    finally:
        os.close(root_fd)
    assert not os.get_inheritable(fd)
    os.close(fd)
    assert (root / "sub" / "new").stat().st_mode & 0o777 == 0o600


def test_odd_names(root):
    with pytest.raises(ValueError):
        open_beneath(root, "sub\0/a.txt", os.O_RDONLY)
    with pytest.raises(FileNotFoundError, match="nothing"):
        open_beneath(root, "nothing", os.O_RDONLY)
