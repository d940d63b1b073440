"""Which bytes a clean run read: said where they are one file that stayed the same, and a finding where they did not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from jupyter_guardrails.cli.review_evidence import Content, Evidence
from jupyter_guardrails.cli.review_text import data_lines
from jupyter_guardrails.package.job import Input
from jupyter_guardrails.promotion import inputs


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


def test_reviewers_read_which_bytes_those_were() -> None:
    read = {"name": "x/file", "version": "1", "masks": {}, "rows": ""}
    said = {"data": [{"name": "x/file", "classification": "internal", "owner": ""}]}

    def lines(entry: dict) -> list[str]:
        return data_lines(Evidence({}, {}, said, Content({"inputs": [entry], "outputs": []}, {}, {}, "", {}), None))

    assert lines(read | {"sha256": "ab" * 32, "size_bytes": 4}) == ["  x/file (internal): version 1; a file of 4 bytes, sha256 abababababababab"]
    assert lines(read | {"sha256": "", "size_bytes": None}) == lines(read) == ["  x/file (internal): version 1"]
