"""What people really submit: too big, too long, broken, of another language, a link. A clear result each time, and their file as it was."""

import hashlib
import json
import os

import pytest
from promotion_world import check_of

from jupyter_guardrails.errors import BadRequest, GuardrailsError, NotFound

SOAK = os.environ.get("GUARDRAILS_SOAK") == "1"
OUTPUT_MB = 500 if SOAK else 50
CELLS = 10_000 if SOAK else 300


def notebook(cells, **metadata):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "tiny", "display_name": "tiny"}} | metadata, "cells": cells}


def cell(number, source, outputs=()):
    return {"cell_type": "code", "id": f"c{number}", "metadata": {}, "source": source, "execution_count": number + 1, "outputs": list(outputs)}


def saved(world, name, text):
    path = world.workspace / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def submitted(world, path, **fields):
    """The submission at its end; its author's file has the same bytes as before."""
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    found = world.submit(path.name, **fields)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    return found


OLD = {"cell_type": "code", "language": "python", "input": ["a = 1"], "outputs": [], "collapsed": False, "prompt_number": 1}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("no-json.ipynb", "{", "it is not JSON"),
        ("cut.ipynb", json.dumps(notebook([cell(0, "a = 1")]))[:-9], "is no"),
        ("list.ipynb", "[]", "is no valid notebook"),
        ("twice.ipynb", json.dumps(notebook([cell(0, "a = 1")]))[:-1] + ', "cells": []}', "twice"),
        ("r.ipynb", notebook([cell(0, "a <- 1")], kernelspec={"name": "ir", "display_name": "R", "language": "R"}), "is in R"),
        ("julia.ipynb", notebook([cell(0, "a = 1")], kernelspec={}, language_info={"name": "julia"}), "is in julia"),
    ],
)
def test_what_can_not_be_read_says_why_and_nothing_else_is_called_checked(world, name, text, words):
    found = submitted(world, saved(world, name, text))
    assert found["state"] == "checks_failed"
    assert words in check_of(found, "notebook")["detail"]
    assert {check["state"] for check in found["checks"] if check["name"] != "notebook"} == {"not_checked"}
    assert found["next_step"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "absent"])
def test_what_is_no_file_of_the_workspace_is_refused_at_once(world, tmp_path, kind):
    path = world.workspace / f"{kind}.ipynb"
    (tmp_path / "outside.ipynb").write_text(json.dumps(notebook([cell(0, "a = 1")])))
    make = {
        "link": lambda: path.symlink_to(tmp_path / "outside.ipynb"),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "absent": lambda: None,
    }
    make[kind]()
    with pytest.raises((BadRequest, NotFound)) as refused:
        world.create(path.name)
    assert isinstance(refused.value, GuardrailsError)
    assert refused.value.next_step


def test_an_old_notebook_is_checked_and_run_like_any_other(world):
    text = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "", "kernelspec": {"name": "tiny"}}, "worksheets": [{"cells": [OLD]}]}
    found = submitted(world, saved(world, "old.ipynb", text))
    assert (found["state"], check_of(found, "clean_run")["state"]) == ("in_review", "passed")


@pytest.mark.soak
def test_hundreds_of_megabytes_of_outputs_are_named_and_do_not_travel(world, tmp_path):
    path = world.workspace / "big.ipynb"
    head, tail = json.dumps(notebook([cell(0, "a = 1"), cell(1, "b = a", [{"output_type": "stream", "name": "stdout", "text": "HERE"}])])).split(
        "HERE"
    )
    with path.open("w") as file:
        file.write(head)
        for _ in range(OUTPUT_MB):
            file.write("0.25 JFK LGA 2013-01-01\\n" * 40_000)
        file.write(tail)
    found = world.wait(world.create(path.name)["id"], timeout_s=900)
    size = check_of(found, "size")
    assert (size["state"], size["findings"][0]["cell"], size["findings"][0]["offer"]) == ("warned", 1, {"do": "clear_outputs"})
    assert found["state"] == "in_review"
    assert world.package(found["id"], tmp_path / "big.job.zip").stat().st_size < 2_000_000
    path.unlink()


@pytest.mark.soak
def test_thousands_of_cells_are_checked_and_run(world):
    cells = [cell(number, f"a{number} = {f'a{number - 1} + ' if number else ''}1") for number in range(CELLS)]
    path = saved(world, "long.ipynb", notebook(cells))
    before = path.read_bytes()
    found = world.wait(world.create(path.name)["id"], timeout_s=900)
    assert (found["state"], check_of(found, "clean_run")["state"]) == ("in_review", "passed")
    assert check_of(found, "notebook")["detail"] == f"{CELLS} code cells"
    assert path.read_bytes() == before
