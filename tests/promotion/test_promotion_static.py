"""Reading notebooks, parameters, secrets, dataset names: no process needed."""

import json
import zipfile

import pytest
from nbformat.v4 import new_code_cell, new_output
from work_bench import bench, messages, nothing, places

from jupyter_guardrails.control.interface.work import WorkerInputs
from jupyter_guardrails.errors import BadRequest, Refused
from jupyter_guardrails.promotion import code
from jupyter_guardrails.promotion.checks import data, parameters, secrets
from jupyter_guardrails.promotion.notebook import parse, read_notebook

KEY = "AKIA" + "IOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"cells": 3}', "\udcff", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "[" * 99_999],
)
def test_a_file_that_is_no_notebook_is_said_to_be_none(tmp_path, text):
    path = tmp_path / "bad.ipynb"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadRequest) as refused:
        read_notebook(path)
    assert "bad.ipynb is no" in refused.value.message
    assert refused.value.next_step


def test_an_old_notebook_is_read_as_a_new_one(tmp_path):
    cell = {"cell_type": "code", "language": "python", "input": "a = 1", "outputs": [], "collapsed": False, "prompt_number": 1}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [cell]}]}))
    assert [found.source for found in read_notebook(path).cells] == ["a = 1"]


def parameter_cell(source):
    return new_code_cell(source, metadata={"tags": ["parameters"]}, execution_count=1)


def test_parameters_become_a_schema(tmp_path):
    work = bench(tmp_path, [parameter_cell("'''what'''\na = 1\nb: float = 0.5\nc = 'x'\nd = True\ne = [1, 2]\nf = None\n# note")])
    assert parameters.run(work, nothing).state == "passed"
    types = {name: schema["type"] for name, schema in work.schema["properties"].items()}
    assert types == {"a": "integer", "b": "number", "c": "string", "d": "boolean", "e": "array", "f": "null"}
    assert work.schema["additionalProperties"] is False


@pytest.mark.parametrize("values", [{"a": 2}, {}, {"b": 1}])
def test_fitting_values_pass(tmp_path, values):
    assert parameters.run(bench(tmp_path, [parameter_cell("a = 1\nb = 0.5")], parameters=values), nothing).state == "passed"


@pytest.mark.parametrize("values", [{"a": "2"}, {"nope": 1}, {"a": 1.5}])
def test_unknown_and_ill_typed_values_fail(tmp_path, values):
    assert parameters.run(bench(tmp_path, [parameter_cell("a = 1\nb = 0.5")], parameters=values), nothing).state == "failed"


@pytest.mark.parametrize("source", ["import os", "a = os.environ", "a = b = 1", "a, b = 1, 2", "a = float('nan')", "a = {1, 2}"])
def test_a_parameters_cell_holds_plain_values_only(tmp_path, source):
    result = parameters.run(bench(tmp_path, [parameter_cell(f"z = 1\n{source}")]), nothing)
    assert result.state == "failed"
    assert places(result) == [(0, 2)]


def test_secrets_are_found_in_sources_outputs_metadata_and_files_and_never_shown(tmp_path):
    printed = new_output("stream", name="stdout", text=f"line\n{KEY}\n")
    shown = new_output("display_data", data={"text/html": f"<b>{KEY}</b>", "image/png": "QUtJQUlPU0ZPRE5ON0VYQU1QTEU="})
    failed = new_output("error", ename="E", evalue="v", traceback=["ok", f"password = '{KEY}'"])
    cells = ["a = 1", f"x = 1\nkey = '{KEY}'", new_code_cell("b", outputs=[printed, shown, failed]), new_code_cell("c", metadata={"note": KEY})]
    work = bench(tmp_path, cells)
    (work.order.frozen / "config.env").write_text(f"A=1\nTOKEN={KEY}\n")
    result = secrets.run(work, nothing)
    assert result.state == "failed"
    assert {finding.cell for finding in result.findings} == {1, 2, 3, None}
    assert (1, 2) in places(result)
    assert any("config.env" in message for message in messages(result))
    assert KEY not in str(result)


def test_a_comment_does_not_wave_a_secret_through(tmp_path):
    assert secrets.run(bench(tmp_path, [f"k = '{KEY}'  # pragma: allowlist secret"]), nothing).state == "failed"


def test_no_secret_no_finding(tmp_path):
    cells = [
        "import os\npassword = os.environ['PASSWORD']",
        new_code_cell("h", outputs=[new_output("stream", name="stdout", text="a94a8fe5ccb19ba61c4c0873\n")]),
    ]
    assert messages(secrets.run(bench(tmp_path, cells), nothing)) == []


def wheel(folder, **members):
    path = folder / "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for name, text in {"mine/data.bin": "\0\1", "mine-1.0.dist-info/RECORD": f"mine/secrets.py,sha256={KEY},9\n", **members}.items():
            made.writestr(name, text)
    return path


def test_secrets_in_a_wheel_that_goes_along_are_found_by_file_and_line(tmp_path):
    work = bench(tmp_path, ["import mine"])
    work.wheels = [wheel(tmp_path, **{"mine/conn.py": f"import os\nTOKEN = '{KEY}'\n", "mine/fine.py": "a = 1\n"})]
    result = secrets.run(work, nothing)
    assert (result.state, messages(result)[0]) == ("failed", "AWS Access Key in mine/conn.py of mine-1.0-py3-none-any.whl, line 2")
    assert {"mine/conn.py" in message for message in messages(result)} == {True}
    assert "what the wheel is made from" in result.findings[0].fix
    assert KEY not in str(result)


def test_a_wheel_without_any_passes_and_says_what_nobody_could_read(tmp_path):
    work = bench(tmp_path, ["import mine"])
    work.wheels = [wheel(tmp_path, **{"mine/conn.py": "import os\nTOKEN = os.environ['TOKEN']\n"})]
    result = secrets.run(work, nothing)
    assert (result.state, messages(result)) == ("passed", [])
    assert "the wheels that go along; not looked at: mine/data.bin of mine-1.0-py3-none-any.whl" in result.detail


def test_a_broken_wheel_is_never_called_free_of_them(tmp_path):
    work = bench(tmp_path, ["import mine"])
    path = wheel(tmp_path, **{"mine/conn.py": "a = 'spoilt'\n"})
    path.write_bytes(path.read_bytes().replace(b"a = 'spoilt'", b"a = 'spoilT'"))
    work.wheels = [path]
    with pytest.raises(BadRequest, match="can't be read"):
        secrets.run(work, nothing)


SHOWN = {
    "nyc/flights": {
        "status": "granted",
        "version": "1.2.0",
        "path": "/data/nyc",
        "schema": [{"name": "carrier", "type": "string"}],
    },
    "hr/people": {"status": "granted", "version": "1.0.0", "path": None, "schema": []},
    "hr/salaries": {
        "status": "requestable",
        "rule": "guardrails.yaml:9 everyone",
        "next_step": "guarded.request('hr/salaries', purpose='…')",
        "error": "",
    },
}


BOUND = {"hr/people": {"masks": {"a": "hash"}, "rows": "5e1f"}}


class Catalogue:
    """Answers as control does for three datasets; the real one is asked in test_promotion_submission."""

    def call(self, request):
        if isinstance(request, WorkerInputs):
            return {"inputs": [{"name": name, "version": SHOWN[name]["version"]} | BOUND.get(name, {}) for name in request.names]}
        if request.name not in SHOWN:
            raise Refused(f"there is no dataset {request.name}", next_step="look it up")
        return SHOWN[request.name]


def data_check(root, *sources, **fields):
    work = bench(root, list(sources), **fields)
    work.control = Catalogue()
    return work, data.run(work, nothing)


@pytest.mark.parametrize(
    "source",
    [
        "import guarded\nguarded.path('nyc/flights')",
        "import guarded as g\ng.open(name='nyc/flights')",
        "from guarded import path as p\np('nyc/flights')",
        "import guarded\nguarded.sql('nyc/flights', 'select 1')",
        "import pandas as pd\npd.read_csv('dataset://nyc/flights')",
        "import guarded\nNAME = 'nyc/flights'\nguarded.path(NAME)",
    ],
)
def test_each_way_of_naming_a_dataset_declares_it(tmp_path, source):
    work, result = data_check(tmp_path, source)
    assert result.state == "passed"
    assert [(entry.name, entry.version, entry.path, entry.masks) for entry in work.inputs] == [("nyc/flights", "1.2.0", "/data/nyc", {})]


def test_a_dataset_that_is_not_granted_fails_with_rule_and_next_step(tmp_path):
    work, result = data_check(tmp_path, "x = 1", "import guarded\nguarded.path('hr/salaries')", "guarded.path('nyc/flights')")
    assert result.state == "failed"
    assert places(result) == [(1, 2)]
    assert "guardrails.yaml:9 everyone" in messages(result)[0]
    assert "guarded.request" in result.findings[0].fix
    assert [entry.name for entry in work.inputs] == ["nyc/flights"]


def test_masked_data_is_declared_with_what_it_is_bound_to(tmp_path):
    work, result = data_check(tmp_path, "import guarded\nguarded.open('hr/people')\nguarded.open('nyc/flights')")
    assert (result.state, result.detail) == ("passed", "granted: hr/people (a hash; some of its rows), nyc/flights")
    assert next((entry.name, entry.path, entry.masks, entry.rows) for entry in work.inputs) == ("hr/people", None, {"a": "hash"}, "5e1f")


def test_a_place_of_a_contract_is_declared_and_warned_about(tmp_path):
    work, result = data_check(tmp_path, "open('/data/nyc/part-1.csv')", places={"/data/nyc": "nyc/flights"})
    assert result.state == "warned"
    assert [entry.name for entry in work.inputs] == ["nyc/flights"]
    assert 'guarded.path("nyc/flights")' in result.findings[0].fix


def test_a_computed_name_is_warned_about(tmp_path):
    _, result = data_check(tmp_path, "import guarded\nguarded.path('nyc/' + what)")
    assert result.state == "warned"


@pytest.mark.parametrize("source", ["import os\nos.path('nyc/flights')", "path('nyc/flights')", "x = 'nyc/flights'"])
def test_other_calls_name_no_dataset(tmp_path, source):
    work, result = data_check(tmp_path, source)
    assert (result.state, work.inputs) == ("passed", [])


def test_texts_put_paths_together():
    tree, _, _ = parse("Path('a') / 'b.csv'\nos.path.join('c', 'd')\nopen('e', 'w')\nopen(name, mode='r')\nf(x='g')")
    found = [(named.text, named.call, named.is_written) for named in code.texts(tree)]
    assert ("a/b.csv", "", False) in found
    assert ("c/d", "", False) in found
    assert ("e", "open", True) in found
    assert ("g", "f", False) in found
