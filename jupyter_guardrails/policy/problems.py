"""What pydantic found wrong, as sentences for the admin, each at its place in the file and with the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.fields import UnknownName
from jupyter_guardrails.policy.yamltree import Node

Loc = tuple[int | str, ...]
KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list, like [a, b]",
    "dict_type": "a mapping, like {key: value}",
    "model_type": "a mapping, like {key: value}",
    "model_attributes_type": "a mapping, like {key: value}",
}
VERBS = ("must ", "is ", "has ", "needs ", "selects ", "matches ", "masks ", "holds ")


def nulls(node: Node, path: str = "") -> Iterator[Problem]:
    """A problem for each key that has no value: it could mean "none" as well as "the default"."""
    for key, (key_node, value) in node.entries.items():
        name = f"{path}.{key}" if path else key
        if value.kind == "scalar" and value.scalar is None:
            yield key_node.problem(f"`{name}` has no value", hint="write one, or remove the key")
        yield from nulls(value, name)
    for position, item in enumerate(node.items, start=1):
        if item.kind == "scalar" and item.scalar is None:
            yield item.problem(f"entry {position} of `{path}` has no value", hint="write one, or remove it")
        yield from nulls(item, f"{path}[{position}]")


def explain_errors(error: ValidationError, model: type[BaseModel], root: Node) -> list[Problem]:
    """A problem for each error of pydantic, each once."""
    return list(dict.fromkeys(_problem(detail, model, root) for detail in error.errors(include_url=False)))


def nearest(word: object, known: list[str]) -> str:
    """A hint that names the nearest known word, or all of them."""
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}" if known else ""


def _problem(detail: Mapping[str, Any], model: type[BaseModel], root: Node) -> Problem:
    loc: Loc = tuple(part for part in detail["loc"] if part != "[key]")
    kind = detail["type"]
    if kind == "extra_forbidden":
        node, path = locate(root, loc, at_key=True)
        known = _keys(_model_at(model, loc[:-1]))
        return node.problem(f"unknown key `{loc[-1]}`{_inside(path.rpartition('.')[0])}", hint=nearest(loc[-1], known))
    if kind == "missing":
        node, path = locate(root, loc[:-1])
        return node.problem(f"`{loc[-1]}` is missing{_inside(path)}")
    node, path = locate(root, loc, at_key=detail["loc"][-1:] == ("[key]",))
    sentence = _sentence(kind, detail)
    between = " " if sentence.startswith(VERBS) else ": "
    return node.problem(f"`{path}`{between}{sentence}" if path else sentence, hint=_hint(kind, detail))


def locate(root: Node, loc: Loc, *, at_key: bool = False) -> tuple[Node, str]:
    """The node that a pydantic location means, and its path in words (entries count from 1); parts that aren't in the file are passed over."""
    node, path = root, ""
    for position, part in enumerate(loc):
        if isinstance(part, int) and part < len(node.items):
            node, path = node.items[part], f"{path}[{part + 1}]"
        elif str(part) in node.entries:
            key, value = node.entries[str(part)]
            node, path = key if at_key and position == len(loc) - 1 else value, f"{path}.{part}" if path else str(part)
    return node, path


def _inside(path: str) -> str:
    return f" in `{path}`" if path else ""


def _sentence(kind: str, detail: Mapping[str, Any]) -> str:
    context, value = detail.get("ctx", {}), detail["input"]
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}, not {_short(value)}"
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
            return f"must be {bound}, not {_short(value)}"
        case "too_short":
            return f"needs at least {context['min_length']} entry"
    return f"must be {KINDS[kind]}, not {_short(value)}" if kind in KINDS else f"{detail['msg']}: {_short(value)}"


def _hint(kind: str, detail: Mapping[str, Any]) -> str:
    if isinstance(unknown := detail.get("ctx", {}).get("error"), UnknownName):
        return nearest(detail["input"], unknown.known)
    if kind != "literal_error" or not isinstance(detail["input"], str):
        return ""
    known = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
    close = difflib.get_close_matches(detail["input"], known, n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def _short(value: object) -> str:
    names = {tuple: "a list", dict: "a mapping", bool: str(value).lower()}
    text = names.get(type(value), repr(value))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _model_at(model: type[BaseModel] | None, loc: Loc) -> type[BaseModel] | None:
    """The model that checks what stands at a location; positions in lists and names in mappings are passed over."""
    member = False
    for part in loc:
        fields = {(info.alias or name): info.annotation for name, info in (model.model_fields if model else {}).items()}
        if part in fields and not member:
            annotation = fields[str(part)]
            model, member = _first_model(annotation), get_origin(annotation) is dict
        else:
            member = False
    return model


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _first_model(argument))), None)


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()] if model else []
