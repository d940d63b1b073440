"""The format for editors (JSON Schema) and for people (one table of every key), both made from the model itself."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.quantities import format_bytes, format_duration

DURATIONS = ("per", "anchor_every", "grace", "idle", "lifetime", "review_every", "keep")
SIZES = ("memory", "shm", "file_size", "size", "max_size")


class Key(NamedTuple):
    """One key of the file: its path (`[]` an entry of a list, `<name>` any name), default in the file's own notation, and meaning."""

    path: str
    default: str
    meaning: str


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the policy file."""
    schema = Document.model_json_schema(by_alias=True)
    cleaned = _without(schema)
    assert isinstance(cleaned, dict)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Guardrails policy, version 1", **cleaned}


def _without(schema: Any, *, properties: bool = False) -> Any:
    """The schema without what misleads an editor: null (a key without value is refused), defaults in base units, made-up titles."""
    if isinstance(schema, list):
        return [_without(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without(value, properties=key == "properties") for key, value in schema.items() if properties or key not in ("default", "title")}
    if not properties and len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return kept


def keys(model: type[BaseModel] = Document, path: str = "") -> Iterator[Key]:
    """Every key that the file may hold, in its order."""
    for name, info in model.model_fields.items():
        key = f"{path}.{info.alias or name}".removeprefix(".")
        suffix, inner = _inner(info.annotation)
        yield Key(key + suffix, _default(name, info), info.description or "")
        if inner is not None:
            yield from keys(inner, key + suffix)


def markdown() -> str:
    """The table of every key, for docs/reference/policy.md."""
    rows = [f"| `{key.path}` | {key.default} | {key.meaning} |" for key in keys()]
    return "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _inner(annotation: Any) -> tuple[str, type[BaseModel] | None]:
    """What stands below a key: `[]` for lists, `.<name>` for free names, and the model of that, if it is one."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inner(arguments[0])
    if origin in (Union, types.UnionType):
        return next((found for argument in arguments if (found := _inner(argument)) != ("", None)), ("", None))
    if origin is tuple:
        return "[]", _inner(arguments[0])[1]
    if origin is dict:
        return ".<name>", _inner(arguments[1])[1]
    return "", annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _default(name: str, info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    value = info.default
    if isinstance(value, BaseModel) or value in (None, (), {}, ""):
        return ""
    if name in DURATIONS or name in SIZES:
        return f"`{format_duration(value) if name in DURATIONS else format_bytes(value)}`"
    return f"`{_text(name, value)}`"


def _text(name: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(value)}]"
        case dict():
            return f"{{{', '.join(f'{key}: {{}}' for key in value)}}}"
    return f"{value * 100:g}%" if name == "warn_at" else f"{value:g}" if isinstance(value, float) else str(value)
