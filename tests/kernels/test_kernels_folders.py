"""Private folders: made, filled with grants, removed."""

import fcntl
import logging
import os
import shutil
import stat

import pytest

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import folders


def test_folders_are_private_and_short(tmp_path):
    made = folders.make_folders(tmp_path)
    for folder in (made.root, made.connection, made.temporary, made.state, made.data, made.configuration):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    socket = str(made.connection / "s-1").replace(str(tmp_path), "/tmp/gr-abcdefgh")
    assert len(socket) < 60


def test_two_kernels_share_nothing(tmp_path):
    assert folders.make_folders(tmp_path).root != folders.make_folders(tmp_path).root


def test_grants_are_shown_by_name_and_only_those(tmp_path):
    made = folders.make_folders(tmp_path)
    (tmp_path / "flights.csv").write_text("AA")
    folders.show_grants(made, {"nyc/flights": str(tmp_path / "flights.csv"), "nyc/old": "/gone"})
    assert (made.data / "nyc" / "flights").read_text() == "AA"
    folders.show_grants(made, {"nyc/flights": str(tmp_path / "flights.csv")})
    assert [entry.name for entry in (made.data / "nyc").iterdir()] == ["flights"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b", "a/./b", ""])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    made = folders.make_folders(tmp_path)
    with pytest.raises(errors.Refused, match="folder's name"):
        folders.show_grants(made, {name: "/data"})


def test_removal_follows_no_link(tmp_path):
    made = folders.make_folders(tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (made.state / "link").symlink_to(kept)
    folders.remove_folders(made)
    assert not made.root.exists()
    assert (kept / "file").exists()


def test_what_can_not_be_removed_is_named(tmp_path, caplog, monkeypatch):
    made = folders.make_folders(tmp_path)
    monkeypatch.setattr(os, "rmdir", lambda *a, **k: (_ for _ in ()).throw(PermissionError("stuck")))
    with caplog.at_level(logging.WARNING):
        folders.remove_folders(made)
    assert str(made.root) in caplog.text


def test_a_run_directory_says_that_it_is_in_use():
    run_dir = folders.make_run_dir()
    with (run_dir / "lock").open() as handle, pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    shutil.rmtree(run_dir)
