"""Columns beside those that were wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPES = frozenset({"string", "integer", "number", "boolean", "date", "timestamp", "time", "array", "object"})  # logicalType of ODCS 3.1
TEXTUAL = frozenset({"csv", "json"})
WORDS = {"str": "string", "text": "string", "varchar": "string", "utf": "string", "int": "integer", "bigint": "integer", "long": "integer"}
WORDS |= {"float": "number", "double": "number", "decimal": "number", "numeric": "number", "real": "number", "bool": "boolean"}
WORDS |= {"datetime": "timestamp", "list": "array", "struct": "object", "map": "object"}


def differences(wanted: Mapping[str, str], seen: Mapping[str, str], *, form: str = "", extra: bool = False) -> list[str]:
    """How columns differ from those that were wanted, as sentences; with `extra` also what nobody asked for."""
    found = [f"column {name} is gone" for name in wanted if name not in seen]
    changed = [name for name in wanted if name in seen and not fits(wanted[name], seen[name], form)]
    found += [f"column {name} was {wanted[name]}, and is {seen[name]}" for name in changed]
    return found + ([f"column {name} ({seen[name]}) is new" for name in seen if name not in wanted] if extra else [])


def fits(wanted: str, seen: str, form: str = "") -> bool:
    """Whether a type is what was wanted. A text file shows no more than numbers and texts; a type in words that nobody knows fits anything."""
    words = re.match(r"[a-z]*", wanted.lower())
    name = words[0] if words else ""
    kind = name if name in TYPES else WORDS.get(name, "")
    if kind in ("", seen) or (kind, seen) == ("number", "integer"):
        return True
    return form in TEXTUAL and (kind == "string" or (kind in ("date", "timestamp", "time") and seen in ("string", "integer")))
