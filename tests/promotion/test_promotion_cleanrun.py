"""A clean run that can't go well ends by itself, names the cell, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from promotion_world import POLICY, World, check_of
from work_bench import bench

from jupyter_guardrails.control.interface.messages import SubmissionCancel
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion.bounded import BoundedClient
from jupyter_guardrails.promotion.checks import clean_run
from jupyter_guardrails.promotion.cleanrun import TOO_LONG
from jupyter_guardrails.promotion.results import Finding
from jupyter_guardrails.promotion.reuse import Ran
from jupyter_guardrails.promotion.traces import Traced
from jupyter_guardrails.promotion.work import Work

pytestmark = pytest.mark.slow


def failed(world: World, *sources: str, name: str) -> dict:
    """The clean run's check of a draft made of these cells."""
    world.notebook(*sources, name=name)
    found = world.submit(name, draft=True)
    check = check_of(found, "clean_run")
    assert (found["state"], check["state"]) == ("checks_failed", "failed"), found
    return check


@pytest.fixture
def short(world: World) -> Iterator[None]:
    """A production profile that gives a job a few seconds."""
    policy = world.root / "guardrails.yaml"
    policy.write_text(POLICY.replace("cpus: 1}", "cpus: 1, lifetime: 12s}"))
    yield
    policy.write_text(POLICY)


def test_an_endless_loop_names_its_cell(world, short):
    loop = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"
    check = failed(world, "x = 1", loop, "y = 2", name="endless.ipynb")
    assert check["findings"][0]["cell"] == 1
    assert "12 s" in check["findings"][0]["message"], check
    assert check["findings"][0]["fix"]
    sample = world.submit("endless.ipynb", draft=True, sample_s=3)
    check = check_of(sample, "clean_run")
    assert (sample["state"], check["state"]) == ("draft", "not_checked"), sample
    assert check["detail"].startswith("a sample of 3 s, over ")
    assert "it tells nothing about the whole" in check["detail"]
    with pytest.raises(BadRequest, match="a sample run is for a draft"):
        world.create("endless.ipynb", sample_s=3)


def ran(root: Path, *cells: str, cut: int | None = None, **traced: dict) -> tuple[Work, list[Ran]]:
    """A sample of these cells, whose author saw `1` after each; they gave that, up to the one that was ended."""
    seen = [new_code_cell(cell, execution_count=1, outputs=[new_output("stream", name="stdout", text="1\n")]) for cell in cells]
    work = bench(root, seen, sample_s=5)
    node = work.notebook.node
    for number, cell in enumerate(node.cells):
        done = cut is None or number < cut
        cell.outputs = [new_output("stream", name="stdout", text="1\n" if "print" in cell.source else "2\n")] if done else []
    problem = None if cut is None else Finding("too long", cut, kind=TOO_LONG)
    return work, [Ran(work, node, (), Traced(**traced), problem)]


@pytest.mark.parametrize(
    ("cells", "traced", "state", "found", "said"),
    [
        (("print(1)", "print(1)"), {}, "not_checked", [], "in which all of it ran"),
        (("print(1)", "2", "print(1)"), {"cut": 2}, "warned", [1], "over in cell 3"),
        (("print(1)", "2"), {"cut": 1}, "not_checked", [], "over in cell 2"),
        (("print(1)",), {"refused": {"/x": 0}}, "warned", [0], "in which all of it ran"),
        (("print(1)", "1"), {"cut": 1, "undeclared": {"/x": 0}}, "failed", [0], "nobody declared"),
    ],
)
def test_a_sample_says_how_far_it_came_and_never_that_all_is_well(tmp_path, cells, traced, state, found, said):
    result = clean_run.sampled(*ran(tmp_path, *cells, **traced))
    assert (result.state, [finding.cell for finding in result.findings]) == (state, found)
    assert "a sample of 5 s" in result.detail
    assert said in result.detail


def test_each_cell_gets_what_is_left_of_the_run(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    client = BoundedClient(new_notebook())
    client.limit(60)
    assert client.timeout_func(None) == 60
    now[0] = 150.0
    assert client.timeout_func(None) == 10
    now[0] = 500.0
    assert client.timeout_func(None) == 1  # 0 would be none


def test_a_cell_that_asks_for_input_is_named(world):
    check = failed(world, "x = 1", "name = input('your name? ')", name="asks.ipynb")
    assert check["findings"][0]["cell"] == 1
    assert "asks for input" in check["findings"][0]["message"]
    assert "parameters" in check["findings"][0]["fix"]


def test_endless_outputs_are_ended_with_their_cell(world):
    check = failed(
        world,
        "x = 1",
        "import time\nwhile True:\n    print('x' * 1_000_000, flush=True)\n    time.sleep(0.01)  # its kernel's memory holds it",
        name="flood.ipynb",
    )
    assert check["findings"][0]["cell"] == 1
    assert "128 MiB" in check["findings"][0]["message"], check


def test_a_kernel_that_ends_itself_names_its_cell(world):
    check = failed(world, "x = 1", "import os\nos._exit(3)", name="exits.ipynb")
    assert check["findings"][0]["cell"] == 1
    assert "the kernel ended" in check["findings"][0]["message"]


def test_a_clean_run_writes_no_history_of_what_was_typed(world):
    cells = "import pathlib", "print(get_ipython().history_manager.hist_file, list(pathlib.Path.home().rglob('history*')), In[1])"
    world.notebook(*cells, name="typed.ipynb", outputs={1: ":memory: [] import pathlib\n"})
    check = check_of(world.submit("typed.ipynb", draft=True), "clean_run")
    assert check["state"] == "passed", check["findings"]


FORK = """
import os, subprocess
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("bash", ["{mark}", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done"])
    os._exit(0)
os.wait()
found = ""
while not found:  # it runs, before this cell ends
    found = subprocess.run(["pgrep", "-f", "^{mark}"], capture_output=True, text=True).stdout
print("forked")
"""


def processes(mark: str) -> list[str]:
    return subprocess.run(["pgrep", "-f", f"^{mark}"], capture_output=True, text=True, check=False).stdout.split()


def test_forks_end_with_the_run(world):
    mark = "outliving-fork-of-this-test"
    world.notebook(FORK.format(mark=mark), name="forks.ipynb", outputs={0: "forked\n"})
    found = world.submit("forks.ipynb", draft=True)
    assert check_of(found, "clean_run")["state"] == "passed", found  # so it ran
    assert processes(mark) == []


def test_a_long_cell_is_named_while_it_runs_and_a_cancelled_run_leaves_nothing(world):
    world.notebook("x = 1", "y = 2", "import time\ntime.sleep(600)", "z = 3", name="long.ipynb")
    found = world.create("long.ipynb")
    running = world.wait(found["id"], lambda one: "cell 3 of 4 is running" in [check["detail"] for check in one["checks"]])
    assert check_of(running, "clean_run")["progress"] == {"done": 2, "total": 4}
    began = time.monotonic()
    assert world.client.call(SubmissionCancel(id=found["id"]))["state"] == "cancelled"
    assert time.monotonic() - began < 60  # it does not wait for the cell
    folder = world.state_dir / "submissions" / found["id"]
    assert not list(folder.glob("clean-*"))
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cwd") if _is_below(entry, folder)]


def _is_below(link: Path, folder: Path) -> bool:
    try:
        return link.readlink().is_relative_to(folder)
    except OSError:
        return False
