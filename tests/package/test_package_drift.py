"""How data differs from what a clean run saw: files, folders of them, and what control tells; in sentences that hold no value of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_guardrails.package import tables
from jupyter_guardrails.package.tables import bounds


def write(folder: Path, **files: str) -> Path:
    for number, (name, text) in enumerate(files.items()):
        path = folder / name.replace("__", "/").replace("_is_", "=")
        path = path.with_name(path.name + ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000 + number,) * 2)
    return folder


def wanted(place: Path) -> dict:
    """As job.json has it after a clean run on this data."""
    columns, in_some_files = tables.columns_of(place)
    return {"name": "nyc/x", "columns": columns, "in_some_files": in_some_files}


PARTS = {"year_is_2023__a": "id,fare\n1,2\n", "year_is_2024__a": "id,fare\n2,3\n"}


def test_a_folder_has_the_columns_of_its_files_and_of_its_folders_names(tmp_path):
    folder = write(tmp_path / "f", **PARTS)
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.csv").write_text("secret\n1\n")
    (folder / "README").write_text("no table")
    assert wanted(folder) == {"name": "nyc/x", "columns": {"id": "integer", "fare": "integer", "year": "integer"}, "in_some_files": []}
    assert tables.drifted(wanted(folder), str(folder)) == []
    write(folder, **{"year_is_none__a": "id,fare\n3,4\n"})
    assert wanted(folder)["columns"]["year"] == "string"


def test_a_new_part_that_is_other_is_told_with_how_many_are(tmp_path):
    folder = write(tmp_path / "f", **PARTS)
    then = wanted(folder)
    write(folder, **{"year_is_2025__a": "id,price,fare\n1,2,x\n"})
    assert tables.drifted(then, str(folder)) == [
        "column fare was integer, and is string in 1 of 3 files",
        "column price (integer) is new in 1 of 3 files",
    ]
    assert tables.drifted(then, str(write(tmp_path / "g", **{"year_is_2025__a": "id\n1\n"}))) == ["column fare is gone"]
    assert tables.drifted(then, str(write(tmp_path / "h", plain="id,fare\n1,2\n"))) == ["column year is gone"]


def test_what_only_some_files_had_in_the_clean_run_may_be_lacking(tmp_path):
    folder = write(tmp_path / "f", a="id,note\n1,x\n", b="id\n2\n")
    then = wanted(folder)
    assert then["in_some_files"] == ["note"]
    assert tables.drifted(then, str(folder)) == tables.drifted(then, str(write(tmp_path / "g", c="id\n3\n"))) == []
    assert tables.drifted(then, str(write(tmp_path / "h", c="note\nx\n"))) == ["column id is gone"]


def test_types_that_differ_from_file_to_file_are_the_wider_one_or_any(tmp_path):
    folder = write(tmp_path / "f", a="n,m\n1,x\n", b="n,m\n1.5,2\n")
    assert wanted(folder)["columns"] == {"n": "number", "m": "mixed"}
    assert tables.drifted(wanted(folder), str(folder)) == []


def test_a_folder_without_a_table_and_one_with_a_broken_file_say_so(tmp_path):
    then = wanted(write(tmp_path / "f", a="id,fare\n1,2\n", b="id,fare\n2,3\n"))
    (tmp_path / "empty").mkdir()
    assert tables.drifted(then, str(tmp_path / "empty")) == ["its columns can't be told any more: there is no table in its folder"]
    write(tmp_path / "f", b="id,fare\n1\n")
    why = "its rows don't all have the columns that its first line names"
    assert tables.drifted(then, str(tmp_path / "f")) == [f"its columns can't be told any more: {why} in 1 of 2 files"]


def test_the_newest_files_of_a_folder_are_looked_at_and_so_many_bytes_of_text(tmp_path, monkeypatch):
    folder = write(tmp_path / "f", **{f"p{n}": "id\n1\n" for n in range(6)})
    then = wanted(folder)
    write(folder, p0="other\n1\n")  # the oldest
    monkeypatch.setattr(tables.folders, "MAX_FOLDER_FILES", 3)
    assert tables.drifted(then, str(folder)) == []
    os.utime(folder / "p0.csv")
    assert tables.drifted(then, str(folder)) == ["column id is gone in 1 of 3 files", "column other (integer) is new in 1 of 3 files"]
    monkeypatch.setattr(tables.folders, "MAX_FOLDER_BYTES", 1)
    assert tables.drifted(then, str(folder)) == ["column id is gone", "column other (integer) is new"]


def test_links_are_not_followed_out_of_a_folder(tmp_path):
    write(tmp_path / "elsewhere", a="secret\n1\n")
    folder = write(tmp_path / "f", a="id\n1\n")
    (folder / "b.csv").symlink_to(tmp_path / "elsewhere" / "a.csv")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert wanted(folder)["columns"] == {"id": "integer"}


def test_more_columns_than_anybody_could_review_are_not_told(tmp_path):
    half = bounds.MAX_COLUMNS // 2 + 1
    folder = write(tmp_path / "f", **{name: ",".join(f"{name}{n}" for n in range(half)) + "\n" for name in ("a", "b")})
    assert tables.columns_of(folder) == ({}, [])


@pytest.mark.parametrize(
    ("told", "drift"),
    [
        ({"format": "csv", "columns": {"id": "integer", "email": "string"}, "problem": ""}, []),
        ({"format": "parquet", "columns": {"id": "string"}, "problem": ""}, ["column email is gone", "column id was integer, and is string"]),
        ({"format": "csv", "columns": {}, "problem": "its source is away"}, ["its columns can't be told any more: its source is away"]),
        (None, ["its columns can't be told any more: it is no table"]),
    ],
)
def test_what_control_tells_of_a_stream_or_a_masked_copy_is_compared_alike(told, drift):
    assert tables.drifted({"columns": {"id": "integer", "email": "string"}}, None, told) == drift
    assert tables.drifted({"columns": {}}, None, told) == []


def test_names_that_somebody_else_saw_are_judged_like_those_of_a_file():
    assert tables.named("csv", [("id", "integer")])["columns"] == {"id": "integer"}
    assert "looks like values" in tables.named("csv", [("ada@example.com", "string")])["problem"]
    assert "same name" in tables.named("parquet", [("id", "integer"), ("id", "string")])["problem"]
