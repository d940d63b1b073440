"""Columns of data files, read without any library, beside what pyarrow wrote; hostile files end in a sentence, and no value is told."""

import datetime
import decimal
import json
import os
import random

import pyarrow
import pytest
from pyarrow import csv, feather, parquet

from jupyter_guardrails.package import tables

DAY = datetime.date(2031, 5, 1)
MIXED = {
    "an integer": [1, 2],
    "a number": [1.5, None],
    "a text": ["x", "y"],
    "a truth": [True, False],
    "a day": [DAY, DAY],
    "a moment": [datetime.datetime(2031, 5, 1)] * 2,
    "an hour": [datetime.time(1)] * 2,
    "some": [[1], [2, 3]],
    "a pair": [{"x": 1, "y": {"z": [1]}}] * 2,
    "an amount": [decimal.Decimal("1.20")] * 2,
    "bytes": [b"\0", b"\1"],
    "small": pyarrow.array([1, 2], pyarrow.uint8()),
    "keyed": pyarrow.array([[("k", 1)]] * 2, pyarrow.map_(pyarrow.string(), pyarrow.int32())),
    "coded": pyarrow.array(["x", "y"]).dictionary_encode(),
    "two": pyarrow.array([[1, 2]] * 2, pyarrow.list_(pyarrow.int32(), 2)),
    "none": pyarrow.nulls(2),
    "after what is nested": ["x", "y"],
}
SCALARS = ["integer", "number", "string", "boolean", "date", "timestamp", "time"]
TYPES = [*SCALARS, "array", "object", "number", "string", "integer", "object", "string", "array", "string", "string"]
COLUMNS = dict(zip(MIXED, TYPES, strict=True))


@pytest.fixture(scope="module")
def mixed():
    return pyarrow.table(MIXED)


@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_parquet_has_its_columns_in_its_footer(tmp_path, mixed, codec):
    parquet.write_table(mixed, tmp_path / "any.name", compression=codec, row_group_size=1)
    found = tables.look(tmp_path / "any.name")
    assert found == {"format": "parquet", "size_bytes": os.path.getsize(tmp_path / "any.name"), "rows": 2, "columns": COLUMNS, "problem": ""}


@pytest.mark.parametrize("codec", ["lz4", "uncompressed"])
def test_arrow_has_them_in_its_footer_and_its_rows_batch_by_batch(tmp_path, mixed, codec):
    feather.write_feather(mixed, tmp_path / "any.name", compression=codec, chunksize=1)
    found = tables.look(tmp_path / "any.name")
    assert (found["format"], found["rows"], found["columns"], found["problem"]) == ("arrow", 2, COLUMNS, "")


def test_csv_has_names_in_its_first_line_and_types_in_the_next(tmp_path):
    text = 'n;mean;word;"is it";day\n1;2.5;"a;\nb";true;2031-05-01\n-2;3;c;false;2031-05-02\n;1e-3;;;\n'
    (tmp_path / "a.csv").write_text(text)
    found = tables.look(tmp_path / "a.csv")
    assert (found["rows"], found["problem"]) == (3, "")
    assert found["columns"] == {"n": "integer", "mean": "number", "word": "string", "is it": "boolean", "day": "string"}
    csv.write_csv(pyarrow.table({"x": [1, 2], "y": ["a", 'b "c"']}), tmp_path / "b.csv")
    assert tables.look(tmp_path / "b.csv")["columns"] == {"x": "integer", "y": "string"}
    (tmp_path / "c.csv").write_text(",x\n0,1.5\n")  # as pandas writes an index
    assert tables.look(tmp_path / "c.csv")["columns"] == {"Unnamed: 0": "integer", "x": "number"}


def test_an_object_a_line_has_the_keys_of_its_first_lines(tmp_path):
    lines = [{"a": 1, "b": "x"}, {"a": 1.5, "c": [1], "d": {"e": 1}}, {"a": None, "b": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    found = tables.look(tmp_path / "a.jsonl")
    assert (found["rows"], found["columns"]) == (3, {"a": "number", "b": "string", "c": "array", "d": "object"})
    (tmp_path / "a.json").write_text((tmp_path / "a.jsonl").read_text())
    assert tables.look(tmp_path / "a.json") == found
    (tmp_path / "document.json").write_text('{"somebody@example.com": 3}')
    assert tables.look(tmp_path / "document.json") is None, "the keys of a document are no columns"
    assert tables.look(tmp_path / "document.json", "json")["columns"], "but where it is known to be lines"


@pytest.mark.parametrize("first", ["1,2", "ana@example.com,b", "2031-05-01,x", "x,1.5%", "true,x"])
def test_a_first_line_of_values_is_told_to_nobody(tmp_path, first):
    (tmp_path / "a.csv").write_text(f"{first}\n3,4\n")
    found = tables.look(tmp_path / "a.csv")
    assert (found["columns"], found["rows"]) == ({}, None)
    assert found["problem"] == "its first line looks like values, or is very long: these are not told as names"
    (tmp_path / "a.csv").write_text("a1,b\n3,4\n")
    assert tables.look(tmp_path / "a.csv")["columns"] == {"a1": "integer", "b": "integer"}


def test_what_is_no_table_is_none_and_what_is_broken_says_so(tmp_path, mixed):
    (tmp_path / "a.txt").write_text("a,b\n1,2\n")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.txt")
    assert [tables.look(tmp_path / name) for name in ("a.txt", "pipe.csv", "link.csv", "missing.csv", ".")] == [None] * 5
    parquet.write_table(mixed, tmp_path / "a.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    (tmp_path / "packed.csv").write_bytes(b"\x1f\x8b\0\0")
    (tmp_path / "ragged.csv").write_text("a,b\n1\n")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    (tmp_path / "unseen.csv").write_text("a\u200b,b\n1,2\n")
    (tmp_path / "latin.csv").write_bytes("ä,b\n1,2\n".encode("latin-1"))
    problems = {path.name: tables.look(path)["problem"] for path in tmp_path.iterdir() if path.suffix != ".txt" and tables.look(path)}
    assert problems.pop("a.parquet") == ""
    assert problems == {
        "cut.parquet": "it has no footer: it was not written to its end",
        "packed.csv": "it is no text: what is compressed is not looked at",
        "ragged.csv": "its rows don't all have the columns that its first line names",
        "twice.csv": "two of its columns have the same name",
        "unseen.csv": "the name of column 1 is empty, longer than 200 characters, or holds characters that nobody sees",
        "latin.csv": "it can't be read as csv",
    }


def test_files_without_end_are_read_at_their_beginning(tmp_path):
    """A header or a row of millions of cells, a text without a line's end, and rows that nobody counts."""
    (tmp_path / "wide.csv").write_text('"\n",' * 3_000_000)
    (tmp_path / "row.csv").write_text("a,b\n" + '"\n",' * 3_000_000)
    (tmp_path / "line.jsonl").write_text('{"a": "' + "x" * 3_000_000)
    (tmp_path / "commas.csv").write_text("a,b\n" + "," * 900_000 + "\n")
    for name in ("wide.csv", "row.csv", "line.jsonl", "commas.csv"):
        found = tables.look(tmp_path / name, counted_bytes=0)
        assert bool(found["problem"]) == (name != "row.csv"), name  # whose first row has no end within what is looked at
    (tmp_path / "long.csv").write_text("a,b\n" + "1,x\n" * 1_500_000)
    found = tables.look(tmp_path / "long.csv", counted_bytes=1000)
    assert (found["columns"], found["rows"]) == ({"a": "integer", "b": "string"}, None)
    assert tables.look(tmp_path / "long.csv")["rows"] == 1_500_000


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_footers_with_other_bytes_are_read_or_refused(tmp_path, mixed, form):
    write = {"parquet": parquet.write_table, "arrow": feather.write_feather}[form]
    write(mixed, tmp_path / "a")
    whole, places = (tmp_path / "a").read_bytes(), random.Random(1)
    end = len(whole) - {"parquet": 8, "arrow": 10}[form]
    first = end - int.from_bytes(whole[end : end + 4], "little")  # where its footer begins
    told = set()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(places.randint(1, 6)):
            data[places.randrange(first, first + 700)] = places.randrange(256)
        (tmp_path / "b").write_bytes(data)
        found = tables.look(tmp_path / "b", form)
        assert bool(found["columns"]) != bool(found["problem"])
        told.add(bool(found["problem"]))
    assert told == {True, False}


def test_what_fits_and_what_differs():
    seen = {"a": "integer", "b": "string", "c": "number", "z": "date"}
    assert tables.differences(seen, seen) == []
    assert tables.differences({"a": "integer", "gone": "string", "c": "string"}, seen) == [
        "column gone is gone",
        "column c was string, and is number",
    ]
    assert tables.differences({"a": "integer"}, seen, extra=True) == [
        "column b (string) is new",
        "column c (number) is new",
        "column z (date) is new",
    ]
    fitting = [
        ("number", "integer", ""),
        ("int64", "integer", ""),
        ("decimal(10,2)", "number", ""),
        ("whatever", "date", ""),
        ("date", "string", "csv"),
    ]
    assert all(tables.fits(*one) for one in [*fitting, ("string", "integer", "csv"), ("timestamp", "string", "json")])
    assert not any(
        tables.fits(*one) for one in [("integer", "number", ""), ("date", "string", "parquet"), ("date", "number", "csv"), ("bool", "string", "csv")]
    )
