"""One text for one value: JSON that is hashed has sorted keys, no duplicate keys and no numbers that JSON doesn't have."""

from __future__ import annotations

import json
from typing import Any

from jupyter_guardrails.errors import PackageError


def dumps(value: Any) -> str:
    """Indented JSON for people and digests alike: sorted keys, UTF-8, one newline at the end."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str | bytes) -> Any:
    """The value of a JSON text; PackageError for duplicate keys (two readers would see two values), NaN and bad JSON."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"this is not the JSON that a package holds: {error}", next_step="build the package again") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
