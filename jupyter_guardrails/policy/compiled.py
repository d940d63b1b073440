"""A checked policy with the place of everything in it, ready to be asked what it means for one person."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from jupyter_guardrails.policy.decision import Mode, RuleRef
from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.fields import People
from jupyter_guardrails.policy.globs import PatternIndex, compile_glob
from jupyter_guardrails.policy.rule import Rule, Selector
from jupyter_guardrails.policy.yamltree import Node


class Crowd:
    """`People`, compiled: tells quickly whether somebody is one of them."""

    def __init__(self, people: People) -> None:
        self._users = PatternIndex([(name, True) for name in people.users])
        self._groups = PatternIndex([(name, True) for name in people.groups])

    def has(self, person: str, groups: Sequence[str]) -> bool:
        """True if one of the users or groups matches."""
        return self._users.first(person) is not None or any(self._groups.first(group) is not None for group in groups)


class Masks:
    """Patterns with numbers; tells which numbers a name has, as the bits of one integer."""

    def __init__(self, entries: Iterable[tuple[str, int]]) -> None:
        self._anybody, self._exact, globs = 0, dict[str, int](), dict[str, int]()
        for pattern, number in entries:
            if pattern == "**":
                self._anybody |= 1 << number
                continue
            masks = globs if "*" in pattern else self._exact
            masks[pattern] = masks.get(pattern, 0) | 1 << number
        self._globs = [(compile_glob(pattern).fullmatch, mask) for pattern, mask in globs.items()]

    def of(self, name: str) -> int:
        """A bit for each number that one of its patterns gives this name."""
        found = self._anybody | self._exact.get(name, 0)
        for matches, mask in self._globs:
            if mask & ~found and matches(name):
                found |= mask
        return found


class Crowds:
    """Many `People`, numbered; tells which of them somebody is one of, without asking each."""

    def __init__(self, crowds: Sequence[People]) -> None:
        self._users = Masks((name, number) for number, people in enumerate(crowds) for name in people.users)
        self._groups = Masks((name, number) for number, people in enumerate(crowds) for name in people.groups)

    def of(self, person: str, groups: Iterable[str]) -> int:
        """A bit for each number whose people somebody is one of."""
        found = self._users.of(person)
        for group in groups:
            found |= self._groups.of(group)
        return found


class Selectors:
    """Many `for`, numbered; tells which of them are for somebody."""

    def __init__(self, selectors: Sequence[Selector]) -> None:
        self._for, self._not = Crowds(selectors), Crowds([selector.exclude for selector in selectors])

    def of(self, person: str, groups: Iterable[str]) -> int:
        """A bit for each selector that is for this person."""
        return self._for.of(person, groups) & ~self._not.of(person, groups)


def numbers(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, in order."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule and its place."""

    rule: Rule
    ref: RuleRef

    def applies(self, person: str, groups: Sequence[str]) -> bool:
        """True if the rule is for this person; `Policy.rules_for` finds all of them at once."""
        return Crowd(self.rule.who).has(person, groups) and not Crowd(self.rule.who.exclude).has(person, groups)


@dataclass(frozen=True)
class Policy:
    """The admin's policy. `digest` is SHA-256 over its canonical JSON: the same for every way to write the same policy."""

    path: Path
    document: Document
    digest: str
    rules: tuple[CompiledRule, ...] = field(repr=False)
    places: Mapping[str, RuleRef] = field(repr=False)

    @cached_property
    def _selectors(self) -> Selectors:
        return Selectors([rule.rule.who for rule in self.rules])

    @cached_property
    def _memberships(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for name, people in self.document.groups.items():
            for person in dict.fromkeys(people):
                found.setdefault(person, []).append(name)
        return {person: tuple(names) for person, names in found.items()}

    def rules_for(self, person: str, groups: Sequence[str]) -> list[CompiledRule]:
        """The rules that are for a person, in the order of the file."""
        return [self.rules[number] for number in numbers(self._selectors.of(person, groups))]

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
        return self._memberships.get(person, ())


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
