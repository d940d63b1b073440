"""Parameters that a deployment gives its runs, judged before anything is deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping

import jsonschema

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.package.job import Job


def check(job: Job, given: Mapping[str, str]) -> None:
    """BadRequest for a parameter that the job doesn't have, or a value that its schema refuses; run.py reads the same text likewise."""
    properties = job.parameters.json_schema.get("properties", {})
    for name, text in given.items():
        if name not in properties:
            there_are = ", ".join(sorted(properties)) or "none"
            raise BadRequest(f"{job.name} has no parameter {name[:100]}", next_step=f"it has: {there_are}")
        try:
            value = text if _is_text(text, properties[name].get("type")) else json.loads(text)
            jsonschema.validate(value, properties[name])
        except (ValueError, jsonschema.ValidationError) as error:
            wanted = " or ".join(_kinds(properties[name].get("type", "another")))
            raise BadRequest(f"parameter {name} is {wanted}: {text[:100]!r} is not", next_step=f"--param {name}=VALUE as its schema says") from error


def _is_text(text: str, kind: str | list[str] | None) -> bool:
    """Whether it is the text itself that is meant, and not JSON: where text fits, unless it says null and that fits, too."""
    kinds = _kinds(kind)
    return "string" in kinds and not (text == "null" and "null" in kinds)


def _kinds(kind: str | list[str] | None) -> list[str]:
    return kind if isinstance(kind, list) else [str(kind)]
