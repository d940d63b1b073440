"""Policies from text, and questions to them in one line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import Resource, decide, effective, load

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def policy(tmp_path):
    """`policy(text)` loads a policy with that text; the version line is added where it is missing."""

    def make(text, name="guardrails.yaml"):
        file = tmp_path / name
        file.write_text(text if "apiVersion" in text else f"apiVersion: guardrails/v1\n{text}")
        return load(file)

    return make


@pytest.fixture
def mistakes(policy):
    """`mistakes(text)` gives the problems of a policy; fails if it has none."""

    def find(text):
        with pytest.raises(PolicyError) as caught:
            policy(text)
        return caught.value.problems

    return find


@pytest.fixture
def ask(policy):
    """`ask(text, action, name, person="ana", **labels)` is the decision."""

    def answer(text, action, name, person="ana", groups=None, **labels):
        return decide(effective(policy(text), person, groups), action, Resource(name, **labels), NOW)

    return answer


@pytest.fixture
def full_policy():
    """The path of a policy that uses every key."""
    return Path(__file__).parents[1] / "policies" / "policies" / "full.yaml"
