"""Trees of several files -> one tree; and the mistakes that lie between parts rather than in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.document import API_VERSION
from jupyter_guardrails.policy.keys import nearest
from jupyter_guardrails.policy.limits import STANDARD
from jupyter_guardrails.policy.yamltree import Node

MERGED = ("rules", "groups", "profiles")  # what several files of a directory may add to


def merge(roots: Sequence[Node]) -> tuple[Node, list[Problem]]:
    """One tree of several files: rules follow each other, groups and profiles are united, any other key is set once."""
    first = roots[0]
    merged = Node(first.source, first.line, first.column, "mapping", entries=dict(first.entries))
    problems: list[Problem] = []
    for root in roots[1:]:
        for key, (key_node, value) in root.entries.items():
            present = merged.entries.get(key)
            if present is None:
                merged.entries[key] = (key_node, value)
            elif key in MERGED and present[1].kind == value.kind:
                merged.entries[key] = (present[0], _join(present[1], value, problems))
            elif key != "apiVersion":
                problems.append(key_node.problem(f"`{key}` is already set at {_place(present[0])}", hint="remove one of them"))
    return merged, problems


def _join(one: Node, other: Node, problems: list[Problem]) -> Node:
    joined = Node(one.source, one.line, one.column, one.kind, items=one.items + other.items, entries=dict(one.entries))
    for key, (key_node, value) in other.entries.items():
        if key in joined.entries:
            problems.append(key_node.problem(f"`{key}` is already set at {_place(joined.entries[key][0])}", hint="remove one of them"))
        else:
            joined.entries[key] = (key_node, value)
    return joined


def version(root: Node) -> Iterator[Problem]:
    """Every file of a directory says its format; the first one's is checked with the rest."""
    if _child(root, "apiVersion").raw != API_VERSION:
        yield Node(root.source, 1, 1, "scalar").problem(f"each file needs `apiVersion: {API_VERSION}`")


def references(root: Node) -> Iterator[Problem]:
    """Mistakes between parts: profiles that are not defined, names of rules that are used twice."""
    profiles = dict.fromkeys([STANDARD.name, *_child(root, "profiles").entries])
    names: dict[str, Node] = {}
    for rule in _child(root, "rules").items:
        name = _child(rule, "name")
        if name.raw in names:
            yield name.problem(f"the rule's name `{name.raw}` is used twice, first at {_place(names[name.raw])}", hint="give it a name of its own")
        elif name.raw:
            names[name.raw] = name
        kernels = _child(rule, "kernels")
        used = [*_child(kernels, "profiles").items, _child(kernels, "default"), _child(kernels, "terminals")]
        yield from (_unknown_profile(node, profiles) for node in used if node.raw and node.raw not in profiles)
    production = _child(_child(root, "promotion"), "production_profile")
    if production.raw and production.raw not in profiles:
        yield _unknown_profile(production, profiles)


def _unknown_profile(node: Node, known: Iterable[str]) -> Problem:
    return node.problem(f"the profile `{node.raw}` is not defined under `profiles`", hint=nearest(node.raw, list(known)))


def _child(node: Node, key: str) -> Node:
    """The value under a key, or an empty node."""
    return node.entries[key][1] if key in node.entries else Node(node.source, node.line, node.column, "scalar")


def _place(node: Node) -> str:
    return f"{Path(node.source.name).name}:{node.line}"
