"""What annotations and defaults mean: one table for the check, for the job itself, and for the panel's form (parameters.spec.ts)."""

import ast
import json
import runpy
from pathlib import Path

import jsonschema
import pytest

from jupyter_guardrails.promotion import builder
from jupyter_guardrails.promotion.parameter_types import schema_of

CASES = json.loads(Path(__file__).with_name("parameter_types.json").read_text())
typed = runpy.run_path(str(builder.RUN))["typed"]


def each(key):
    return [pytest.param(case, text, id=f"{case['line']} {text}") for case in CASES for text in case[key]]


@pytest.mark.parametrize("case", CASES, ids=[case["line"] for case in CASES])
def test_a_line_means_its_schema(case):
    [statement] = ast.parse(case["line"]).body
    assert schema_of(getattr(statement, "annotation", None), ast.literal_eval(statement.value)) == case["schema"]


@pytest.mark.parametrize(("case", "text"), each("takes"))
def test_a_text_that_is_one_of_its_values_becomes_that(case, text):
    value = typed("a", text, case["schema"])
    jsonschema.validate(value, case["schema"])
    assert value == case["takes"][text]


@pytest.mark.parametrize(("case", "text"), each("refuses"))
def test_any_other_text_is_refused(case, text):
    with pytest.raises((SystemExit, jsonschema.ValidationError)):
        jsonschema.validate(typed("a", text, case["schema"]), case["schema"])
