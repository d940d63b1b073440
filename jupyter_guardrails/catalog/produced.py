"""Which job made a dataset: `guardrails.produced_by` of a contract. It says where data is from, and grants nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYS: dict[str, type] = {"job": str, "version": int, "content_digest": str, "deployment": str, "run": int, "output": str, "self_test": bool}
NEEDED = ("job", "version")


def problem_of(said: Any) -> str:
    """Why this can't be who made a dataset, as a sentence; empty where it can."""
    if not isinstance(said, dict) or not set(NEEDED) <= said.keys():
        return "guardrails.produced_by names at least a job and its version"
    if unknown := sorted(map(str, said.keys() - KEYS.keys())):
        return f"guardrails.produced_by has no {unknown[0]}"
    wrong = [key for key, value in said.items() if type(value) is not KEYS[key]]
    return f"{wrong[0]} of guardrails.produced_by is no {KEYS[wrong[0]].__name__}" if wrong else ""


def in_words(said: Mapping[str, Any]) -> str:
    """`job sales, version 3, run 12`, and that it was a self-test; empty where nobody said it."""
    if not said:
        return ""
    run = f", run {said['run']}" if "run" in said else ""
    return f"job {said['job']}, version {said['version']}{run}" + (" (self-test, not approved)" if said.get("self_test") else "")


def shown(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """As a dataset's detail has it; None where nobody said it."""
    whole = {key: said.get(key, kind()) for key, kind in KEYS.items()}
    return whole | {"run": said.get("run"), "text": in_words(said)} if said else None
