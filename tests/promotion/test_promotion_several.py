"""A job of several notebooks: each is checked, each runs in a kernel of its own, in order, in one folder; what is said of one names it."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from promotion_world import World, check_of
from work_bench import bench, nothing

from jupyter_guardrails.errors import BadRequest, NotFound
from jupyter_guardrails.package import archive
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import Job, read_job
from jupyter_guardrails.promotion import several
from jupyter_guardrails.promotion.checks import environment, order, parameters, paths, secrets
from jupyter_guardrails.promotion.payload import run as payload
from jupyter_guardrails.promotion.work import Work

SECOND = ("import mine\nprint('n' in dir(), mine.read('mid.txt'))", "open('report.txt', 'w').write('made of ' + mine.read('mid.txt'));")


def two(root: Path, first: list, second: list, **metadata: str) -> Work:
    """The work of a job of a.ipynb and b.ipynb; `kernel` is the second one's."""
    other = bench(root / "other", second, notebook="b.ipynb")
    if metadata:
        node = json.loads(other.notebook.path.read_text())
        node["metadata"]["kernelspec"] = {"name": metadata["kernel"], "display_name": metadata["kernel"]}
        other.notebook.path.write_text(json.dumps(node))
    work = bench(root, first, notebook="a.ipynb", details={"then": ["b.ipynb"]})
    shutil.copyfile(other.notebook.path, work.order.frozen / "b.ipynb")
    return Work(work.order, work.control, work.notebook, several.others(work.order))


def test_each_notebook_is_checked_and_findings_name_theirs(tmp_path: Path) -> None:
    work = two(tmp_path, ["x = 1"], [new_code_cell("y = 1", execution_count=2), new_code_cell("z = 1", execution_count=1)])
    found = several.check(order, work, nothing)
    assert found.state == "failed"
    assert {(one.notebook, one.cell) for one in found.findings} == {("b.ipynb", 1)}
    assert found.detail.startswith("a.ipynb: ")
    assert "; b.ipynb: " in found.detail
    assert several.check(order, two(tmp_path / "fine", ["x = 1"], ["y = 1"]), nothing).state == "passed"


def test_an_other_notebook_is_looked_at_as_a_notebook_and_once(tmp_path: Path) -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    cell = new_code_cell("1", execution_count=1, outputs=[new_output("stream", name="stdout", text=f"aws_key = '{key}'\n")])
    found = several.check(secrets, two(tmp_path, ["x = 1"], [cell]), nothing)
    assert [(one.notebook, one.cell, one.offer and one.offer["do"]) for one in found.findings] == [("b.ipynb", 0, "clear_outputs")]


def test_files_of_all_notebooks_go_along(tmp_path: Path) -> None:
    work = two(tmp_path, ["open('one.txt').read()"], ["open('two.txt').read()\nopen('a.ipynb').read()"])
    for name in ("one.txt", "two.txt"):
        (tmp_path / "ws" / name).write_text(name)
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / "ws" / name).write_text("something else by now")
    assert several.check(paths, work, nothing).state == "passed"
    kept = {path.name: path.read_text() for path in work.order.frozen.iterdir()}
    assert kept.keys() == {"a.ipynb", "b.ipynb", "one.txt", "two.txt"}
    assert "something else" not in kept["a.ipynb"] + kept["b.ipynb"]


def test_parameters_and_environment_are_the_jobs(tmp_path: Path) -> None:
    tagged = new_code_cell("n = 1", execution_count=1, metadata={"tags": ["parameters"]})
    found = several.check(parameters, two(tmp_path, [tagged], [tagged]), nothing)
    assert (found.state, [(one.notebook, one.cell) for one in found.findings]) == ("failed", [("b.ipynb", 0)])
    assert several.check(parameters, two(tmp_path / "fine", [tagged], ["1"]), nothing).state == "passed"
    elsewhere = several.check(environment, two(tmp_path / "kernel", ["1"], ["1"], kernel="other"), nothing)
    assert ("b.ipynb", "other_kernel") in {(one.notebook, one.kind) for one in elsewhere.findings}


def test_names_of_what_runs_next_are_names_of_notebooks() -> None:
    for wrong in (["b.py"], ["../b.ipynb"], ["b.ipynb", "b.ipynb"]):
        with pytest.raises(ValueError, match="then"):
            Details.model_validate({"then": wrong})
    assert Details.model_validate({"then": ["b.ipynb", "c.ipynb"]}).then == ["b.ipynb", "c.ipynb"]


def test_a_job_of_one_notebook_says_nothing_of_others() -> None:
    python = {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}
    job = {"name": "a", "entry": "a.ipynb", "owner": "ana", "python": python, "parameters": {"json_schema": {}}, "policy_digest": ""}
    job["resources"] = {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}
    assert "then" not in json.loads(Job.model_validate(job).to_text())
    assert json.loads(Job.model_validate(job | {"then": ["b.ipynb"]}).to_text())["then"] == ["b.ipynb"]


@pytest.fixture
def notebooks(world: World) -> None:
    """a.ipynb makes what b.ipynb reads by a module beside both."""
    (world.workspace / "mine.py").write_text("def read(name):\n    return open(name).read()\n")
    world.notebook("n = 2", "open('mid.txt', 'w').write(f'{n} rows');", name="a.ipynb", c0=["parameters"])
    world.notebook(*SECOND, name="b.ipynb", outputs={0: "False 2 rows\n"})


def _with_a_remark(world: World, details: dict) -> dict:
    """The same job with a text cell before the code of its second notebook."""
    path = world.notebook(*SECOND, name="b.ipynb", outputs={0: "False 2 rows\n"})
    node = nbformat.read(path, as_version=4)
    node.cells.insert(0, new_markdown_cell("# What it is for", id="remark"))
    nbformat.write(node, path)
    return world.submit("a.ipynb", details=details)


@pytest.mark.slow
def test_they_run_in_order_in_one_folder(world: World, notebooks: None, tiny: Path, tmp_path: Path, monkeypatch) -> None:
    details = {"then": ["b.ipynb"], "outputs": [{"name": "report", "path": "report.txt"}]}
    made = world.create("a.ipynb", details=details)
    world.notebook("1 / 0", name="b.ipynb")  # an edit after the click is not in it
    found = world.wait(made["id"])
    assert found["state"] == "in_review", found
    assert check_of(found, "clean_run")["detail"] == "same outputs as the author saw; it wrote 2 files"
    folder = tmp_path / "p"
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), folder)
    job = read_job(folder)
    assert (job.notebooks, job.modules, [output.name for output in job.outputs]) == (("a.ipynb", "b.ipynb"), ["mine.py"], ["mid.txt", "report"])
    assert json.loads((folder / "evidence" / "executed-2.ipynb").read_text())["cells"][0]["outputs"][0]["text"] == ["False 2 rows\n"]
    again = _with_a_remark(world, details)
    assert check_of(again, "clean_run")["detail"].startswith("not run again: a-1 of ")
    with zipfile.ZipFile(world.package(again["id"], tmp_path / "again.zip")) as package:
        executed = json.loads(package.read("evidence/executed-2.ipynb"))["cells"]
        assert (executed[0]["cell_type"], executed[1]["outputs"][0]["text"]) == ("markdown", ["False 2 rows\n"])
        read = json.loads(package.read("evidence/inputs-2.json"))["files"]
        assert {"name": "mid.txt", "cell": 1} in read  # cells counted as they are now
    assert {"name": "mid.txt", "cell": 0} in json.loads((folder / "evidence" / "inputs-2.json").read_text())["files"]
    monkeypatch.setattr(payload, "HERE", folder)
    config = {"values": {"n": 5}, "datasets": {}, "inputs": [], "package": "0"}
    assert payload.run(json.loads((folder / "job.json").read_text()), config, (Path(sys.executable), tiny), tmp_path / "out") == 0
    assert (tmp_path / "out" / "files" / "report.txt").read_text() == "made of 5 rows"
    status = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [(one["notebook"], one["state"]) for one in status["notebooks"]] == [("a.ipynb", "complete"), ("b.ipynb", "complete")]
    assert (tmp_path / "out" / "executed-2.ipynb").is_file()
    (folder / "src" / "mine.py").unlink()
    assert payload.run(json.loads((folder / "job.json").read_text()), config, (Path(sys.executable), tiny), tmp_path / "bad") == 1
    status = json.loads((tmp_path / "bad" / "run.json").read_text())
    assert (status["notebook"], status["state"], [one["state"] for one in status["notebooks"]]) == ("b.ipynb", "failed", ["complete", "failed"])
    assert "ModuleNotFoundError" in status["error"]


@pytest.mark.slow
def test_the_first_that_fails_ends_it_and_is_named(world: World, notebooks: None) -> None:
    world.notebook("1", "1 / 0", name="fails.ipynb")
    found = world.submit("a.ipynb", draft=True, details={"then": ["fails.ipynb", "b.ipynb"]})
    check = check_of(found, "clean_run")
    assert (found["state"], check["detail"]) == ("checks_failed", "fails.ipynb of the job does not run by itself")
    assert [(one["notebook"], one["cell"]) for one in check["findings"]] == [("fails.ipynb", 1)]
    (world.root / "outside.ipynb").write_text("{}")
    (world.workspace / "link.ipynb").symlink_to(world.root / "outside.ipynb")
    for gone in ("gone.ipynb", "link.ipynb"):
        with pytest.raises(NotFound, match=gone):
            world.create("a.ipynb", details={"then": [gone]})
    for then in (["a.ipynb"], ["sub/b.ipynb"]):
        with pytest.raises(BadRequest, match="different ones of one folder") as refused:
            world.create("a.ipynb", details={"then": then})
        assert refused.value.fields["details.then"] in str(refused.value)
