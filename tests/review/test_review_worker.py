"""The process that reads packages for a server: what it prints, what it refuses before it prints anything, and what stays bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from nbformat.v4 import new_output

from jupyter_guardrails.review import evidence, shortened, worker
from jupyter_guardrails.review.diff import Change
from jupyter_guardrails.server import handlers

sys.path.insert(0, str(Path(__file__).parents[1] / "control"))

from decision_world import POLICY, DecisionWorld

ONE = POLICY.replace("approvals: 2}", "approvals: 1}")
API = yaml.safe_load((Path(handlers.__file__).parent / "openapi.yaml").read_text())
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, ONE)
    world.dataset("nyc/flights")
    yield world
    world.close()


def read(what, *rows):
    """Exit code, what was printed, the error; as a server runs it."""
    fds = [os.open(row["package_path"], os.O_RDONLY) for row in rows]
    words = [word for fd, row in zip(fds, rows, strict=True) for word in (str(fd), row["content_digest"])]
    try:
        command = [sys.executable, "-I", "-m", "jupyter_guardrails.review.worker", what, *words]
        done = subprocess.run(command, pass_fds=fds, capture_output=True, text=True, check=False, timeout=120)
    finally:
        for fd in fds:
            os.close(fd)
    return done.returncode, done.stdout, json.loads(done.stderr) if done.stderr else None


def test_what_changed_is_told_beside_what_it_reads_and_makes(world):
    output = {"name": "sold", "path": "sold.csv", "columns": {"day": "date", "sold": "int64"}}
    before = world.submission(code="x = 1")
    world.ask("rita", world.decision())
    made = json.dumps([{"path": "sold.csv", "format": "csv", "rows": 3, "size_bytes": 40, "problem": None}])
    more = {"outputs_of_job": [output], "texts": {"evidence/outputs.json": made}}
    now = world.submission("s2", code=f"x = '{EVIL}'", data=("nyc/flights",), **more)
    code, printed, _ = read("changes", now, before)
    found = json.loads(printed)
    assert code == 0
    jsonschema.validate(found, {"$ref": "#/components/schemas/ReviewContent", "components": API["components"]})
    changed = {one["what"]: one["lines"] for one in found["changes"]}
    assert changed["cell 1 (code)"][1:] == ["-x = 1", f"+x = '{EVIL}'"]
    (reads,), (makes,) = found["inputs"], found["outputs"]
    assert (reads["name"], reads["version"], reads["masks"], reads["pinned"]) == ("nyc/flights", "1.2.0", {}, False)
    assert (makes["path"], makes["rows"], makes["columns"][0]) == ("sold.csv", 3, {"name": "day", "type": "date"})


def test_the_first_version_has_no_changes_and_the_same_content_has_none(world):
    row = world.submission(code="x = 1")
    assert json.loads(read("changes", row)[1])["changes"] is None
    world.ask("rita", world.decision())
    same = world.submission("s2", code="x = 1")
    assert json.loads(read("changes", same, row)[1])["changes"] == []


def test_the_clean_run_is_a_page_without_script_in_the_theme_that_was_asked_for(world):
    html = new_output("display_data", {"text/html": EVIL, "text/plain": "a table"})
    row = world.submission(code=f"print('{EVIL}')", outputs=(html, new_output("stream", name="stdout", text=EVIL)))
    code, page, _ = read("dark", row)
    assert code == 0
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "<script" not in page
    assert "text/html is not shown here" in page
    assert "color-scheme: dark;" in page
    assert "frame-ancestors" not in page, "a meta element can't say it: the header does"


def test_another_package_than_the_digest_names_prints_nothing_but_why(world):
    row, other = world.submission(), world.submission("s2", person="ben", code="import os")
    for what in ("changes", "light"):
        code, printed, error = read(what, row | {"content_digest": other["content_digest"]})
        assert (code, printed, error["code"]) == (1, "", "package_error")
        assert "not what is in review" in error["message"]


def test_what_is_no_package_is_refused_in_words(world, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and then nothing")
    code, printed, error = read("changes", {"package_path": str(tmp_path / "x.zip"), "content_digest": "0" * 64})
    assert (code, printed, error["code"]) == (1, "", "package_error")
    assert error["next_step"]


def large_run(*texts):
    """A clean run with a cell for each text, which printed it; written by hand, since nbformat takes long for it."""
    printed = [f'{{"output_type": "stream", "name": "stdout", "text": "{text}"}}' for text in texts]
    cells = [f'{{"cell_type": "code", "source": "cell_of({at})", "outputs": [{one}]}}' for at, one in enumerate(printed)]
    return f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [{", ".join(cells)}]}}'


def test_a_clean_run_of_a_hundred_megabytes_is_shown_without_its_biggest_output_with_words_in_its_place(world):
    row = world.submission(texts={"evidence/executed.ipynb": large_run("a" * 1_000, os.urandom(33 << 20).hex(), "d" * 2_000)})
    code, page, _ = read("light", row)
    assert code == 0
    assert "Not shown is 1 of its outputs, 66.0 MiB in all" in page
    before, after = page.split("An output of 66.0 MiB is not shown here")
    assert ("cell_of(1)" in before, "a" * 1_000 in before) == (True, True)
    assert ("cell_of(2)" in after, "d" * 2_000 in after) == (True, True)
    assert len(page) < 20_000
    assert page.endswith("</html>\n")


@pytest.mark.parametrize(("mebibytes", "shown"), [((40, 20, 3), (40, 20, 3)), ((40, 30, 3), (30, 3)), ((70, 65), ()), ((30, 30, 30), (30, 30))])
def test_the_smallest_outputs_are_shown_as_many_as_fit(tmp_path, mebibytes, shown):
    path = tmp_path / "executed.ipynb"
    path.write_text(large_run(*("x" * ((size << 20) - 100) for size in mebibytes)))
    notebook = evidence._notebook(path)
    outputs = [cell["outputs"][0] for cell in notebook["cells"]]
    assert tuple(round(len(one["text"]) / (1 << 20)) for one in outputs if isinstance(one, dict)) == shown
    assert len(shortened.left_out(notebook)) == len(mebibytes) - len(shown)


OF_NO_USE = {
    "an old one": '{"nbformat": 3, "worksheets": [{"cells": [{"outputs": [{"text": "LONG"}]}]}]}',
    "one that ends early": '{"nbformat": 4, "cells": [{"outputs": [{"text": "LONG"}]}',
    "large in other ways": '{"nbformat": 4, "cells": [], "x": "LONG"}',
    "without cells": '{"nbformat": 4, "x": [{"outputs": [{"text": "LONG"}]}]}',
    "with cells of other kinds": '{"nbformat": 4, "cells": [1, [2], {"outputs": ["LONG"]}, null]}',
}


@pytest.mark.parametrize("text", OF_NO_USE.values(), ids=OF_NO_USE)
def test_a_large_file_that_is_no_notebook_of_today_says_so(tmp_path, text):
    (tmp_path / "executed.ipynb").write_text(text.replace("LONG", "x" * (65 << 20)))
    (cell,) = evidence._notebook(tmp_path / "executed.ipynb")["cells"]
    assert "save the package to look at it" in cell["source"]


def test_what_stands_for_an_output_can_not_be_forged(world):
    """An author's own words are text in the page, wherever they stand."""
    words = "<p class=failed>An output of 40.0 MiB is not shown here</p>"
    page = read("light", world.submission(outputs=(new_output("stream", name="stdout", text=words),)))[1]
    assert words not in page
    assert "&lt;p class=failed&gt;An output of 40.0 MiB" in page


def test_changes_without_end_are_cut_where_a_reader_would_stop():
    many = [Change("cell 1 (code)", ("+" + "x" * 10_000,))] + [Change(f"file{n} is new", ("+y" * 999,) * 100) for n in range(200)]
    found = list(worker._bounded(many))
    assert found[0]["lines"][0].endswith("… and 8001 characters more")
    assert found[-1]["what"].startswith("… and more")
    assert sum(len(line) for one in found for line in one["lines"]) <= worker.MOST_CHARACTERS
    few = [Change("a", ("+x",))]
    assert list(worker._bounded(few)) == [{"what": "a", "lines": ["+x"]}]
