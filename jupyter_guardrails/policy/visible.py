"""Which of many datasets a person may read or ask for: bits that are made once for all people, joined for one. The same answers as `decide`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import compress
from operator import and_, attrgetter

from jupyter_guardrails.policy.compiled import Policy, Selectors, numbers
from jupyter_guardrails.policy.decision import Resource
from jupyter_guardrails.policy.globs import compile_glob, literals
from jupyter_guardrails.policy.person import Attributes, Label, labels_of
from jupyter_guardrails.policy.resolve import membership
from jupyter_guardrails.policy.rowfilter import Filter, fill, parse_filter, unknown
from jupyter_guardrails.policy.rule import DataEntry, Rule, Selector
from jupyter_guardrails.policy.verdict import is_dataset_name, is_name

Bits = int  # a set of datasets: bit n stands for the one at position n
KNOWN: Attributes = {"name": "", "groups": ()}  # what is known about everybody; only the kinds of value count
DIGITS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one person may read and ask for, as bits over the datasets in the order in which they were given; bit 0 is the first one."""

    readable: Bits
    requestable: Bits
    names: tuple[str, ...] = field(repr=False)

    def reads(self, position: int) -> bool:
        """True if the dataset at a position may be read."""
        return bool(self.readable >> position & 1)

    def requests(self, position: int) -> bool:
        """True if the dataset at a position may be asked for."""
        return bool(self.requestable >> position & 1)

    def readable_names(self) -> list[str]:
        """The names of what may be read, in the order of the datasets; `readable.bit_count()` is their number."""
        return _chosen(self.names, self.readable)

    def requestable_names(self) -> list[str]:
        """The names of what may be asked for, in the order of the datasets; `requestable.bit_count()` is their number."""
        return _chosen(self.names, self.requestable)


class Visibility:
    """One policy and many datasets. `of` a person has a bit for just those whose `data.read` or `data.request` is `.allowed` by `decide`.

    Modes don't matter here: a refusal that is only observed or warned about is a refusal. What a contract that can't be delivered, or a grant,
    changes about a dataset is not looked at either.
    """

    def __init__(self, policy: Policy, resources: Sequence[Resource]) -> None:
        self._policy = policy
        self.names = tuple(resource.name for resource in resources)
        by_selector: dict[Selector, list[Rule]] = {}
        for rule in policy.rules:
            by_selector.setdefault(rule.rule.who, []).append(rule.rule)
        datasets = _Datasets(resources)
        self._selectors = Selectors(list(by_selector))
        self._parts = _parts(datasets, by_selector.values())
        self._filters = [[filtered for rule in rules for filtered in _asking(datasets, rule)] for rules in by_selector.values()]

    def of(self, person: str, groups: Iterable[str] | None = None, *, attributes: Attributes | None = None) -> Seen:
        """What a person may read and ask for; arguments and errors are those of `effective`."""
        names = membership(self._policy, person, groups)
        known: Attributes = {**(attributes or {}), "name": person, "groups": names}
        found = {"read": 0, "request": 0, "deny": 0}
        for number in numbers(self._selectors.of(person, names)):
            for key, bits in self._parts[number].items():
                found[key] |= bits
            for bits, tree in self._filters[number]:
                found["deny"] |= bits if unknown(fill(tree, known)) else 0
        return Seen(found["read"] & ~found["deny"], found["request"] & ~found["deny"], self.names)


def _parts(datasets: _Datasets, rules: Iterable[Sequence[Rule]]) -> list[dict[str, Bits]]:
    """For each selector what its rules read, request and deny. Each pattern and each entry is looked up once, however many rules have it."""
    found: list[dict[str, Bits]] = []
    wanted: dict[str | DataEntry, list[tuple[int, str]]] = {}
    for number, same in enumerate(rules):
        found.append({})
        for key, thing in (said for rule in same for said in _said(rule)):
            wanted.setdefault(thing, []).append((number, key))
    for thing, places in wanted.items():
        bits = datasets.named(thing) if isinstance(thing, str) else datasets.matching(thing)
        for number, key in places if bits else ():
            found[number][key] = found[number].get(key, 0) | bits
    return found


def _said(rule: Rule) -> Iterator[tuple[str, str | DataEntry]]:
    yield from (("read", pattern) for pattern in rule.data.read)
    yield from (("request", pattern) for pattern in rule.data.request)
    yield from (("deny", entry if labels_of(entry) or not entry.name else entry.name) for entry in rule.deny.data)


def _asking(datasets: _Datasets, rule: Rule) -> Iterator[tuple[Bits, Filter]]:
    """The row filters that ask for something which is not known about everybody: where it is unknown, nothing can be read."""
    for pattern, text in rule.rows.items():
        tree = parse_filter(text)
        if unknown(fill(tree, KNOWN)):
            yield datasets.named(pattern), tree


class _Datasets:
    """Many datasets by name and label; finds those that patterns and deny entries match without trying them all.

    What has a name that no decision accepts is left out. The names are copies in their order: side by side in memory they are gone through
    several times as fast as the given ones, which lie anywhere.
    """

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources
        names = [one.name for one in resources]
        well_named = (position for position, name in enumerate(names) if is_name(name) and is_dataset_name(name))
        self._positions = sorted(well_named, key=names.__getitem__)
        self._names = "\n".join([names[position] for position in self._positions]).split("\n") if self._positions else []
        self._labels: dict[str, dict[str, list[int]]] = {}

    def named(self, pattern: str) -> Bits:
        """Those that a pattern matches: they stand together in order of names, and most of the others there lack its longest literal text."""
        names, (start, *pieces) = self._names, literals(pattern)
        first = bisect_left(names, start)
        if not pieces:
            return self._bits(self._positions[first : bisect_right(names, start, lo=first)])
        behind = bisect_right(names, start, lo=first, key=lambda name: name[: len(start)])
        longest, matches = max(pieces, key=len), compile_glob(pattern).fullmatch
        near = zip(names[first:behind], self._positions[first:behind], strict=True)
        return self._bits([position for name, position in near if longest in name and matches(name)])

    def matching(self, entry: DataEntry) -> Bits:
        """Those that all keys of a deny entry match."""
        labelled = [self._labelled(label) for label in labels_of(entry)]
        return reduce(and_, [*labelled, *([self.named(entry.name)] if entry.name else [])] or [0])

    def _labelled(self, label: Label) -> Bits:
        kind, value = label
        if kind not in self._labels:
            self._labels[kind] = self._by_value(kind)
        return self._bits(self._labels[kind].get(value, ()))

    def _by_value(self, kind: str) -> dict[str, list[int]]:
        """The positions of the datasets that have each value of a kind of label, as it is compared; few values are written in many datasets."""
        found: dict[str, list[int]] = defaultdict(list)
        if kind == "tag":
            for position, one in enumerate(self._resources):
                for tag in one.tags:
                    found[tag].append(position)
        else:
            for position, value in enumerate(map(attrgetter(kind), self._resources)):
                found[value].append(position)
        compared: dict[str, list[int]] = defaultdict(list)
        for value, positions in found.items():
            compared[value.casefold()] += positions
        return compared

    def _bits(self, positions: Iterable[int]) -> Bits:
        octets = bytearray(len(self._resources) // 8 + 1)
        for position in positions:
            octets[position >> 3] |= 1 << (position & 7)
        return int.from_bytes(octets, "little")


def _chosen(names: Sequence[str], bits: Bits) -> list[str]:
    """The names whose bit is set."""
    return list(compress(names, f"{bits:b}"[::-1].encode().translate(DIGITS)))
