"""What can be given out as it is, the lines to type for it, and previews that hostile files cannot hurt."""

import asyncio
import json
import os
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

import jupyter_guardrails
from jupyter_guardrails.catalog import Column, Contract
from jupyter_guardrails.catalog.delivery import Bounds, bounds_of, obstacle
from jupyter_guardrails.catalog.preview import preview
from jupyter_guardrails.catalog.snippets import request_line, snippets
from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy import Obligations
from jupyter_guardrails.policy.rowfilter import Comparison, parse_filter

PLAIN = Contract("nyc/flights", "f.yaml", status="active", delivery="direct", format="parquet", path="/data/f.parquet", columns=(Column("origin"),))


def test_a_plain_dataset_meets_no_obstacle():
    assert obstacle(PLAIN, Obligations(), {}) == ""
    assert obstacle(replace(PLAIN, status="deprecated"), Obligations(), {}) == ""


@pytest.mark.parametrize(
    ("contract", "obligations", "words"),
    [
        (PLAIN, Obligations(row_filter="origin = {user.team}"), "nothing is known about that for you"),
        (replace(PLAIN, row_filter="origin in {user.teams}"), Obligations(), "nothing is known about that for you"),
        (replace(PLAIN, row_filter="origin ~ 'JFK'"), Obligations(), "a row filter that is not understood"),
        (replace(PLAIN, columns=(Column("a", mask="rot13"),)), Obligations(), "asks for the mask 'rot13' on a"),
        (replace(PLAIN, format="pdf"), Obligations({"origin": "hash"}), "its format pdf has no columns"),
        (replace(PLAIN, status="draft"), Obligations(), "is draft"),
        (replace(PLAIN, problems=(Problem("f.yaml", 1, 1, "wrong"),)), Obligations(), "has mistakes"),
    ],
)
def test_every_obligation_that_cannot_be_met_shuts_it(contract, obligations, words):
    assert words in obstacle(contract, obligations, {})


@pytest.mark.parametrize(
    ("contract", "obligations", "bounds"),
    [
        (PLAIN, Obligations(), Bounds()),
        (PLAIN, Obligations({"origin": "hash"}), Bounds("view", {"origin": "hash"})),
        (replace(PLAIN, columns=(Column("a", mask="blank"),)), Obligations({"a": "hash"}), Bounds("view", {"a": "blank"})),
        (replace(PLAIN, columns=(Column("a", mask="partial"),)), Obligations({"a": "hash"}), Bounds("view", {"a": "hash"})),
        (replace(PLAIN, row_filter="a = {user.name}"), Obligations(), Bounds("view", keep=Comparison("a", "=", "ana"))),
        (replace(PLAIN, row_filter="a = 1"), Obligations(row_filter="b = 2"), Bounds("view", keep=parse_filter("b = 2 and a = 1"))),
        (replace(PLAIN, delivery="view"), Obligations(), Bounds("view")),
        (replace(PLAIN, delivery="brokered"), Obligations({"origin": "hash"}), Bounds("brokered", {"origin": "hash"})),
        (replace(PLAIN, purposes=("churn",)), Obligations(), Bounds(purposes=("churn",))),
    ],
)
def test_policy_and_contract_bind_together_and_the_strictest_wins(contract, obligations, bounds):
    assert obstacle(contract, obligations, {"name": "ana"}) == ""
    assert bounds_of(contract, obligations, {"name": "ana"}) == bounds
    assert bounds.raw == (bounds == Bounds())


@pytest.mark.parametrize("bounds", [Bounds("view"), Bounds("brokered"), Bounds(purposes=("churn",))])
def test_snippets_of_what_has_no_path_go_through_the_broker(bounds):
    for text in snippets(PLAIN, bounds).values():
        compile(text, "snippet", "exec")
        assert 'guarded.open("nyc/flights"' in text
        assert ('purpose="churn"' in text) == bool(bounds.purposes)


@pytest.mark.parametrize("form", ["parquet", "csv", "arrow", "json", "directory"])
def test_snippets_are_code(form):
    found = snippets(replace(PLAIN, format=form))
    assert "path" in found
    for name, text in found.items():
        assert "nyc/flights" in text or name in ("r", "sql")
        if name not in ("r", "sql"):
            compile(text, name, "exec")
    compile(request_line("nyc/flights"), "request", "exec")


@pytest.mark.parametrize("name", ["flights.csv", "it's here.csv"])
def test_sql_runs_in_duckdb(tmp_path, name):
    """And a quote in a path stays one."""
    (tmp_path / name).write_text("carrier,flights\nAA,3\nUA,5\n")
    query = snippets(replace(PLAIN, format="csv", path=str(tmp_path / name)))["sql"]
    assert duckdb.sql(query).fetchall() == [("AA", 3), ("UA", 5)]
    assert "sql" not in snippets(replace(PLAIN, format="arrow"))


@pytest.mark.parametrize("library", ["pandas", "path"])
def test_snippets_run(world, library):
    """In a fresh interpreter with the client that kernels get."""
    place = world.parquet("flights.parquet")
    (world.data / "bindings.json").write_text(json.dumps({"nyc/flights": str(place)}))
    client = Path(jupyter_guardrails.__file__).parent / "client"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(client), "GUARDRAILS_BINDINGS": str(world.data / "bindings.json")}
    program = snippets(PLAIN)[library] + ("\nprint(len(df))" if library == "pandas" else "\nprint(guarded.path('nyc/flights'))")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == {"pandas": "3", "path": str(place)}[library], done.stderr


def rows_of(path, form):
    fd = os.open(path, os.O_RDONLY)
    try:
        return asyncio.run(preview(fd, form))
    finally:
        os.close(fd)


def test_a_preview_has_ten_rows_of_texts(world):
    found = rows_of(world.parquet("a.parquet", rows=50), "parquet")
    assert found["columns"] == ["origin", "email"]
    assert found["rows"] == [["JFK", f"p{i}@example.com"] for i in range(10)]


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("parquet", b"PAR1" + os.urandom(500) + b"PAR1"),
        ("arrow", b"ARROW1\0\0" + b"\xff" * 100),
        ("json", b"[" * 200_000),
        ("json", b"\xff\xfe"),
        ("parquet", b""),
    ],
)
def test_what_cannot_be_read_has_no_preview(world, form, data):
    (world.data / "x").write_bytes(data)
    assert rows_of(world.data / "x", form) is None


def test_only_the_head_of_a_text_file_is_read(world):
    (world.data / "big.csv").write_bytes(b"a,b\n1,2\n" + b"x" * (50 << 20))
    assert rows_of(world.data / "big.csv", "csv")["rows"][0] == ["1", "2"]


def test_long_cells_and_many_columns_are_cut(world):
    (world.data / "w.csv").write_text(",".join(f"c{i}" for i in range(1000)) + "\n" + "y" * 5000 + "," * 999 + "\n")
    found = rows_of(world.data / "w.csv", "csv")
    assert len(found["columns"]) == len(found["rows"][0]) == 200
    assert len(found["rows"][0][0]) == 200


def test_an_unknown_format_is_not_tried(world):
    (world.data / "x.gz").write_bytes(zlib.compress(b"0" * (100 << 20)))
    assert rows_of(world.data / "x.gz", "gz") is None
