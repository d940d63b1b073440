"""What a clean run really reads: datasets, files that go along, and what nobody declared, each with its cell."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from promotion_world import POLICY, World, check_of

from jupyter_guardrails.promotion.traces import Begun, sort_out
from jupyter_guardrails.sandbox.tracer import Seen

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(world: World) -> Path:
    """A folder that the policy lets every kernel read, with a file that is no dataset."""
    folder = world.root / "shared"
    folder.mkdir()
    (folder / "prices.csv").write_text("a,b\n1,2\n")
    (world.root / "guardrails.yaml").write_text(f"{POLICY}paths: {{read: [{folder}]}}\n")
    return folder


def inputs_of(world: World, submission: dict, tmp_path: Path) -> dict:
    with zipfile.ZipFile(world.package(submission["id"], tmp_path / "p.zip")) as package:
        return json.loads(package.read("evidence/inputs.json"))


def test_what_it_opened_is_evidence_with_cells(world, shared, tmp_path):
    data = world.dataset("nyc/flights")
    (world.workspace / "mine.py").write_text("def count(path):\n    return open(path).read().count(',')\n")
    (world.workspace / "words.txt").write_text("a b")
    world.notebook(
        "import guarded, os\nos.system('fc-list > /dev/null 2>&1');",  # matplotlib looks for fonts like that
        "import mine\nprint(mine.count(guarded.path('nyc/flights')))",
        "print(open('words.txt').read())",
        "open('result.txt', 'w').write('x');",
        outputs={1: "2\n", 2: "a b\n"},
        name="traced.ipynb",
    )
    found = world.submit("traced.ipynb", details={"pinned": ["nyc/flights"]})
    assert [check for check in found["checks"] if check["state"] == "failed"] == [], found["error"]
    assert check_of(found, "clean_run")["state"] == "passed", check_of(found, "clean_run")
    inputs = inputs_of(world, found, tmp_path)
    assert inputs["datasets"] == [{"name": "nyc/flights", "cell": 1}]
    assert inputs["files"] == [{"name": "mine.py", "cell": 1}, {"name": "words.txt", "cell": 2}]
    assert inputs["written"] == [{"name": "result.txt", "cell": 3}]
    assert (inputs["undeclared"], inputs["refused"], inputs["hosts"], inputs["gap"]) == ([], [], [], "")
    assert str(data) not in json.dumps(inputs)
    with zipfile.ZipFile(tmp_path / "p.zip") as package:
        job = json.loads(package.read("job.json"))
    assert (job["pinned"], job["inputs"][0]["sha256"]) == (["nyc/flights"], hashlib.sha256(data.read_bytes()).hexdigest())


READS = ("open({!r}).read();", "__import__('os').system('cat {}');", "__import__('ctypes').CDLL(None).fopen({!r}.encode(), b'r');")


def test_a_file_that_nobody_declared_fails_with_its_cell(world, shared):
    """Python, a child, a C library."""
    paths = [str(shared / f"{n}.csv") for n in range(len(READS))]
    for path in paths:
        Path(path).write_text("a,b\n1,2\n")
    world.notebook("x = 1", *(read.format(path) for read, path in zip(READS, paths, strict=True)), name="undeclared.ipynb")
    found = world.submit("undeclared.ipynb", draft=True)
    check = check_of(found, "clean_run")
    assert (found["state"], check["state"]) == ("checks_failed", "failed"), found["checks"]
    assert [finding["cell"] for finding in check["findings"]] == [1, 2, 3]
    assert all(path in finding["message"] for path, finding in zip(paths, check["findings"], strict=True))
    assert "dataset" in check["findings"][0]["fix"]


def test_what_is_tried_and_not_there_is_shown_and_does_not_fail(world, shared):
    (world.root / "elsewhere.txt").write_text("x")
    folder = str(world.root)
    world.notebook(
        f"import os\ntry:\n    open(os.sep.join([{folder!r}, 'elsewhere' + '.txt']))\nexcept OSError as error:\n    print('not there')",
        outputs={0: "not there\n"},
        name="tried.ipynb",
    )
    check = check_of(world.submit("tried.ipynb", draft=True), "clean_run")
    assert check["state"] == "warned", check
    assert [finding["cell"] for finding in check["findings"]] == [0]
    assert "elsewhere.txt" in check["findings"][0]["message"]


def test_a_dataset_that_is_never_opened_is_named(world, shared):
    world.dataset("nyc/weather")
    world.notebook("import guarded\nif False:\n    guarded.path('nyc/weather')", name="unread.ipynb")
    check = check_of(world.submit("unread.ipynb", draft=True), "clean_run")
    assert (check["state"], ["nyc/weather" in finding["message"] for finding in check["findings"]]) == ("warned", [True]), check


def seen(kind: str, what: str, at: float, *, stopped: bool = False) -> Seen:
    return Seen(kind, what, stopped, at)  # type: ignore[arg-type]


BEGUN = (Begun(1.0, 101.0, 0), Begun(2.0, 102.0, None), Begun(3.0, 103.0, 4))
PLACES = {"/data/f": "nyc/flights", "/data/s": "hr/salaries"}


def sorted_out(*found: Seen):
    return sort_out(found, BEGUN, workspace=Path("/w"), places=PLACES, declared=frozenset({"nyc/flights"}))


def test_each_thing_has_the_cell_that_opened_it_first():
    found = sorted_out(seen("read", "/w/a", 3.5), seen("read", "/w/a", 1.5), seen("read", "/w/b", 2.5), seen("read", "/w/c", 0.5))
    assert found.files == {"a": 0, "b": None, "c": None}


def test_files_of_a_dataset_are_the_dataset_if_it_is_declared():
    found = sorted_out(seen("read", "/data/f/part-1", 3.0), seen("read", "/data/s", 3.0), seen("read", "/data/s/x", 3.0, stopped=True))
    assert (found.datasets, found.undeclared) == ({"nyc/flights": 4}, {"/data/s": 4})
    assert found.refused == {"/data/s/x (the dataset hr/salaries)": 4}


def test_a_connection_of_its_own_is_told_and_one_to_the_proxy_is_not():
    found = sorted_out(seen("connect", "127.0.0.1:3128", 3.0), seen("connect", "10.1.1.1:22", 3.0))
    assert found.refused == {"10.1.1.1:22": 4}
    found.add_reached(
        {"datasets": [], "hosts": [{"name": "h:443", "allowed": True, "epoch_s": 103.5}, {"name": "no:1", "allowed": False, "epoch_s": 103.5}]}, BEGUN
    )
    assert found.hosts == {"h:443": 4}


def test_the_paths_that_a_kernel_is_given_at_its_start_are_not_opened():
    found = sorted_out()
    found.add_reached(
        {"hosts": [], "datasets": [{"name": "a/b", "allowed": True, "epoch_s": 100.0}, {"name": "c/d", "allowed": True, "epoch_s": 101.0}]}, BEGUN
    )
    assert found.datasets == {"c/d": 0}
