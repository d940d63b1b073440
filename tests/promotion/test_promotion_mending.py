"""Fixes that findings offer, carried out in the author's notebook: by the command, on what a real submission found."""

import argparse
import contextlib
import json

import pytest

from jupyter_guardrails.cli import job_fix
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion.mending import mend


def code(source, **fields):
    return {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": source, "outputs": [{"output_type": "stream"}]} | fields


def finding(offer, **fields):
    return {"message": "it is wrong", "cell": 0, "line": None, "fix": "mend it", "kind": "", "offer": offer} | fields


REPLACE = {"do": "replace", "old": "/srv/a.csv", "new": "a.csv"}


@pytest.mark.parametrize("source", ["x = 1\nopen('/srv/a.csv')", ["x = 1\n", "open('/srv/a.csv')"]])
def test_a_text_is_replaced_on_its_line_alone(source):
    notebook = {"cells": [code(source)]}
    done, left = mend(notebook, [finding(REPLACE, line=2)])
    assert ("".join(notebook["cells"][0]["source"]), left) == ("x = 1\nopen('a.csv')", [])
    assert done == ["cell 1: line 2: a.csv instead of /srv/a.csv"]


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("open('b.csv')", {"line": 1}),
        ("open('/srv/a.csv'), open('/srv/a.csv')", {"line": 1}),
        ("open('/srv/a.csv')", {"line": 2}),
        ("open('/srv/a.csv')", {"line": 1, "cell": 4}),
        ("open('/srv/a.csv')", {"line": 1, "cell": None}),
    ],
)
def test_where_the_notebook_says_something_else_by_now_nothing_is_changed(source, fields):
    notebook = {"cells": [code(source)]}
    before = json.dumps(notebook)
    done, left = mend(notebook, [finding(REPLACE, **fields)])
    assert (json.dumps(notebook), done, len(left)) == (before, [], 1)
    assert "mend it" in left[0]


def test_outputs_are_cleared_and_tags_given_once():
    notebook = {"cells": [code("a = 1"), code("b = 1", metadata={"tags": ["parameters"]})]}
    tag = {"do": "tag", "tag": "parameters"}
    offers = [finding({"do": "clear_outputs"}), finding({"do": "clear_outputs"}), finding(tag), finding(tag, cell=1)]
    done, left = mend(notebook, offers)
    assert (done, left) == (["cell 1: outputs cleared", "cell 1: tagged parameters", "cell 2: tagged parameters"], [])
    assert (notebook["cells"][0]["outputs"], notebook["cells"][0]["execution_count"]) == ([], 1)
    assert [cell["metadata"]["tags"] for cell in notebook["cells"]] == [["parameters"], ["parameters"]]


def test_what_no_program_can_do_is_said():
    offers = [
        finding({"do": "run_all"}),
        finding({"do": "install", "requirement": "a==2"}),
        finding({"do": "request", "dataset": "hr/x"}),
        finding(None),
    ]
    done, left = mend({"cells": [code("a")]}, offers)
    assert (done, len(left)) == ([], 4)
    assert any("a==2" in text for text in left)
    assert any("hr/x" in text for text in left)


def test_the_command_mends_what_a_submission_found(world, capsys, monkeypatch):
    """It only says what it would do until it is told to; then the notebook passes what it failed."""
    (world.workspace / "sales.csv").write_text("a\n")
    path = world.notebook("month = 1", f"open('{world.workspace}/sales.csv').read()", name="fix.ipynb", outputs={1: "AKIA" + "IOSFODNN7EXAMPLE"})
    found = world.submit(path.name, parameters={"month": 2})
    assert found["state"] == "checks_failed"
    monkeypatch.setattr(job_fix, "connected", lambda environ: contextlib.nullcontext(world.client))
    before = path.read_bytes()
    said = argparse.Namespace(id=found["id"], notebook=path, apply=False, json=False)
    assert job_fix.run(said) == 0
    assert path.read_bytes() == before
    printed = capsys.readouterr().out
    assert "would be done: cell 2: outputs cleared" in printed
    assert job_fix.run(argparse.Namespace(**(vars(said) | {"apply": True}))) == 0
    cells = json.loads(path.read_text())["cells"]
    assert ("".join(cells[1]["source"]), cells[1]["outputs"], cells[0]["metadata"]["tags"]) == ("open('sales.csv').read()", [], ["parameters"])
    again = {check["name"]: check["state"] for check in world.submit(path.name, parameters={"month": 2})["checks"]}
    assert (again["secrets"], again["paths"], again["parameters"]) == ("passed", "passed", "passed")


def test_another_notebook_or_a_link_is_refused(world, tmp_path, monkeypatch):
    path = world.notebook("a = 1", name="other.ipynb")
    found = world.submit(path.name)
    monkeypatch.setattr(job_fix, "connected", lambda environ: contextlib.nullcontext(world.client))
    link = tmp_path / "other.ipynb"
    link.symlink_to(path)
    for notebook in (world.workspace / "absent.ipynb", link):
        with pytest.raises(BadRequest):
            job_fix.run(argparse.Namespace(id=found["id"], notebook=notebook, apply=True, json=False))
    assert job_fix.run(argparse.Namespace(id=found["id"], notebook=path, apply=True, json=True)) == 0
