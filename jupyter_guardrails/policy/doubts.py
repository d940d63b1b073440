"""What is right as a file and probably not meant: names that nobody has, patterns that match nothing, nobody to review."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Resource
from jupyter_guardrails.policy.document import ProfileSpec
from jupyter_guardrails.policy.globs import compile_glob
from jupyter_guardrails.policy.keys import similar
from jupyter_guardrails.policy.named import groups_in, people_in
from jupyter_guardrails.policy.yamltree import Node


@dataclass(frozen=True, slots=True)
class World:
    """What is known beside the file. `resources` None: there is no catalogue to compare with."""

    is_account: Callable[[str], bool]
    is_group: Callable[[str], bool]
    resources: Sequence[Resource] | None = None


def doubts(root: Node, policy: Policy, world: World) -> list[Problem]:
    """Every doubt with its place, in the order of the file."""
    parts = (_people(root, policy, world), _profiles(root, policy), _nobody(root, policy), _datasets(root, world), _labels(root, world))
    found = [problem for part in parts for problem in part]
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.file, problem.line, problem.column))


def _at(node: Node, *path: str) -> list[Node]:
    """The nodes at a path of keys; `[]` is every entry of a list, `*` every value of a mapping."""
    found = [node]
    for part in path:
        found = [child for parent in found for child in _children(parent, part)]
    return found


def _children(node: Node, part: str) -> list[Node]:
    if part == "[]":
        return node.items
    if part == "*":
        return [value for _, value in node.entries.values()]
    return [node.entries[part][1]] if part in node.entries else []


def _choices(root: Node, key: str) -> list[Node]:
    """Every `users` or `groups` entry that says who."""
    rules = _at(root, "rules", "[]", "for")
    places = [*rules, *(inner for rule in rules for inner in _at(rule, "not")), *_at(root, "admins")]
    places += [*_at(root, "promotion", "reviewers"), *_at(root, "data", "reviewers")]
    return [entry for place in places for entry in _at(place, key, "[]")]


def _people(root: Node, policy: Policy, world: World) -> Iterator[Problem]:
    groups, members = set(policy.document.groups), {name for names in policy.document.groups.values() for name in names}
    named = [*_choices(root, "groups"), *_at(root, "rules", "[]", "publish", "to", "[]"), *_group_texts(root)]
    for node in _first_of_each(named):
        if node.raw not in groups and not world.is_group(node.raw):
            hint = _near(node.raw, [name for name in groups_in(policy) if name != node.raw]) or "a Hub may know it"
            yield node.problem(f"no group `{node.raw}` is defined here or known to this machine", hint=hint)
    for node in _first_of_each(_choices(root, "users")):
        if node.raw not in members and not world.is_account(node.raw):
            hint = _near(node.raw, [name for name in people_in(policy) if name != node.raw]) or "a Hub may know them"
            yield node.problem(f"nobody is called `{node.raw}` in a group here or on this machine", hint=hint)


def _first_of_each(nodes: Iterable[Node]) -> Iterator[Node]:
    """Where each name stands first; patterns are left out."""
    yield from {node.raw: node for node in reversed([*nodes]) if "*" not in node.raw}.values()


def _group_texts(root: Node) -> list[Node]:
    """`data.reviewers` written as a group's name."""
    return [node for node in _at(root, "data", "reviewers") if node.kind == "scalar" and node.raw != "owner"]


def _profiles(root: Node, policy: Policy) -> Iterator[Problem]:
    document = policy.document
    used = {name for rule in document.rules for name in (*rule.kernels.profiles, rule.kernels.default, rule.kernels.terminals)}
    used.add(document.promotion.production_profile)
    for profiles in _at(root, "profiles"):
        yield from (key.problem(f"the profile `{name}` is used nowhere") for name, (key, _) in profiles.entries.items() if name not in used)
        yield from (found for name, (_, node) in profiles.entries.items() for found in _shared_memory(node, document.profiles[name]))


def _shared_memory(node: Node, profile: ProfileSpec) -> Iterator[Problem]:
    """What lies in /dev/shm is memory of the kernel's."""
    if profile.shm is not None and profile.shm > profile.memory:
        hint = "what is in /dev/shm counts as memory: give less of it, or more memory"
        yield node.entries["shm"][1].problem("`shm` is more than the profile's `memory`, and can't be filled", hint=hint)


def _nobody(root: Node, policy: Policy) -> Iterator[Problem]:
    admins, reviewers = policy.document.admins, policy.document.promotion.reviewers
    if not (admins.users or admins.groups):
        yield root.problem("nobody is an admin: mistakes of this file are shown to nobody", hint="admins: {groups: [...]}")
    if "promotion" in root.entries and not (reviewers.users or reviewers.groups):
        yield root.entries["promotion"][0].problem("nobody may review jobs", hint="promotion: {reviewers: {groups: [...]}}")


def _datasets(root: Node, world: World) -> Iterator[Problem]:
    """Names and patterns that no dataset of the catalogue has."""
    if world.resources is None:
        return
    names = [resource.name for resource in world.resources]
    for node in _dataset_names(root):
        glob = compile_glob(node.raw)
        if not any(glob.fullmatch(name) for name in names):
            yield node.problem(f"`{node.raw}` matches no dataset of the catalogue", hint=_near(node.raw, names))


def _dataset_names(root: Node) -> list[Node]:
    denied = _at(root, "rules", "[]", "deny", "data", "[]")
    plain = [node for node in denied if node.kind == "scalar"]
    lists = [*_at(root, "rules", "[]", "data", "read", "[]"), *_at(root, "rules", "[]", "data", "request", "[]")]
    rows = [key for rows in _at(root, "rules", "[]", "rows") for key, _ in rows.entries.values()]
    return [*lists, *rows, *plain, *(name for node in denied for name in _at(node, "name"))]


def _labels(root: Node, world: World) -> Iterator[Problem]:
    """Labels that no contract has."""
    if world.resources is None:
        return
    kinds = {
        "classification": {resource.classification for resource in world.resources},
        "domain": {resource.domain for resource in world.resources},
        "tag": {tag for resource in world.resources for tag in resource.tags},
    }
    for kind, known in kinds.items():
        yield from _unknown_labels(_at(root, "rules", "[]", "deny", "data", "[]", kind), f"no contract has the {kind}", known)
    granted = _at(root, "rules", "[]", "data", "auto_grant", "classification", "[]")
    yield from _unknown_labels(granted, "no contract has the classification", kinds["classification"])
    columns = {label for resource in world.resources for label in resource.columns.values()}
    masked = [key for masks in _at(root, "rules", "[]", "mask") for key, _ in masks.entries.values()]
    yield from _unknown_labels([*masked, *_at(root, "rules", "[]", "unmask", "[]")], "no column of a contract is classified", columns)


def _unknown_labels(nodes: Iterable[Node], sentence: str, known: set[str]) -> Iterator[Problem]:
    folded = {label.casefold() for label in known}
    for node in nodes:
        if node.raw.casefold() not in folded:
            yield node.problem(f"{sentence} `{node.raw}`", hint=_near(node.raw, sorted(filter(None, known))))


def _near(word: str, known: Sequence[str]) -> str:
    close = similar(word, known)
    return f"did you mean `{close}`?" if close else ""
