"""The schema and the documented table are those of the model."""

import json
from pathlib import Path

import jsonschema
import pytest

from jupyter_guardrails.policy.reference import json_schema, keys, markdown
from jupyter_guardrails.policy.yamltree import read_tree

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def read(path):
    """The file as editors read it: YAML 1.2, where `off` is text."""
    root, _ = read_tree(path.read_bytes(), path.name)
    return json.loads(json.dumps(root.plain()))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_full_policy_fits_the_schema(full_policy):
    assert list(VALIDATOR.iter_errors(read(full_policy))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"mod": "warn"},
        {"mode": "enforced"},
        {"mode": None},
        {"profiles": {"a": {"memory": 2}}},
        {"profiles": {"a": {"memory": "2 gigs"}}},
        {"rules": [{"name": "a"}]},
        {"rules": [{"name": "a", "for": "everybody"}]},
        {"rules": [{"name": "a", "for": "everyone", "network": {"allow": [{"host": "a"}]}}]},
        {"promotion": {"approvals": 0}},
    ],
)
def test_the_schema_finds_what_the_loader_finds(wrong):
    assert VALIDATOR.is_valid({"apiVersion": "guardrails/v1"})
    assert not VALIDATOR.is_valid({"apiVersion": "guardrails/v1", **wrong})


def test_the_documented_table_is_the_generated_one():
    assert markdown() in DOCUMENT.read_text(), "write the output of `jupyter guardrails policy schema --markdown` into docs/reference/policy.md"


def test_the_published_schema_is_the_generated_one():
    advice = "write the output of `jupyter guardrails policy schema` into docs/reference/policy-v1.json"
    assert json.loads((DOCUMENT.parent / "policy-v1.json").read_text()) == json_schema(), advice


def test_every_key_has_a_meaning():
    assert [key.path for key in keys() if not key.meaning.endswith(".")] == []


def test_the_documented_example_is_valid(policy):
    text = DOCUMENT.read_text().partition("```yaml\n")[2].partition("```")[0]
    assert policy(text).document.rules


def test_each_key_of_the_full_policy_is_in_the_table(full_policy):
    """The full policy really uses every key, so that whatever reads it is tried with all of them."""
    used = set(paths_of(read(full_policy)))
    assert {key.path for key in keys()} - used == set()


def paths_of(value, path=""):
    """Every key of a document, written as the table writes it."""
    free = ("groups", "environment.set", "profiles", "rules[].mask", "rules[].rows", "promotion.engines", "promotion.checks")
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.<name>" if path in free else f"{path}.{key}".removeprefix(".")
            yield below
            yield from paths_of(inner, below) if below not in ("promotion.engines.<name>", "groups.<name>") else ()
    elif isinstance(value, list):
        yield f"{path}[]"
        for item in value:
            yield from paths_of(item, f"{path}[]")
