"""parameters: what may be set from outside, with types; unknown or ill-typed values are errors."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import jsonschema

from jupyter_guardrails.promotion import offers
from jupyter_guardrails.promotion.notebook import CodeCell
from jupyter_guardrails.promotion.parameter_types import kind_of, schema_of
from jupyter_guardrails.promotion.results import Finding, Result, failed, many, passed
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "parameters", "Parameters have names, types and defaults"
TAG = "parameters"
PLAIN = "give it a number, text, true/false, list or dict"


def run(work: Work, progress: Progress) -> Result:
    """Read the cell tagged `parameters` into a JSON Schema, and hold the submitted values against it."""
    tagged = [cell for cell in work.notebook.cells if TAG in cell.tags]
    if len(tagged) > 1:
        second = Finding("a second one", tagged[1].index, fix="keep the tag on one cell", kind="second_cell")
        return failed("more than one cell is tagged `parameters`", [second])
    properties: dict[str, Any] = {}
    findings: list[Finding] = []
    for statement in tagged[0].tree.body if tagged and tagged[0].tree else ():
        findings += _read(statement, tagged[0].index, properties)
    work.schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if not tagged and work.order.parameters:
        findings += _untagged(work)
    else:
        findings += _wrong_values(work.order.parameters, work.schema)
    if findings:
        return failed(f"{many(len(findings), 'parameter')} can't be used", findings)
    return passed(", ".join(f"{name} ({kind_of(schema)})" for name, schema in properties.items()) or "there are none")


def _read(statement: ast.stmt, cell: int, properties: dict[str, Any]) -> Iterator[Finding]:
    """Add the parameter that one statement defines, or say why it can't be one."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else getattr(statement, "target", None)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(target, ast.Name) or statement.value is None:
        if not isinstance(statement, ast.Pass) and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            fix = "move this line to another cell"
            yield Finding("only `name = value` belongs in this cell", cell, statement.lineno, fix, kind="no_parameter")
        return
    try:
        value = ast.literal_eval(statement.value)
        json.dumps(value, allow_nan=False)
        schema = schema_of(getattr(statement, "annotation", None), value)
    except (ValueError, TypeError, KeyError, SyntaxError):
        yield Finding(f"the default of {target.id} is no plain value", cell, statement.lineno, PLAIN, kind="no_plain_value")
        return
    if wrong := next(jsonschema.Draft202012Validator(schema).iter_errors(value), None):
        fix = "make the annotation and the value agree"
        yield Finding(f"the default of {target.id}: {wrong.message}"[:300], cell, statement.lineno, fix, kind="wrong_default")
    properties[target.id] = schema | {"default": value}


def _untagged(work: Work) -> Iterator[Finding]:
    """Values were submitted, and nothing says what they may be: the first cell that could be it."""
    cell = next((cell for cell in work.notebook.cells if _defines(cell, set(work.order.parameters))), None)
    said = f"values for {', '.join(sorted(work.order.parameters))} were submitted, and no cell is tagged `parameters`"
    fix = "give this cell the tag `parameters`" if cell else "define them in one cell, and give it the tag `parameters`"
    yield Finding(said, cell.index if cell else None, fix=fix, kind="no_tag", offer=offers.tag(TAG) if cell else None)


def _defines(cell: CodeCell, names: set[str]) -> bool:
    """Nothing but plain values, those names among them."""
    found: dict[str, Any] = {}
    problems = [problem for statement in (cell.tree.body if cell.tree else ()) for problem in _read(statement, cell.index, found)]
    return bool(found) and not problems and names <= found.keys()


def _wrong_values(values: dict[str, Any], schema: dict[str, Any]) -> Iterator[Finding]:
    fix = f"parameters of this notebook: {', '.join(schema['properties']) or 'none'}"
    for name, value in values.items():
        if name not in schema["properties"]:
            yield Finding(f"a value for {name[:100]} was submitted, which is no parameter", fix=fix, kind="wrong_value", parameter=name)
            continue
        for error in jsonschema.Draft202012Validator(schema["properties"][name]).iter_errors(value):
            yield Finding(f"the submitted value of {name}: {error.message}"[:300], fix=fix, kind="wrong_value", parameter=name)
