"""The tables in tests/policies/, run by the code of `policy test`; and that they look at every key of the policies they are about."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyter_guardrails.cli.policy import run_file
from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import Resource, effective, load
from jupyter_guardrails.policy.explain import lines
from jupyter_guardrails.policy.load import read_model
from jupyter_guardrails.policy.table import Table, run_table
from jupyter_guardrails.policy.yamltree import read_tree

FOLDER = Path(__file__).parents[1] / "policies"
TABLES = sorted(FOLDER.glob("*.yaml"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_holds(table):
    rows, failures = run_file(table)
    assert rows.tests
    assert failures == []


def test_there_are_tables():
    assert sum(len(run_file(table)[0].tests) for table in TABLES) >= 120


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_most_rows_can_fail(table, tmp_path):
    """The same rows against a policy that says nothing: those that expect something of the real one fail."""
    (tmp_path / "policies").mkdir()
    for policy in (FOLDER / "policies").iterdir():
        (tmp_path / "policies" / policy.name).write_text("apiVersion: guardrails/v1\nmode: observe\n")
    changed = tmp_path / table.name
    changed.write_text(table.read_text())
    rows, failures = run_file(changed)
    assert len(failures) > len(rows.tests) / 3
    assert all(failure.expected != failure.got for _, failure in failures)


def without_one(value, path=""):
    """(where, copy of the document without what stands there), for every key and every entry of a list."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(children):
        where = f"{path}[{key + 1}]" if isinstance(key, int) else f"{path}.{key}".removeprefix(".")
        left = copy.copy(value)
        del left[key]
        yield where, left
        if isinstance(child, dict | list):
            for inner, changed in without_one(child, where):
                left = copy.copy(value)
                left[key] = changed
                yield inner, left


def meaning(policy, people):
    """Everything that a policy says about some people."""
    return [(line.key, line.text) for who, groups in people for line in lines(effective(policy, who, groups))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full.yaml", "layers.yaml"])
def test_whatever_changes_the_meaning_of_a_policy_a_row_notices(name, tmp_path):
    """Each key and entry is taken out: so every key has a row that looks at it, and no row can be taken away unnoticed."""
    tables = [table for table in (read_model(file, Table)[0] for file in TABLES) if table.policy.endswith(name)]
    people = sorted({(row.who, row.groups) for table in tables for row in table.tests}, key=str)
    document = json.loads(json.dumps(read_tree((FOLDER / "policies" / name).read_bytes(), name)[0].plain()))
    file, unnoticed, noticed = tmp_path / name, [], 0
    file.write_text(json.dumps(document))
    before = meaning(load(file), people)
    assert not any(run_table(table, load(file), Resource, NOW) for table in tables)
    for where, changed in without_one(document):
        file.write_text(json.dumps(changed))
        try:
            policy = load(file)
        except PolicyError:
            continue  # noticed by `policy check` already
        seen = any(run_table(table, policy, Resource, NOW) for table in tables)
        noticed += seen
        unnoticed += [where] if not seen and meaning(policy, people) != before else []
    assert unnoticed == []
    assert noticed > 50
