"""The tables in tests/policies/, run by the code of `policy test`."""

from pathlib import Path

import pytest

from jupyter_guardrails.cli.policy import run_file

TABLES = sorted((Path(__file__).parents[1] / "policies").glob("*.yaml"))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_holds(table):
    rows, failures = run_file(table)
    assert rows.tests
    assert failures == []


def test_there_are_tables():
    assert sum(len(run_file(table)[0].tests) for table in TABLES) >= 60


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_row_can_fail(table, tmp_path):
    """The same rows against a policy that says nothing: those that expect something of the real one fail."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "full.yaml").write_text("apiVersion: guardrails/v1\nmode: observe\n")
    copy = tmp_path / table.name
    copy.write_text(table.read_text())
    rows, failures = run_file(copy)
    assert len(failures) > len(rows.tests) / 3
    assert all(failure.expected != failure.got for _, failure in failures)
