"""Which bytes a clean run read: said where they are one file that stayed the same, and a finding where they did not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from jupyter_guardrails.control import packages
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import Input, Job
from jupyter_guardrails.promotion import inputs
from jupyter_guardrails.review.evidence import Content, Evidence
from jupyter_guardrails.review.wording import data_lines


def test_a_file_that_stays_is_pinned_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "folder").mkdir()
    found = [
        Input(name="x/file", path=str(tmp_path / "a.csv")),
        Input(name="x/folder", path=str(tmp_path / "folder")),
        Input(name="x/brokered"),
        Input(name="x/masked", path=str(tmp_path / "a.csv"), masks={"a": "hash"}),
    ]
    assert inputs.pin(found, inputs.stamps(found)) == []
    digest = hashlib.sha256(b"a\n1\n").hexdigest()
    assert [(entry.sha256, entry.size_bytes) for entry in found] == [(digest, 4), ("", None), ("", None), ("", None)]


def test_columns_are_told_of_every_table_and_by_control_of_what_it_delivers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one.csv").write_text("a,b\n1,x\n")
    (tmp_path / "folder" / "two.csv").write_text("a\n1\n")
    (tmp_path / "text").write_text("nothing")
    found = [
        Input(name="x/file", path=str(tmp_path / "a.csv")),
        Input(name="x/folder", path=str(tmp_path / "folder")),
        Input(name="x/text", path=str(tmp_path / "text")),
        Input(name="x/masked", path=str(tmp_path / "a.csv"), masks={"a": "hash"}),
        Input(name="x/some", path=str(tmp_path / "a.csv"), rows="f" * 32),
        Input(name="x/streamed"),
        Input(name="x/away"),
        Input(name="x/pictures"),
    ]
    told = {name: {"format": "csv", "columns": {"a": "string"}, "problem": ""} for name in ("x/masked", "x/some", "x/streamed")}
    told["x/away"] = {"format": "csv", "columns": {}, "problem": "its source is away"}
    told["x/pictures"] = {"format": "", "columns": {}, "problem": "it is no table"}
    assert inputs.pin(found, inputs.stamps(found)) == []
    (finding,) = inputs.describe(found, told.__getitem__)
    assert (finding.kind, "x/away" in finding.message, "its source is away" in finding.message) == ("columns_untold", True, True)
    columns = {entry.name: (entry.columns, entry.in_some_files) for entry in found}
    assert columns["x/file"] == ({"a": "integer"}, [])
    assert columns["x/folder"] == ({"a": "integer", "b": "string"}, ["b"])
    assert columns["x/masked"] == columns["x/some"] == columns["x/streamed"] == ({"a": "string"}, [])
    assert columns["x/text"] == columns["x/away"] == columns["x/pictures"] == ({}, [])


@pytest.mark.parametrize("change", ["rewritten", "replaced", "gone"])
def test_a_file_that_changes_meanwhile_is_a_finding(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    found = [Input(name="x/file", path=str(path))]
    before, status = inputs.stamps(found), path.stat()
    if change == "rewritten":
        path.write_text("a\n2\n")
    else:
        path.unlink()
    if change == "replaced":
        path.write_text("a\n1\n")
    if change != "gone":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # nobody is fooled by that
    (finding,) = inputs.pin(found, before)
    assert (finding.kind, found[0].sha256) == ("changed_data", "")


def test_only_a_whole_plain_file_that_the_job_reads_can_be_pinned_by_its_author(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "folder").mkdir()
    found = [
        Input(name="x/file", path=str(tmp_path / "a.csv")),
        Input(name="x/folder", path=str(tmp_path / "folder")),
        Input(name="x/brokered"),
        Input(name="x/masked", path=str(tmp_path / "a.csv"), masks={"a": "hash"}),
    ]
    assert inputs.not_pinnable(found, ["x/file"]) == []
    refused = inputs.not_pinnable(found, ["x/folder", "x/brokered", "x/masked", "x/unread"])
    assert ["doesn't read it" in finding.message for finding in refused] == [False, False, False, True]
    assert all(finding.fix and finding.message.startswith(finding.message.split()[0] + " is pinned, and ") for finding in refused)


def test_control_takes_no_job_that_pins_without_saying_which_bytes() -> None:
    python = {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}
    job = {"name": "a", "entry": "a.ipynb", "owner": "ana", "python": python, "parameters": {"json_schema": {}}, "policy_digest": "p"}
    job |= {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}, "pinned": ["x/file"]}
    row, details = {"name": "a", "notebook": "a.ipynb", "principal": "ana", "parameters": {}}, Details(pinned=["x/file"])
    seen = [DeclaredInput(name="x/file", version="1")]

    def check(details: Details, **said: object) -> None:
        packages.check_job(Job.model_validate(job | {"inputs": [{"name": "x/file", "version": "1"} | said]}), row, "p", seen, details)

    check(details, sha256="0" * 64, size_bytes=4)
    with pytest.raises(PackageError, match="pinned x/file"):
        check(details)
    with pytest.raises(PackageError, match="pinned"):
        check(Details(), sha256="0" * 64, size_bytes=4)


def test_control_takes_no_job_that_leaves_out_which_file_counts_by_its_contract() -> None:
    python = {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}
    job = {"name": "a", "entry": "a.ipynb", "owner": "ana", "python": python, "parameters": {"json_schema": {}}, "policy_digest": "p"}
    job |= {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}}
    row, seen = {"name": "a", "notebook": "a.ipynb", "principal": "ana", "parameters": {}}, [DeclaredInput(name="x/file", counts="ab" * 32)]
    packages.check_job(Job.model_validate(job | {"inputs": [{"name": "x/file", "counts": "ab" * 32}]}), row, "p", seen, Details())
    with pytest.raises(PackageError, match="something else of its data"):
        packages.check_job(Job.model_validate(job | {"inputs": [{"name": "x/file"}]}), row, "p", seen, Details())


def test_reviewers_read_which_bytes_those_were() -> None:
    read = {"name": "x/file", "version": "1", "masks": {}, "rows": ""}
    said = {"data": [{"name": "x/file", "classification": "internal", "owner": ""}]}

    def lines(entry: dict, **job: list[str]) -> list[str]:
        return data_lines(Evidence({}, {}, said, Content({"inputs": [entry], "outputs": []} | job, {}, {}, "", {}), None))

    assert lines(read | {"sha256": "ab" * 32, "size_bytes": 4}) == ["  x/file (internal): version 1; a file of 4 bytes, sha256 abababababababab"]
    assert lines(read | {"sha256": "ab" * 32, "size_bytes": 4}, pinned=["x/file"])[0].endswith("abababababababab, and it runs with no other")
    assert lines(read | {"counts": "ab" * 32})[0].endswith("version 1; its contract says which file counts, and it runs with no other")
    assert lines(read | {"sha256": "", "size_bytes": None}) == lines(read) == ["  x/file (internal): version 1"]
