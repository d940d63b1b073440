"""What a policy means for one person: every value with the rule that gave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from jupyter_guardrails.policy.decision import Mode, Obligations, Resource, RuleRef, Value
from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.globs import Matcher, PatternIndex, compile_glob
from jupyter_guardrails.policy.hosts import HostIndex, NetworkEntry
from jupyter_guardrails.policy.limits import BudgetSpec, Profile
from jupyter_guardrails.policy.rowfilter import Filter, all_of, fill, parse_filter, render, unknown
from jupyter_guardrails.policy.rule import AutoGrant, DataEntry, Publish

Attributes = Mapping[str, str | tuple[str, ...]]
Label = tuple[str, str]  # kind and value
MOST_JOINED = 256


class RowRule(NamedTuple):
    """A row filter for the datasets that a pattern matches."""

    dataset: str
    filter: str


class LabelIndex:
    """Deny entries for datasets; finds the first in order that matches without trying them all. Labels are compared without case."""

    def __init__(self, entries: tuple[Value[DataEntry], ...]) -> None:
        self._entries = entries
        labels = [labels_of(entry.value) for entry in entries]
        self._names = PatternIndex([(entry.value.name, n) for n, entry in enumerate(entries) if entry.value.name and not labels[n]])
        self._classifications: dict[str, list[Labelled]] = {}
        self._domains: dict[str, list[Labelled]] = {}
        self._tags: dict[str, list[Labelled]] = {}
        kept_by = {"classification": self._classifications, "domain": self._domains, "tag": self._tags}
        for position, entry in enumerate(entries):
            if labels[position]:
                (kind, value), *others = labels[position]
                kept = Labelled(position, frozenset(others), compile_glob(entry.value.name).fullmatch if entry.value.name else None)
                kept_by[kind].setdefault(value, []).append(kept)

    def first(self, resource: Resource) -> Value[DataEntry] | None:
        """The first entry all of whose keys match."""
        found = self._names.first(resource.name)
        for position, others, matches in self._near(resource):
            if (found is None or position < found) and (matches is None or matches(resource.name)) and (not others or others <= labels_on(resource)):
                found = position
        return self._entries[found] if found is not None else None

    def _near(self, resource: Resource) -> list[Labelled]:
        """The entries whose first label the dataset has."""
        near = [*self._classifications.get(resource.classification.casefold(), ())] if self._classifications else []
        if self._domains:
            near += self._domains.get(resource.domain.casefold(), ())
        if self._tags:
            near += [entry for tag in resource.tags for entry in self._tags.get(tag.casefold(), ())]
        return near


class Labelled(NamedTuple):
    """A deny entry with labels, kept by the first of them: its position, the other labels, and the name that it asks for."""

    position: int
    others: frozenset[Label]
    name: Matcher | None


def labels_of(entry: DataEntry) -> list[Label]:
    """The labels that an entry asks for, as they are compared."""
    given = (("classification", entry.classification), ("domain", entry.domain), ("tag", entry.tag))
    return [(key, value.casefold()) for key, value in given if value is not None]


def labels_on(resource: Resource) -> set[Label]:
    """The labels of a dataset, as they are compared."""
    labels = {("tag", tag.casefold()) for tag in resource.tags}
    labels.add(("classification", resource.classification.casefold()))
    labels.add(("domain", resource.domain.casefold()))
    return labels


class Bound(NamedTuple):
    """All row filters of one dataset as one: the tree, its text, and the names of attributes that nothing tells about the person."""

    filter: Filter
    text: str
    unknown: tuple[str, ...]


class RowIndex:
    """One person's row filters, read once; joins those of a dataset."""

    def __init__(self, rows: Iterable[RowRule], attributes: Attributes) -> None:
        entries = list(rows)
        self._trees = [parse_filter(row.filter) for row in entries]
        self._datasets = PatternIndex((row.dataset, position) for position, row in enumerate(entries))
        self._attributes = attributes
        self._joined: dict[tuple[int, ...], Bound] = {}

    def of(self, dataset: str) -> Bound | None:
        """What any read of a dataset is bound to; None if no filter is for it."""
        matching = tuple(self._datasets.all(dataset))
        return (self._joined.get(matching) or self._join(matching)) if matching else None

    def _join(self, positions: tuple[int, ...]) -> Bound:
        """Joined and kept: many datasets share a few combinations, but names that somebody makes up must not fill the memory."""
        tree = fill(all_of([self._trees[position] for position in positions]), self._attributes)
        if len(self._joined) >= MOST_JOINED:
            self._joined.clear()
        bound = self._joined[positions] = Bound(tree, render(tree), unknown(tree))
        return bound


@dataclass(frozen=True)
class EffectivePolicy:
    """One person's policy. Paths have {user} filled in; lists are in the order of the rules, without repeats."""

    person: str
    groups: tuple[str, ...]
    digest: str
    mode: Value[Mode]
    roles: frozenset[str]
    profiles: dict[str, Value[Profile]]  # those that a kernel of this person may have
    all_profiles: dict[str, Value[Profile]]  # every defined one: terminals and jobs may have others
    default_profile: Value[str]
    terminal_profile: Value[str]
    max_kernels: Value[int]
    network_allow: tuple[Value[NetworkEntry], ...]
    network_deny: tuple[Value[NetworkEntry], ...]
    workspace_size: Value[int | None]
    budget: Value[BudgetSpec] | None
    budget_values: dict[str, Value[Any]]  # each key of the budget with its own rule
    data_read: tuple[Value[str], ...]
    data_request: tuple[Value[str], ...]
    data_deny: tuple[Value[DataEntry], ...]
    auto_grant: Value[AutoGrant] | None
    browse: Value[str]
    masks: dict[str, Value[str]]  # column classification, in lower case -> kind
    rows: tuple[Value[RowRule], ...]
    publish: Value[Publish] | None
    upload_max_bytes: Value[int | None]
    upload_types: Value[tuple[str, ...] | None]
    upload_label: Value[str]
    require: tuple[str, ...]
    environment_pass: tuple[str, ...]
    environment_set: dict[str, str]
    read_paths: tuple[str, ...]
    write_paths: tuple[str, ...]
    production_profile: Value[Profile]
    checks: dict[str, Value[str]]
    engines: dict[str, dict[str, Any]]
    packages_allow: tuple[str, ...]
    packages_deny: tuple[str, ...]
    licenses_deny: tuple[str, ...]
    approvals: int
    run_as: str | None
    data_reviewers: str  # in words: "its owner", "group stewards"
    admins: str  # in words: "group platform"
    places: Mapping[str, RuleRef] = field(repr=False)  # where each key outside of the rules stands
    deny_modes: Mapping[RuleRef, Mode] = field(repr=False)  # of rules that deny
    attributes: Attributes = field(repr=False)
    document: Document = field(repr=False, compare=False)  # what the file says for everybody alike
    packages_granted: Mapping[str, RuleRef] = field(default_factory=dict)  # beside the list, for a while: name as indexes compare it -> by what

    @property
    def terminal(self) -> Value[Profile]:
        """The profile that terminals get; it need not be one that kernels may have."""
        return Value(self.all_profiles[self.terminal_profile.value].value, self.terminal_profile.rule)

    def place(self, key: str) -> RuleRef:
        """Where a key outside of the rules stands, like `promotion.approvals`; a built-in default if it isn't in the file."""
        return self.places.get(key) or RuleRef("", 0, key)

    @cached_property
    def read_index(self) -> PatternIndex[RuleRef]:
        """Finds the rule that lets a dataset be read. Like all indexes it is made when the first question needs it."""
        return PatternIndex((entry.value, entry.rule) for entry in self.data_read)

    @cached_property
    def request_index(self) -> PatternIndex[RuleRef]:
        """Finds the rule that lets a dataset be asked for."""
        return PatternIndex((entry.value, entry.rule) for entry in self.data_request)

    @cached_property
    def deny_index(self) -> LabelIndex:
        """Finds what denies a dataset."""
        return LabelIndex(self.data_deny)

    @cached_property
    def network_allow_index(self) -> HostIndex:
        """Finds the position in `network_allow` that covers a host and port."""
        return HostIndex(tuple(entry.value for entry in self.network_allow))

    @cached_property
    def network_deny_index(self) -> HostIndex:
        """Finds the position in `network_deny` that covers a host and port."""
        return HostIndex(tuple(entry.value for entry in self.network_deny), deny=True)

    @cached_property
    def package_allow_index(self) -> PatternIndex[str]:
        """Finds the pattern that allows a package."""
        return PatternIndex((package_name(pattern), pattern) for pattern in self.packages_allow)

    @cached_property
    def package_deny_index(self) -> PatternIndex[str]:
        """Finds the pattern that denies a package."""
        return PatternIndex((package_name(pattern), pattern) for pattern in self.packages_deny)

    @cached_property
    def row_index(self) -> RowIndex:
        """Finds the row filters of a dataset."""
        return RowIndex((row.value for row in self.rows), self.attributes)

    def row_filter(self, dataset: str) -> Filter | None:
        """All row filters for a dataset as one, the person's attributes filled in; None if there are none."""
        bound = self.row_index.of(dataset)
        return bound.filter if bound else None

    def obligations(self, resource: Resource) -> Obligations:
        """The masks and the row filter that any read of a dataset is bound to, granted by rule or on request."""
        bound = self.row_index.of(resource.name)
        return Obligations(self.masked(resource), bound.text if bound else "")

    def masked(self, resource: Resource) -> dict[str, str]:
        """Each column that is masked, and how."""
        masks = self.masks
        return {column: masks[key].value for column, label in resource.columns.items() if (key := label.casefold()) in masks} if masks else {}


def package_name(name: str) -> str:
    """A Python package's name as indexes compare it: lower case, runs of - _ . as one dash."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part) or name
