"""parameters: what may be set from outside, with types; unknown or ill-typed values are errors."""

from __future__ import annotations

import ast
import json
from typing import Any

import jsonschema

from jupyter_guardrails.promotion.results import Finding, Result, failed, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "parameters", "Parameters have names, types and defaults"
TAG = "parameters"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}


def run(work: Work, progress: Progress) -> Result:
    """Read the cell tagged `parameters` into a JSON Schema, and hold the submitted values against it."""
    tagged = [cell for cell in work.notebook.cells if TAG in cell.tags]
    if len(tagged) > 1:
        return failed("more than one cell is tagged `parameters`", [Finding("a second one", tagged[1].index, fix="keep the tag on one cell")])
    properties: dict[str, Any] = {}
    findings: list[Finding] = []
    for statement in tagged[0].tree.body if tagged and tagged[0].tree else ():
        _read(statement, tagged[0].index, properties, findings)
    work.schema = {"type": "object", "additionalProperties": False, "properties": properties}
    findings += _wrong_values(work.order.parameters, work.schema)
    if findings:
        return failed(f"{len(findings)} parameter(s) can't be used", findings)
    return passed(", ".join(f"{name} ({schema['type']})" for name, schema in properties.items()) or "there are none")


def _read(statement: ast.stmt, cell: int, properties: dict[str, Any], findings: list[Finding]) -> None:
    """Add the parameter that one statement defines."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else getattr(statement, "target", None)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(target, ast.Name) or statement.value is None:
        if not isinstance(statement, ast.Pass) and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            findings.append(Finding("only `name = value` belongs in this cell", cell, statement.lineno, "move this line to another cell"))
        return
    try:
        value = ast.literal_eval(statement.value)
        json.dumps(value, allow_nan=False)
        properties[target.id] = {"type": TYPES[type(value)], "default": value}
    except (ValueError, TypeError, KeyError, SyntaxError):
        findings.append(
            Finding(f"the default of {target.id} is no plain value", cell, statement.lineno, "give it a number, text, true/false, list or dict")
        )


def _wrong_values(values: dict[str, Any], schema: dict[str, Any]) -> list[Finding]:
    known = ", ".join(schema["properties"]) or "none"
    errors = jsonschema.Draft202012Validator(schema).iter_errors(values)
    return [Finding(f"submitted value: {error.message}"[:300], fix=f"parameters of this notebook: {known}") for error in errors]
