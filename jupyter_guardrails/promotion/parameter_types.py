"""The JSON Schema of a parameter: from its annotation where it has one that is understood, else from its default."""

from __future__ import annotations

import ast
from typing import Any

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
NAMES = {kind.__name__: name for kind, name in TYPES.items() if kind is not type(None)} | {"List": "array", "Dict": "object"}


def schema_of(annotation: ast.expr | None, value: Any) -> dict[str, Any]:
    """The schema; KeyError for a value that is none of JSON's."""
    return (_annotated(annotation) if annotation else None) or {"type": TYPES[type(value)]}


def kind_of(schema: dict[str, Any]) -> str:
    """`integer`, `string or null`, `one of "a", "b"`."""
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _annotated(node: ast.expr) -> dict[str, Any] | None:
    """None for an annotation that says nothing we know."""
    if isinstance(node, ast.Constant) and node.value is None:
        return {"type": "null"}
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _annotated(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either(_annotated(node.left), _annotated(node.right))
    if isinstance(node, ast.Subscript):
        return _of(_name(node.value), node.slice)
    kind = NAMES.get(_name(node))
    return {"type": kind} if kind else None


def _of(name: str, inner: ast.expr) -> dict[str, Any] | None:
    """`list[int]`, `dict[str, float]`, `Optional[str]`, `Literal["a", "b"]`."""
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        values = [part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) in TYPES]
        kinds = list(dict.fromkeys(TYPES[type(value)] for value in values))
        return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values} if values and len(values) == len(parts) else None
    if name == "Optional":
        return _either(_annotated(parts[0]), {"type": "null"})
    kind, of = NAMES.get(name), _annotated(parts[-1])
    if kind == "array":
        return {"type": kind} | ({"items": of} if of else {})
    return {"type": kind} | ({"additionalProperties": of} if of else {}) if kind == "object" else None


def _either(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    """Both, as a list of types: what else is known of one of them is kept where the other is only null."""
    if one is None or other is None:
        return None
    kinds = [kind for schema in (one, other) for kind in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])]
    kept = one if other == {"type": "null"} else other if one == {"type": "null"} else {}
    values = {"enum": [*kept["enum"], None]} if "enum" in kept else {}
    return kept | {"type": list(dict.fromkeys(kinds))} | values


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
