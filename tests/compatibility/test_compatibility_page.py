"""docs/compatibility.md says what the tests of this folder show, and nothing else; run as a program, this file writes its table."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from matrix import CELLS, HERE, TESTS, VERDICTS, table

PAGE = HERE.parents[1] / "docs" / "compatibility.md"
HEAD = "| what | version tried | "


def written():
    """The page's table, as it stands there."""
    text = PAGE.read_text()
    start = text.index(HEAD)
    return text[start : text.index("\n\n", start) + 1]


def functions(file):
    """The names of a test file's functions."""
    return {node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef)}


def test_the_page_holds_the_table():
    assert written() == table(), "run: .venv/bin/python tests/compatibility/test_compatibility_page.py"


def test_a_row_less_is_noticed(monkeypatch):
    monkeypatch.setattr("matrix.CELLS", CELLS[1:])
    assert written() != table()


@pytest.mark.parametrize("row", TESTS, ids=lambda row: row["what"][:40])
def test_a_named_test_exists(row):
    file, _, function = row["test"].partition("::")
    assert function in functions(file)


@pytest.mark.parametrize("row", [*TESTS, *CELLS], ids=lambda row: row["what"][:40])
def test_a_row_has_what_the_table_needs(row):
    assert row["verdict"] in VERDICTS
    assert "==" in row.get("package", "==")
    assert row["verdict"] == "works" or row.get("note") or row.get("plain_prints"), "a note or a refusal says why"


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text.replace("TABLE\n", table()) if "TABLE\n" in text else text.replace(written(), table()))
