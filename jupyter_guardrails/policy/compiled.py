"""A checked policy with the place of everything in it, ready to be asked what it means for one person."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from jupyter_guardrails.policy.decision import Mode, RuleRef
from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.fields import People
from jupyter_guardrails.policy.globs import PatternIndex
from jupyter_guardrails.policy.rule import Rule
from jupyter_guardrails.policy.yamltree import Node


class Crowd:
    """`People`, compiled: tells quickly whether somebody is one of them."""

    def __init__(self, people: People) -> None:
        self._users = PatternIndex([(name, True) for name in people.users])
        self._groups = PatternIndex([(name, True) for name in people.groups])

    def has(self, person: str, groups: Sequence[str]) -> bool:
        """True if one of the users or groups matches."""
        return self._users.first(person) is not None or any(self._groups.first(group) is not None for group in groups)


class CompiledRule:
    """A rule, its place, and whom it is for."""

    def __init__(self, rule: Rule, ref: RuleRef) -> None:
        self.rule, self.ref = rule, ref
        self._for, self._not = Crowd(rule.who), Crowd(rule.who.exclude)

    def applies(self, person: str, groups: Sequence[str]) -> bool:
        """True if the rule is for this person."""
        return self._for.has(person, groups) and not self._not.has(person, groups)


@dataclass(frozen=True)
class Policy:
    """The admin's policy. `digest` is SHA-256 over its canonical JSON: the same for every way to write the same policy."""

    path: Path
    document: Document
    digest: str
    rules: tuple[CompiledRule, ...] = field(repr=False)
    places: Mapping[str, RuleRef] = field(repr=False)

    @property
    def mode(self) -> Mode:
        """What refusals of data, network and limits do for people whom no rule says otherwise of."""
        return self.document.mode

    @property
    def admins(self) -> People:
        """Who sees everybody's use and audit records."""
        return self.document.admins

    def place(self, key: str) -> RuleRef:
        """Where a key outside of the rules stands, like `promotion.approvals`; a built-in default if it isn't in the file."""
        return self.places.get(key) or RuleRef("", 0, key)

    def groups_of(self, person: str) -> tuple[str, ...]:
        """The groups that the file itself puts a person in."""
        return tuple(name for name, people in self.document.groups.items() if person in people)


def compile_policy(path: Path, document: Document, root: Node) -> Policy:
    """The policy of a checked document; `root` tells the places."""
    nodes = root.entries["rules"][1].items if "rules" in root.entries else []
    rules = tuple(CompiledRule(rule, _ref(node, rule.name)) for rule, node in zip(document.rules, nodes, strict=True))
    return Policy(path, document, digest_of(document), rules, dict(_places(root)))


def digest_of(document: Document) -> str:
    """SHA-256 over the canonical JSON of what the file says, quantities in base units; layout, comments and key order don't count."""
    said = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def _ref(node: Node, name: str) -> RuleRef:
    return RuleRef(PurePath(node.source.name).name, node.line, name)


def _places(node: Node, path: str = "", depth: int = 3) -> Iterator[tuple[str, RuleRef]]:
    for key, (key_node, value) in node.entries.items():
        name = f"{path}.{key}" if path else key
        yield name, _ref(key_node, name)
        if depth > 1 and name != "rules":
            yield from _places(value, name, depth - 1)
