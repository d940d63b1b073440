"""A reviewer's routes: what is no package of theirs is a page or a sentence, and the process that reads packages leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from test_server_api import MARK

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.server import packages_read


def left_behind():
    return sorted(Path(tempfile.gettempdir()).glob("guardrails-review-*"))


@pytest.fixture
def own_temp(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def read(what, path, digest="0" * 64):
    fd = os.open(path, os.O_RDONLY)

    async def all_of_it():
        return b"".join([chunk async for chunk in packages_read.read(what, [(fd, digest)])])

    try:
        return asyncio.run(all_of_it())
    finally:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_frame_shows_why_there_is_no_clean_run_and_is_as_strict_then(server):
    answer = server.rest("GET", f"guardrails/reviews/{MARK}/clean-run")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "there is no submission" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_theme_that_is_none_is_refused(server):
    assert server.rest("GET", f"guardrails/reviews/{MARK}/clean-run?theme=pink").status_code == 400


def test_what_the_worker_says_is_what_a_person_hears_and_nothing_is_left(own_temp, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no package")
    with pytest.raises(PackageError, match="not a readable package"):
        read("changes", tmp_path / "x.zip")
    assert left_behind() == []


def test_a_worker_that_takes_too_long_is_ended_and_nothing_is_left(own_temp, tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(b"")
    monkeypatch.setattr(packages_read, "PROGRAM", ("sh", "-c", "mkdir kept; echo begun; exec sleep 600", "sh"))
    monkeypatch.setattr(packages_read, "PATIENCE_S", 0.5)
    with pytest.raises(PackageError, match="was not read in"):
        read("light", tmp_path / "x.zip")
    assert left_behind() == []


def test_a_worker_that_was_killed_is_a_sentence(own_temp, tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(b"")
    monkeypatch.setattr(packages_read, "PROGRAM", ("sh", "-c", "kill -9 $$", "sh"))
    with pytest.raises(PackageError, match="more time or memory"):
        read("light", tmp_path / "x.zip")


def test_who_stops_listening_ends_the_worker(own_temp, tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(b"")
    monkeypatch.setattr(packages_read, "PROGRAM", ("sh", "-c", "echo $$; exec sleep 600", "sh"))

    async def first_only():
        reading = packages_read.read("light", [(os.open(tmp_path / "x.zip", os.O_RDONLY), "")])
        pid = int(await anext(reading))
        os.kill(pid, 0)
        await reading.aclose()
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(first_only()), 0)
    assert left_behind() == []
