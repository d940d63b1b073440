"""Files -> Policy, or all the mistakes in them with file:line:column. The only place of this room that touches files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy.compiled import Policy, compile_policy
from jupyter_guardrails.policy.document import API_VERSION, Document
from jupyter_guardrails.policy.limits import STANDARD
from jupyter_guardrails.policy.problems import explain_errors, nearest, nulls
from jupyter_guardrails.policy.yamltree import LARGEST_FILE, Node, read_tree

M = TypeVar("M", bound=BaseModel)
HOW_TO_START = (
    "write one: the shortest has the lines `apiVersion: guardrails/v1` and `mode: observe`; docs/reference/policy.md explains every key. "
    "Or name another place with --policy or GUARDRAILS_POLICY."
)
STARTS_WITH = f"a policy starts with `apiVersion: {API_VERSION}`"
MERGED = ("rules", "groups", "profiles")  # what several files of a directory may add to


def load(path: Path) -> Policy:
    """The policy of a file, or of a directory's *.yaml in lexical order. PolicyError holds every mistake."""
    readable, problems = _read_all(path)
    merged, twice = _merge(readable)
    document, wrong = check(merged, Document)
    problems += [*twice, *(p for root in readable[1:] for p in _version(root)), *wrong, *references(merged)]
    if problems or document is None:
        raise PolicyError(_in_order(problems))
    return compile_policy(path, document, merged)


def _read_all(path: Path) -> tuple[list[Node], list[Problem]]:
    """The trees of all files and what is wrong with them as YAML; PolicyError if no file is a tree."""
    try:
        trees = [root_of(file) for file in policy_files(path)]
    except OSError as error:
        raise PolicyError([Problem(str(path), 0, 0, f"can't be read: {error.strerror}")]) from error
    problems = [problem for _, found in trees for problem in found]
    readable = [root for root, _ in trees if root is not None]
    if not readable:
        raise PolicyError(problems)
    return readable, problems


def policy_files(path: Path) -> list[Path]:
    """The files that make up the policy; PolicyError if there are none."""
    if not path.exists():
        raise PolicyError([Problem(str(path), 0, 0, "there is no policy here")], next_step=HOW_TO_START)
    if not path.is_dir():
        return [path]
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if ignored := [entry for entry in entries if entry.suffix in (".yml", ".json")]:
        raise PolicyError([Problem(str(entry), 0, 0, "would not be read: a policy's files end in .yaml", "rename or move it") for entry in ignored])
    files = [entry for entry in entries if entry.suffix == ".yaml"]
    if not files:
        raise PolicyError([Problem(str(path), 0, 0, "the directory holds no *.yaml file")], next_step=HOW_TO_START)
    return files


def root_of(file: Path) -> tuple[Node | None, list[Problem]]:
    """The tree of one file, or None; and what is wrong with it as YAML."""
    try:
        root, problems = read_tree(_read(file), str(file))
    except OSError as error:
        return None, [Problem(str(file), 0, 0, f"can't be read: {error.strerror}")]
    if root is None:
        return None, problems or [Problem(str(file), 0, 0, "is empty", STARTS_WITH)]
    if root.kind != "mapping":
        return None, [*problems, root.problem("must be a mapping of keys to values", hint=STARTS_WITH)]
    return root, problems


def check(root: Node, model: type[M]) -> tuple[M | None, list[Problem]]:
    """The tree as a model, or None; and every mistake in it."""
    problems = list(nulls(root))
    seen = {(p.file, p.line) for p in problems}
    try:
        return model.model_validate(root.plain()), problems
    except ValidationError as error:
        found = explain_errors(error, model, root)
        return None, problems + [p for p in found if not ((p.file, p.line) in seen and "None" in p.message)]


def read_model(path: Path, model: type[M]) -> tuple[M, Node]:
    """A file of another kind that admins write, like a table of tests, with its tree; PolicyError holds every mistake."""
    root, problems = root_of(path) if path.exists() else (None, [Problem(str(path), 0, 0, "there is no such file")])
    found, wrong = check(root, model) if root is not None else (None, [])
    if root is None or found is None or problems or wrong:
        raise PolicyError(_in_order([*problems, *wrong]))
    return found, root


def references(root: Node) -> Iterator[Problem]:
    """Mistakes between parts: profiles that are not defined, names of rules that are used twice."""
    profiles = [STANDARD.name, *_child(root, "profiles").entries]
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


def _unknown_profile(node: Node, known: list[str]) -> Problem:
    return node.problem(f"the profile `{node.raw}` is not defined under `profiles`", hint=nearest(node.raw, known))


def _child(node: Node, key: str) -> Node:
    """The value under a key, or an empty node."""
    return node.entries[key][1] if key in node.entries else Node(node.source, node.line, node.column, "scalar")


def _place(node: Node) -> str:
    return f"{Path(node.source.name).name}:{node.line}"


def _read(file: Path) -> bytes:
    """At most one byte more than is allowed; a pipe or device is never waited for."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        return stream.read(LARGEST_FILE + 1)


def _merge(roots: list[Node]) -> tuple[Node, list[Problem]]:
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


def _version(root: Node) -> Iterator[Problem]:
    """Every file of a directory says its format; the first one's is checked with the rest."""
    if _child(root, "apiVersion").raw != API_VERSION:
        yield Node(root.source, 1, 1, "scalar").problem(f"each file needs `apiVersion: {API_VERSION}`")


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))
