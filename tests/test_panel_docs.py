"""Commands, shortcuts and settings of the panel: each is in docs/scientists.md, and no shortcut takes one of Jupyter's own."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scientists.md").read_text()
SCHEMAS = [json.loads(path.read_text()) for path in sorted((ROOT / "labextension" / "schema").glob("*.json"))]
INSTALLED = Path(sys.prefix, "share", "jupyter", "lab", "schemas")
COMMANDS = set(re.findall(r"'(guardrails:[a-z-]+)'", (ROOT / "labextension" / "src" / "commands.ts").read_text()))
MODIFIERS = {"Accel": "Ctrl"}


def rows(head: str) -> dict[str, str]:
    """First cell -> whole line, of the table whose head begins like this."""
    table = PAGE.partition(f"| {head} |")[2].partition("\n\n")[0]
    return {name: line for line in table.splitlines() for name in re.findall(r"^\| `([^`]+)`", line)}


def shortcuts(schema: dict) -> dict[str, str]:
    """Keys, as one text -> command."""
    found = schema.get("jupyter.lab.shortcuts", [])
    return {" ".join(sorted(keys[0].split())): one["command"] for one in found for keys in [one.get("keys") or []] if len(keys) == 1}


def used(value: object) -> set[str]:
    """Every command of ours that a schema names."""
    return set(re.findall(r'"command": "(guardrails:[a-z-]+)"', json.dumps(value)))


def test_the_table_of_commands_is_that_of_the_code():
    assert set(rows("command")) == COMMANDS


def test_the_table_of_settings_is_that_of_the_schema():
    (panel,) = [schema["properties"] for schema in SCHEMAS if schema["properties"]]
    documented = rows("setting")
    assert set(documented) == set(panel)
    for name, about in panel.items():
        assert not [choice for choice in about.get("enum", []) if f"`{choice}`" not in documented[name]], name


def test_menus_toolbars_and_shortcuts_name_commands_that_exist():
    assert used(SCHEMAS), "they name some"
    assert used(SCHEMAS) <= COMMANDS


@pytest.mark.parametrize(("keys", "command"), [pair for schema in SCHEMAS for pair in shortcuts(schema).items()])
def test_a_shortcut_is_documented_and_not_one_of_jupyters(keys, command):
    theirs: dict[str, str] = {}
    for path in INSTALLED.rglob("*.json"):
        theirs |= shortcuts(json.loads(path.read_text()))
    assert len(theirs) > 50, "JupyterLab's own were found"
    assert keys not in theirs
    shown = " ".join(MODIFIERS.get(key, key) for key in keys.split())
    assert any(sorted(shown.split()) == sorted(cell.split()) for cell in rows("command")[command].split("|")), f"{command}: {shown}"
