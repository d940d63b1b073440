"""Whatever is killed at whatever moment of a submission: it goes on or fails with a reason, and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from promotion_world import World, add_kernelspec, check_of

from jupyter_guardrails.control.interface import start_own_control
from jupyter_guardrails.errors import ControlAway, NotFound
from jupyter_guardrails.records.tables import LIVE

KILLS = 100 if os.environ.get("GUARDRAILS_SOAK") else 4
pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(7200)]
UNFINISHED = ("submitted", "checking")
MOMENTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "it was submitted": lambda found: True,
    "a check runs": lambda found: any(check["state"] == "running" for check in found["checks"]),
    "the environment is locked": lambda found: state_of(found, "environment") in ("running", "passed"),
    "the environment is built": lambda found: state_of(found, "clean_run") == "running",
    "the kernel starts": lambda found: state_of(found, "clean_run") == "running" and "building" not in check_of(found, "clean_run")["detail"],
    "a cell runs": lambda found: state_of(found, "clean_run") == "running" and check_of(found, "clean_run")["detail"].startswith("cell"),
    "the package is built": lambda found: state_of(found, "clean_run") == "passed",
}


def state_of(found: dict[str, Any], name: str) -> str:
    return next((check["state"] for check in found["checks"] if check["name"] == name), "")


class Killed:
    """A world whose control is started again when it dies, and what runs in it."""

    def __init__(self, world: World, supervisor: int) -> None:
        self.world, self.supervisor = world, supervisor

    def answered(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer, of the next control where this one was killed."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return call()
            except ControlAway:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def until(self, id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The submission once that holds for it, or once it has ended before."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            found = self.answered(lambda: self.world.show(id))
            if found["state"] not in UNFINISHED or holds(found):
                return found
            time.sleep(0.02)
        raise AssertionError(f"still {found['state']}: {found['checks']}")

    def folder(self, id: str) -> Path:
        return self.world.state_dir / "submissions" / id

    def workers(self, id: str) -> list[int]:
        return [pid for pid, line in self.inside(id) if "promotion.worker" in line]

    def kernels(self, id: str) -> list[int]:
        return [pid for pid, line in self.inside(id) if "ipykernel_launcher" in line]

    def controls(self, id: str) -> list[int]:
        children = Path(f"/proc/{self.supervisor}/task/{self.supervisor}/children").read_text().split()
        return [int(pid) for pid in children]

    def inside(self, id: str) -> list[tuple[int, str]]:
        """Processes that work in the submission's folder, with their command lines."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                if line and (entry / "cwd").readlink().is_relative_to(self.folder(id)):
                    found.append((int(entry.name), line))
        return found

    def left(self, id: str) -> list[str]:
        """What there is of an ended submission that should not be there."""
        processes = [f"process {pid}: {line}" for pid, line in self.inside(id)]
        folders = [str(path) for path in self.folder(id).glob("clean-*")]
        with contextlib.closing(sqlite3.connect(f"file:{self.world.state_dir / 'records.sqlite'}?mode=ro", uri=True)) as records:
            rows = records.execute("select id, state from leases where submission = ?", (id,)).fetchall()
        return [*processes, *folders, *(f"lease {lease}: {state}" for lease, state in rows if state in LIVE)]


@pytest.fixture
def killed(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killed]:
    add_kernelspec(tmp_path / "jupyter", "tiny", tiny)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    world = World(tmp_path)
    own = start_own_control(world.settings, supervised=True)
    world.client = own.client
    yield Killed(world, own.process.pid)
    own.stop()


def test_whatever_is_killed_nothing_is_left(killed: Killed) -> None:
    targets = {"worker": killed.workers, "control": killed.controls, "kernel": killed.kernels}
    moments = list(MOMENTS)
    for number in range(KILLS):
        moment, target = moments[(2 * number + 1) % len(moments)], list(targets)[number % len(targets)]
        case = f"{number}: the {target}, when {moment}"
        killed.world.notebook(f"n = {number}", "import time\ntime.sleep(0.3)", "open('out.txt', 'w').write('x');", name="killed.ipynb")
        id = killed.answered(lambda: killed.world.create("killed.ipynb"))["id"]
        before = killed.until(id, MOMENTS[moment])
        hit = targets[target](id)
        for pid in hit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended = killed.until(id, lambda found: False)
        check_end(case, target if hit and before["state"] in UNFINISHED else "", ended)
        deadline = time.monotonic() + 30
        while (left := killed.left(id)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == [], case


def check_end(case: str, target: str, ended: dict[str, Any]) -> None:
    """A control that is started again goes on; without its worker or its kernel a submission fails and says why, unless that was the last moment."""
    fine = ended["state"] == "in_review" and ended["content_digest"]
    assert fine or (ended["state"] == "checks_failed" and ended["error"]), (case, ended)
    assert fine or target in ("worker", "kernel"), (case, ended)
    assert not [check for check in ended["checks"] if check["state"] in ("running", "waiting")], (case, ended)
    if not fine and target == "worker":
        assert "exit code -9" in ended["error"], (case, ended)
    if not fine and target == "kernel":
        assert state_of(ended, "clean_run") == "failed", (case, ended)


def test_a_folder_of_nobody_is_no_submission(killed: Killed) -> None:
    """The allow twin of the loop above: what it looks for can be found."""
    with pytest.raises(NotFound):
        killed.world.show("nobody")
    folder = killed.folder("nobody")
    (folder / "clean-x").mkdir(parents=True)
    assert killed.left("nobody") == [str(folder / "clean-x")]
