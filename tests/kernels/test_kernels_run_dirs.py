"""Run directories below /tmp: none is left by what was refused, and what was killed leaves one that the next start removes."""

import os
import re
import signal
import socket
import subprocess
import sys
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


@pytest.fixture
def commands(tmp_path):
    """(run a command of ours, write the policy)."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "work").mkdir()
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = os.environ | {name: str(tmp_path / path) for name, path in names.items()}

    def begin(*arguments):
        command = [sys.executable, "-m", "jupyter_guardrails", *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=tmp_path / "work", **pipes)

    return begin, (tmp_path / "guardrails.yaml").write_text


def present():
    """Ours by their names: other tests make folders there too."""
    return {path for path in run_dirs.PLACE.glob(f"{run_dirs.PREFIX}*") if re.fullmatch("[0-9a-f]{10}", path.name.removeprefix(run_dirs.PREFIX))}


def made_by(process, since):
    """The run directories that came since then and that this process holds or held: others may start servers at the same time."""
    held = {Path(os.readlink(link)).parent for link in Path(f"/proc/{process.pid}/fd").iterdir() if link.is_symlink()}
    return (present() - since) & held


@pytest.mark.parametrize("command", ["no workspace", "port taken", "broken policy"])
def test_a_refused_start_leaves_no_folder(commands, command):
    begin, write = commands
    write(BROKEN if command == "broken policy" else POLICY)
    before = present()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ("server", "--allow-root", "--ServerApp.root_dir=/nowhere" if command == "no workspace" else f"--port={taken.getsockname()[1]}")
        refused = begin(*(("exec", "--", "/bin/true") if command == "broken policy" else server))
        try:
            _, said = refused.communicate(timeout=30)
        finally:
            refused.kill()
    assert refused.returncode > 0, said
    assert not {path for path in present() - before if not (path / run_dirs.LOCK).exists() or not is_held(path)}


def is_held(folder):
    """Whether somebody still runs in it."""
    locks = Path("/proc/locks").read_text().split()
    return any(field.endswith(f":{(folder / run_dirs.LOCK).stat().st_ino}") for field in locks)


def test_a_killed_command_leaves_what_the_next_one_removes(commands):
    begin, write = commands
    write(POLICY)
    before = present()
    with begin("exec", "--", "/bin/sh", "-c", "echo up; exec sleep 600") as killed:
        assert killed.stdout.readline() == "up\n"
        (mine,) = made_by(killed, before)
        killed.send_signal(signal.SIGKILL)
    with begin("exec", "--", "/bin/true") as fine:
        _, said = fine.communicate(timeout=60)
    assert fine.returncode == 0, said
    assert not mine.exists()


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
