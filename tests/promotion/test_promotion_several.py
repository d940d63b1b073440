"""A job of several notebooks: each is checked, each runs in a kernel of its own, in order, in one folder; what is said of one names it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_output
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
    (root / "ws").mkdir(exist_ok=True)
    if metadata:
        node = json.loads(other.notebook.path.read_text())
        node["metadata"]["kernelspec"] = {"name": metadata["kernel"], "display_name": metadata["kernel"]}
        other.notebook.path.write_text(json.dumps(node))
    shutil.copyfile(other.notebook.path, root / "ws" / "b.ipynb")
    work = bench(root, first, notebook="a.ipynb", details={"then": ["b.ipynb"]})
    return Work(work.order, work.control, work.notebook, several.freeze_others(work.order))


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
    (tmp_path / "ws" / "a.ipynb").write_text("something else by now")
    assert several.check(paths, work, nothing).state == "passed"
    kept = {path.name: path.read_text() for path in work.order.frozen.iterdir()}
    assert kept.keys() == {"a.ipynb", "b.ipynb", "one.txt", "two.txt"}
    assert "something else" not in kept["a.ipynb"]


def test_parameters_and_environment_are_the_jobs(tmp_path: Path) -> None:
    tagged = new_code_cell("n = 1", execution_count=1, metadata={"tags": ["parameters"]})
    found = several.check(parameters, two(tmp_path, [tagged], [tagged]), nothing)
    assert (found.state, [(one.notebook, one.cell) for one in found.findings]) == ("failed", [("b.ipynb", 0)])
    assert several.check(parameters, two(tmp_path / "fine", [tagged], ["1"]), nothing).state == "passed"
    elsewhere = several.check(environment, two(tmp_path / "kernel", ["1"], ["1"], kernel="other"), nothing)
    assert ("b.ipynb", "other_kernel") in {(one.notebook, one.kind) for one in elsewhere.findings}


def test_what_is_not_there_or_leads_out_is_no_notebook_of_it(tmp_path: Path) -> None:
    for then, error in ((["gone.ipynb"], NotFound), (["link.ipynb"], NotFound)):
        work = bench(tmp_path, ["1"], notebook="a.ipynb", details={"then": then})
        (tmp_path / "outside.ipynb").write_text("{}")
        if not (tmp_path / "ws" / "link.ipynb").is_symlink():
            (tmp_path / "ws" / "link.ipynb").symlink_to(tmp_path / "outside.ipynb")
        with pytest.raises(error):
            several.freeze_others(work.order)
    for wrong in (["b.py"], ["../b.ipynb"], ["b.ipynb", "b.ipynb"]):
        with pytest.raises(ValueError, match="then"):
            Details.model_validate({"then": wrong})


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


@pytest.mark.slow
def test_they_run_in_order_in_one_folder(world: World, notebooks: None, tiny: Path, tmp_path: Path, monkeypatch) -> None:
    details = {"then": ["b.ipynb"], "outputs": [{"name": "report", "path": "report.txt"}]}
    found = world.submit("a.ipynb", details=details)
    assert found["state"] == "in_review", found
    assert check_of(found, "clean_run")["detail"] == "same outputs as the author saw; it wrote 2 file(s)"
    folder = tmp_path / "p"
    archive.unpack(world.package(found["id"], tmp_path / "p.zip"), folder)
    job = read_job(folder)
    assert (job.notebooks, job.modules, [output.name for output in job.outputs]) == (("a.ipynb", "b.ipynb"), ["mine.py"], ["mid.txt", "report"])
    assert json.loads((folder / "evidence" / "executed-2.ipynb").read_text())["cells"][0]["outputs"][0]["text"] == ["False 2 rows\n"]
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
    gone = world.submit("a.ipynb", draft=True, details={"then": ["gone.ipynb"]})
    assert (gone["state"], "no notebook gone.ipynb" in gone["error"]) == ("checks_failed", True)
    for then in (["a.ipynb"], ["sub/b.ipynb"]):
        with pytest.raises(BadRequest, match="different ones of one folder"):
            world.create("a.ipynb", details={"then": then})
