"""What pydantic found wrong, as sentences for the admin, each at its place in the file and with what to do about it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.fields import UnknownName
from jupyter_guardrails.policy.keys import Loc, key_hint, keys_of, kind_of, nearest, required_hint, walk
from jupyter_guardrails.policy.quantities import number_advice
from jupyter_guardrails.policy.wording import LONGEST_SHOWN, shown
from jupyter_guardrails.policy.yamltree import MOST_PROBLEMS, Node

__all__ = ["explain_errors", "locate", "nearest", "nulls"]
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
SWITCHES = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}
NUMBERS = ("int_type", "int_from_float", "float_type")
MASKS = "a mask is one of partial, hash, constant, blank; `unmask: [{label}]` lifts a mask of an earlier rule"
VERBS = ("must ", "is ", "has ", "needs ", "selects ", "matches ", "masks ", "holds ")


def nulls(root: Node) -> Iterator[Problem]:
    """A problem for each key that has no value: it could mean "none" as well as "the default"."""
    return islice(_nulls(root, "", ""), MOST_PROBLEMS)


def explain_errors(error: ValidationError, model: type[BaseModel], root: Node) -> list[Problem]:
    """A problem for each error of pydantic, each once; values that aren't there are `nulls`."""
    details = [detail for detail in error.errors(include_url=False) if detail["input"] is not None or detail["type"] == "extra_forbidden"]
    found = list(dict.fromkeys(_problem(detail, model, root) for detail in details[:MOST_PROBLEMS]))
    if len(details) > MOST_PROBLEMS:
        found.append(root.source.problem(0, 0, f"has {len(details) - MOST_PROBLEMS:,} more mistakes than are listed here"))
    return found


def _nulls(node: Node, path: str, inside: str) -> Iterator[Problem]:
    """`inside` is the key of the mapping that `node` is."""
    for key, (key_node, value) in node.entries.items():
        name = f"{path}.{key}" if path else key
        if value.kind == "scalar" and value.scalar is None:
            yield key_node.problem(f"`{name}` has no value", hint=_null_hint(key, inside))
        yield from _nulls(value, name, key)
    for position, item in enumerate(node.items, start=1):
        if item.kind == "scalar" and item.scalar is None:
            yield item.problem(f"entry {position} of `{path}` has no value", hint="write one, or remove it")
        yield from _nulls(item, f"{path}[{position}]", "")


def _null_hint(key: str, inside: str) -> str:
    if inside == "mask" or key == "mask":
        return MASKS.format(label=key if inside == "mask" else "pii")
    return "write one, or remove the key"


def _problem(detail: Mapping[str, Any], model: type[BaseModel], root: Node) -> Problem:
    loc: Loc = tuple(part for part in detail["loc"] if part != "[key]")
    kind = detail["type"]
    if kind == "extra_forbidden":
        node, path = locate(root, loc, at_key=True)
        hint = key_hint(str(loc[-1]), locate(root, loc)[0].kind, model, loc[:-1])
        return node.problem(f"unknown key `{loc[-1]}`{_inside(path.removesuffix(str(loc[-1])).removesuffix('.'))}", hint=hint)
    if kind == "missing":
        node, path = locate(root, loc[:-1])
        return node.problem(f"`{loc[-1]}` is missing{_inside(path)}", hint=required_hint(str(loc[-1]), walk(model, loc[:-1])[0]))
    node, path = locate(root, loc, at_key=detail["loc"][-1:] == ("[key]",))
    sentence = _sentence(kind, detail)
    between = " " if sentence.startswith(VERBS) else ": "
    return node.problem(f"`{path}`{between}{sentence}" if path else sentence, hint=_hint(detail, model, loc))


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
            return f"must be {context['expected']}, not {shown(value)}"
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
            return f"must be {bound}, not {shown(value)}"
        case "too_short":
            return f"needs at least {context['min_length']} entry"
    return f"must be {KINDS[kind]}, not {shown(value)}" if kind in KINDS else f"{detail['msg']}: {shown(value)}"


def _hint(detail: Mapping[str, Any], model: type[BaseModel], loc: Loc) -> str:
    """What to do about a value that is not of the right kind."""
    kind, value = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if isinstance(unknown := context.get("error"), UnknownName):
        return nearest(value, unknown.known)
    if kind == "literal_error":
        return _literal_hint(value, context["expected"], loc)
    if kind == "tuple_type":
        return _mapping_hint(value, model, loc) if isinstance(value, dict) else _list_hint(value, walk(model, loc)[0])
    if kind == "dict_type" and isinstance(value, tuple) and loc[-1:] != ("mask",):
        return "write `NAME: …` for each, without `- ` or [ ]"
    if kind == "bool_type" and str(value).lower() in SWITCHES:
        return f"write {SWITCHES[str(value).lower()]}: yes, no, on and off are plain text here"
    if kind in NUMBERS and isinstance(value, str):
        return number_advice(value)
    if kind == "model_type" and isinstance(value, tuple):
        return "write its keys without `- ` or [ ]"
    if kind == "model_type" and loc and loc[-1] in keys_of(walk(model, loc)[0]):
        return f"`{loc[-1]}` belongs one level deeper, under a name of your own: {{NAME: {{{loc[-1]}: …}}}}"
    return MASKS.format(label="pii") if loc[-1:] == ("mask",) else ""


def _literal_hint(value: object, expected: str, loc: Loc) -> str:
    known = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
    if value is False and "off" in known:
        return "did you mean `off`?"
    close = difflib.get_close_matches(value.casefold()[:100], known, n=1) if isinstance(value, str) else []
    if close:
        return f"did you mean `{close[0]}`?"
    return MASKS.format(label=loc[-1]) if loc[-2:-1] == ("mask",) else ""


def _mapping_hint(value: dict[str, Any], model: type[BaseModel], loc: Loc) -> str:
    """A mapping stands where a list does: its first key that an entry doesn't have belongs elsewhere, or it is an entry itself."""
    known = keys_of(walk(model, loc)[0])
    strange = next((key for key in value if key not in known), None)
    if known and strange is not None:
        return key_hint(strange, kind_of(value[strange]), model, loc)
    return "start each entry with `- `, or write [ ] around it" if known else ""


def _list_hint(value: object, entry: type[BaseModel] | None) -> str:
    """One text stands where a list of texts does."""
    takes_text = entry is None or hasattr(entry, "text_schema")
    if not isinstance(value, str) or not takes_text or len(value) > LONGEST_SHOWN or not value.isprintable() or set(value) & set('"\\'):
        return ""
    return f"write [{value}]" if re.fullmatch(r"[\w./@+][\w./@+-]*", value) else f'write ["{value}"]'
