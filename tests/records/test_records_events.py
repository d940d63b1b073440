"""Each thing that is recorded has a schema, and each schema can fail."""

import ast
import re
from pathlib import Path

import pytest

import jupyter_guardrails
from jupyter_guardrails.records import audit, schemas

HOUSE = Path(jupyter_guardrails.__file__).parent
WRITERS = {"audit", "audit_fields", "_audit"}
NAME = re.compile(r"[a-z_]+\.[a-z_]*")


def text_of(node):
    """A constant, or an f-string with its holes left empty."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value for part in node.values if isinstance(part, ast.Constant))
    return ""


def actions_in(source):
    """Every action that a module writes: the first argument of a writer, `action=…`, an ACTION constant, or the first of a pair that is one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in WRITERS and node.args:
            yield text_of(node.args[0])
        if isinstance(node, ast.keyword) and node.arg == "action":
            yield text_of(node.value)
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "").endswith("ACTION") for target in node.targets):
            yield text_of(node.value)
        if isinstance(node, ast.Tuple) and len(node.elts) in (2, 3) and text_of(node.elts[0]).startswith(("file.", "data.", "network.")):
            yield text_of(node.elts[0])


def written():
    files = [path for room in ("records", "control") for path in (HOUSE / room).rglob("*.py") if "interface" not in path.parts]
    return sorted({action for path in files for action in actions_in(path.read_text()) if NAME.fullmatch(action)})


@pytest.mark.parametrize("action", written())
def test_each_action_of_the_code_has_a_schema(action):
    known = schemas.schema_of(action) is not None or (action.endswith(".") and any(name.startswith(action) for name in schemas.schemas()))
    assert known, f"records/events/{action}.yaml is missing"


def test_the_search_finds_actions():
    assert {"kernel.start", "kernel.end", "audit.key", "submission.", "file.", "data.read", "grant.revoke", "kernel.cell"} <= {*written()}


@pytest.mark.parametrize("name", schemas.schemas())
def test_each_schema_is_in_the_reference_and_in_jupyters_style(name):
    schema = schemas.schemas()[name]
    assert {"$id", "version", "title", "personal-data"} <= {*schema}
    reference = Path(__file__).parents[2].joinpath("docs", "reference", "audit.md").read_text()
    assert f"`{name}`" in reference or f"`{name}.…`" in reference


SAID = {"principal": "ana", "allowed": True, "reason": "r", "rule": "", "policy_digest": "d", "kernel": "k"}


def test_what_is_written_is_what_the_schema_says(records, now):
    def record(action, **more):
        return records.write_sync(audit.append, now=now, action=action, **{"resource": "x"} | SAID | more)

    assert schemas.mistakes(record("kernel.start")) == []
    assert schemas.mistakes(record("submission.in_review")) == []
    assert schemas.mistakes(record("file.read", allowed=False, mode="observe")) == []
    assert schemas.mistakes(record("kernel.cell", cell_digest="0" * 64, code="print(1)")) == []


@pytest.mark.parametrize(
    ("action", "wrong", "said"),
    [
        ("kernel.start", {"kernel": None}, "kernel: None is not of type 'string'"),
        ("kernel.start", {"seq": "1"}, "seq: '1' is not of type 'integer'"),
        ("kernel.start", {"extra": 1}, "Additional properties are not allowed"),
        ("kernel.start", {"mode": "maybe"}, "mode: 'maybe' is not one of"),
        ("kernel.start", {"cell_digest": "ab"}, "cell_digest: 'ab' does not match"),
        ("file.read", {}, "allowed: False was expected"),
        ("audit.key", {"resource": "x"}, "resource: 'x' does not match"),
        ("request.somehow", {}, "action: 'request.somehow' does not match"),
        ("never.heard", {}, "there is no schema for 'never.heard'"),
    ],
)
def test_what_does_not_fit_is_named(action, wrong, said):
    good = {"action": action, "resource": "x", "mode": None, "notebook": None, "cell_digest": None, "seq": 1, "time": "2025-03-01T12:00:00.000000Z"}
    record = good | SAID | {"previous_hash": "0" * 64, "hash": "1" * 64}
    assert any(said in mistake for mistake in schemas.mistakes(record | wrong))
