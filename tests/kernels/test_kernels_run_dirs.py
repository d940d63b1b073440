"""Run directories below /tmp: none is left by what was refused, and what was killed leaves one that the next start removes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import run_dirs

BROKEN = "apiVersion: guardrails/v1\nmode: perhaps\n"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 400MiB, cpus: 1}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small}}]
"""
# A command of ours with a place for run directories that no other test's servers use.
ELSEWHERE = """
import pathlib, runpy, sys
from jupyter_guardrails.kernels import run_dirs
run_dirs.PLACE = pathlib.Path(sys.argv.pop(1))
sys.argv[0] = "jupyter_guardrails"
runpy.run_module("jupyter_guardrails", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def place():
    """A folder with a short name: unix sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="rd-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def commands(tmp_path, place):
    """(run a command of ours, write the policy)."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "work").mkdir()
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = os.environ | {name: str(tmp_path / path) for name, path in names.items()}

    def begin(*arguments):
        command = [sys.executable, "-c", ELSEWHERE, str(place), *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=tmp_path / "work", **pipes)

    return begin, (tmp_path / "guardrails.yaml").write_text


def present(place):
    return [path.name for path in place.iterdir()]


@pytest.mark.parametrize("command", ["no workspace", "port taken", "broken policy"])
def test_a_refused_start_leaves_no_folder(commands, place, command):
    begin, write = commands
    write(BROKEN if command == "broken policy" else POLICY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ("server", "--allow-root", "--ServerApp.root_dir=/nowhere" if command == "no workspace" else f"--port={taken.getsockname()[1]}")
        refused = begin(*(("exec", "--", "/bin/true") if command == "broken policy" else server))
        try:
            _, said = refused.communicate(timeout=30)
        finally:
            refused.kill()
    assert refused.returncode > 0, said
    assert present(place) == []


def test_a_killed_command_leaves_what_the_next_one_removes(commands, place):
    begin, write = commands
    write(POLICY)
    with begin("exec", "--", "/bin/sh", "-c", "echo up; exec sleep 600") as killed:
        assert killed.stdout.readline() == "up\n"
        (mine,) = present(place)
        killed.send_signal(signal.SIGKILL)
    assert present(place) == [mine]
    with begin("exec", "--", "/bin/true") as fine:
        _, said = fine.communicate(timeout=60)
    assert fine.returncode == 0, said
    assert present(place) == []


def test_one_that_is_held_stays():
    with run_dirs.held() as mine:
        run_dirs.sweep(run_dirs.new_name())
        assert mine.is_dir()
    assert not mine.exists()


def test_a_place_that_takes_none_is_a_refusal(monkeypatch, tmp_path):
    monkeypatch.setattr(run_dirs, "PLACE", tmp_path / "nowhere")
    with pytest.raises(errors.GuardrailsError, match="no private folder") as refusal, run_dirs.held():
        pass
    assert "full" in refusal.value.next_step
