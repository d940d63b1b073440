"""Cancelled, dead, killed, started again: a submission always comes to an end that says why."""

import os
import signal
import time
from pathlib import Path

import pytest
from promotion_world import World, check_of

from jupyter_guardrails.control.interface import OwnControl, start_own_control, work
from jupyter_guardrails.control.interface.messages import SubmissionCancel, SubmissionsList, WorkerFinish, WorkerProgress
from jupyter_guardrails.errors import Conflict, Refused

pytestmark = pytest.mark.slow


@pytest.fixture
def own(fresh: World):
    """A control that the test may kill; whatever runs at the end is ended."""
    found = start_own_control(fresh.settings)
    fresh.client = found.client
    yield found
    found.stop()


def restarted(fresh: World) -> OwnControl:
    found = start_own_control(fresh.settings)
    fresh.client = found.client
    return found


def worker_pid(submission: str) -> int:
    """The worker whose working folder is the submission's."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "cwd").endswith(f"/submissions/{submission}") and b"promotion.worker" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
        time.sleep(0.02)
    raise AssertionError("there is no worker")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def running_cell(found: dict) -> bool:
    """That its second cell runs, which stays so: that the first has ended is said for a moment only."""
    return "cell 2 of 2 is running" in [check["detail"] for check in found["checks"]]


def test_cancel_ends_the_worker_and_its_clean_run(fresh, own):
    mark = "sleeper-of-this-test"
    fresh.notebook("x = 1", f"import subprocess\nsubprocess.run(['bash', '-c', 'exec -a {mark} sleep 600'])", name="long.ipynb")
    found = fresh.create("long.ipynb")
    fresh.wait(found["id"], running_cell)
    pid = worker_pid(found["id"])
    sleeper = appeared(mark)
    assert fresh.client.call(SubmissionCancel(id=found["id"]))["state"] == "cancelled"
    assert gone(pid)
    assert all(gone(one) for one in sleeper)
    assert fresh.show(found["id"])["state"] == "cancelled"
    with pytest.raises(Conflict):
        fresh.client.call(SubmissionCancel(id=found["id"]))


def appeared(mark: str, timeout_s: float = 60.0) -> list[int]:
    """Processes of this name, once the running cell has started one."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if named(entry, mark)]:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no process named {mark} within {timeout_s} s")


def named(entry: Path, mark: str) -> bool:
    try:
        return (entry / "cmdline").read_bytes().startswith(mark.encode())
    except OSError:
        return False


def test_a_dead_worker_is_a_failure_with_what_it_said(fresh, own):
    fresh.notebook("x = 1", "import time\ntime.sleep(600)", name="long.ipynb")
    found = fresh.create("long.ipynb")
    fresh.wait(found["id"], running_cell)
    os.kill(worker_pid(found["id"]), signal.SIGKILL)
    ended = fresh.wait(found["id"])
    assert ended["state"] == "checks_failed"
    assert "exit code -9" in ended["error"]
    assert check_of(ended, "clean_run")["state"] == "failed"
    assert not [check for check in ended["checks"] if check["state"] in ("running", "waiting")]


def test_a_killed_control_s_submission_runs_again_then_fails_cleanly(fresh, own):
    fresh.notebook("x = 1", "import time\ntime.sleep(600)", name="long.ipynb")
    found = fresh.create("long.ipynb")
    fresh.wait(found["id"], running_cell)
    worker = worker_pid(found["id"])
    own.process.kill()
    own.process.wait()
    assert gone(worker)
    second = restarted(fresh)
    again = worker_pid(found["id"])
    assert again != worker
    assert fresh.wait(found["id"], running_cell)["state"] == "checking"
    second.process.kill()
    second.process.wait()
    assert gone(again)
    third = restarted(fresh)
    ended = fresh.wait(found["id"])
    assert ended["state"] == "checks_failed"
    assert "control ended twice" in ended["error"]
    third.stop()


def test_an_orderly_end_of_control_is_no_failure(fresh, own):
    fresh.notebook("open('n.txt', 'w').write('1');", name="short.ipynb")
    found = fresh.create("short.ipynb")
    worker = worker_pid(found["id"])
    own.stop()
    assert gone(worker)
    for _ in range(2):
        second = restarted(fresh)
        worker_pid(found["id"])
        second.stop()
    last = restarted(fresh)
    assert fresh.wait(found["id"])["state"] == "in_review"
    last.stop()


def test_only_its_own_worker_reports_on_a_submission(fresh, own):
    fresh.notebook("x = 1", "import time\ntime.sleep(600)", name="long.ipynb")
    found = fresh.create("long.ipynb")
    for request in (
        WorkerProgress(submission=found["id"], check="clean_run", title="t", state="passed"),
        WorkerFinish(submission=found["id"], state="built", folder="/tmp"),
    ):
        with pytest.raises(Refused):
            fresh.client.call(request)
    fresh.client.call(SubmissionCancel(id=found["id"]))


def test_the_order_is_in_no_argument_list_and_a_worker_sees_little_of_the_environment(fresh, own):
    fresh.notebook("x = 1", "import time\ntime.sleep(600)", name="long.ipynb")
    found = fresh.create("long.ipynb")
    pid = worker_pid(found["id"])
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[1:-1]
    assert words[:-1] == ["-I", "-m", "jupyter_guardrails.promotion.worker", "--order-fd"]
    assert words[-1].isdigit()
    names = {line.partition("=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0") if line}
    assert "JUPYTER_PATH" in names  # the twin: it is read
    assert {name for name in names if not name.startswith(work.PASSED_PREFIXES)} <= {*work.PASSED, *work.PROXIES}
    fresh.client.call(SubmissionCancel(id=found["id"]))


def test_a_folder_without_a_row_goes_at_the_next_start(fresh, own):
    orphan = fresh.state_dir / "submissions" / "orphan"
    orphan.mkdir(parents=True)
    fresh.notebook("x = 1", name="kept.ipynb")
    kept = fresh.submit("kept.ipynb", kernelspec="gone")
    own.stop()
    last = restarted(fresh)
    assert fresh.client.call(SubmissionsList())["submissions"][0]["id"] == kept["id"]
    deadline = time.monotonic() + 10
    while orphan.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not orphan.exists()
    assert (fresh.state_dir / "submissions" / kept["id"]).is_dir()
    last.stop()
