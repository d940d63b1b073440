"""Which columns a kernel, a clean run and a job are given: by the broker, after masks, without a row; and as run.py asks for them."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from channel_world import Served
from scan_world import COLUMNS, Kernel, add_pictures, shows_nothing

import jupyter_guardrails
from jupyter_guardrails.control import delivered
from jupyter_guardrails.promotion.payload import run as payload


@pytest.fixture(scope="module")
def world(masked_world):
    masked_world.dataset("hr/salaries")
    add_pictures(masked_world)
    return masked_world


@pytest.fixture(scope="module")
def served(world, loop):
    served = Served(world, loop, datasets={})
    yield served.name
    served.close()


@pytest.fixture
def kernel(served):
    return Kernel(served)


@pytest.fixture
def package(tmp_path, monkeypatch, served) -> Path:
    """Where run.py finds the client and what it compares tables with, inside a sandbox that has this channel."""
    lib = tmp_path / "job" / "lib"
    lib.mkdir(parents=True)
    here = Path(jupyter_guardrails.__file__).parent
    (lib / "guarded").symlink_to(here / "client" / "guarded")
    (lib / "guarded_tables").symlink_to(here / "package" / "tables")
    monkeypatch.setattr(payload, "HERE", tmp_path / "job")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("GUARDRAILS_CHANNEL", f"@{served}")
    yield lib
    for name in [name for name in sys.modules if name.partition(".")[0] in ("guarded", "guarded_tables")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()


def test_columns_are_those_after_masks_and_no_row_is_read(world, kernel):
    said, fds = kernel.ask("datasets.columns", name="nyc/people")
    assert fds == []
    types = {"name": "string", "email": "string", "salary": "integer", "region": "string", "note": "string"}
    assert said == {"format": "parquet", "size_bytes": 0, "rows": None, "columns": types, "problem": ""}
    shows_nothing(said)
    for name in ("nyc/streamed", "nyc/bound", "nyc/flights"):
        assert kernel.ask("datasets.columns", name=name)[0]["columns"] == {"origin": "string", "delay": "integer"}, name
    assert world.audited("data.read") == []
    assert kernel.table("nyc/people")[1] == {"rows": 2}
    assert len(world.audited("data.read")) == 1, "the twin: a row that is read is recorded"


def test_what_may_not_be_read_tells_no_columns_and_that_is_recorded(world, kernel):
    error, _ = kernel.ask("datasets.columns", name="hr/salaries")
    assert error["code"] == "refused"
    assert [(one["resource"], one["allowed"]) for one in world.audited("data.read")][-1] == ("hr/salaries", False)
    assert kernel.ask("datasets.columns", name="nyc/nowhere")[0]["code"] == "not_found"


def test_what_is_no_table_has_none_and_a_contract_that_no_longer_fits_says_so(world, kernel):
    told, _ = kernel.ask("datasets.columns", name="nyc/pictures")
    assert (told["format"], told["columns"], "no table" in told["problem"]) == ("", {}, True)
    short = [column for column in COLUMNS if column["name"] != "region"]
    copy = shutil.copyfile(world.data / "people.parquet", world.data / "short.parquet")
    world.dataset("nyc/short", path=copy, schema=[{"name": "people", "properties": short}])
    said, _ = kernel.ask("datasets.columns", name="nyc/short")
    assert (said["columns"], "has a column 'region' that its contract lacks" in said["problem"]) == ({}, True)
    shows_nothing(said)


def test_a_source_that_does_not_answer_is_told_after_a_while(world, loop, monkeypatch):
    async def never(*_args):
        raise TimeoutError

    monkeypatch.setattr(delivered.scans, "told", never)
    contract = world.state().catalogs.current.contracts["nyc/streamed"]
    monkeypatch.setattr(delivered.scans, "plan_of", lambda *_args, **_asked: None)
    assert loop.run(delivered.columns_of(world.state(), contract, None))["problem"] == "its source did not answer within 30 s"


def test_a_run_compares_what_control_is_going_to_give_it(package, capsys):
    then = {"name": "nyc/people", "version": "1", "masks": {"email": "hash"}}
    then["columns"] = {"name": "string", "email": "string", "salary": "number", "region": "boolean", "was": "date"}
    (said,) = payload.inputs({"inputs": [then]}, {"nyc/people": None}, [])
    assert said["drift"] == ["column was is gone", "column region was boolean, and is string", "column note (string) is new"]
    assert "nyc/people: column was is gone" in capsys.readouterr().out
    shows_nothing(json.dumps(said))
    same = then | {"columns": {"name": "string", "email": "string", "salary": "integer", "region": "string", "note": "string"}}
    assert payload.inputs({"inputs": [same]}, {"nyc/people": None}, [])[0]["drift"] == []
    (refused,) = payload.inputs({"inputs": [same | {"name": "hr/salaries"}]}, {"hr/salaries": None}, [])
    assert refused["drift"][0].startswith("its columns can't be told any more: ")
    assert {path.name for path in package.iterdir()} == {"guarded", "guarded_tables"}
