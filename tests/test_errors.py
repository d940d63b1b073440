"""Errors travel between processes whole: code, status, exit code, next step, rule."""

import pytest

from jupyter_guardrails import errors

PROBLEM = errors.Problem("guardrails.yaml", 5, 3, "unknown key `kernals`", "did you mean `kernels`?", "  kernals: {}")
PLAIN = (
    errors.BadRequest,
    errors.Refused,
    errors.NotFound,
    errors.Conflict,
    errors.LimitReached,
    errors.PackageError,
    errors.RecordsUnwritable,
    errors.CatalogBusy,
    errors.HostCannotEnforce,
)
EVERY = [kind("who, what", next_step="ask", rule="guardrails.yaml:3 small") for kind in PLAIN] + [
    errors.PolicyError([PROBLEM], next_step="mend it"),
    errors.CatalogError([PROBLEM]),
    errors.BadRequest("who, what", fields={"details.schedule": "no schedule"}),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.code)
def test_an_error_survives_the_way_between_processes(error):
    back = errors.from_json(error.to_json())
    assert back.to_json() == error.to_json()
    assert (back.status, back.exit_code) == (error.status, error.exit_code)


def test_an_unknown_code_is_a_plain_error():
    back = errors.from_json({"code": "from the future", "message": "m"})
    assert (type(back), back.code, back.message) == (errors.GuardrailsError, "error", "m")


def test_a_problem_points_at_its_place():
    assert str(PROBLEM).splitlines()[:3] == ["guardrails.yaml:5:3: unknown key `kernals`", "      kernals: {}", "      ^"]


def test_text_of_an_error_has_rule_and_next_step():
    assert str(errors.Refused("no", next_step="ask", rule="f:1 r")) == "no [f:1 r]\n  next: ask"
