"""What a policy means for one person: every value with the rule that gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jupyter_guardrails.policy.decision import Mode, Obligations, Resource, RuleRef, Value
from jupyter_guardrails.policy.globs import PatternIndex, compile_glob
from jupyter_guardrails.policy.hosts import HostIndex, NetworkEntry
from jupyter_guardrails.policy.limits import BudgetSpec, Profile
from jupyter_guardrails.policy.rowfilter import Filter, all_of, fill, parse_filter, render
from jupyter_guardrails.policy.rule import AutoGrant, DataEntry, Publish

Attributes = Mapping[str, str | tuple[str, ...]]


class RowRule(NamedTuple):
    """A row filter for the datasets that a pattern matches."""

    dataset: str
    filter: str


class LabelIndex:
    """Deny entries for datasets; finds the first in order that matches without trying them all. Labels are compared without case."""

    def __init__(self, entries: tuple[Value[DataEntry], ...]) -> None:
        plain = [(entry.value.name, position) for position, entry in enumerate(entries) if entry.value.name and not labels_of(entry.value)]
        self._entries = entries
        self._names = PatternIndex(plain)
        self._labelled: dict[tuple[str, str], list[int]] = {}
        for position, entry in enumerate(entries):
            if labels := labels_of(entry.value):
                self._labelled.setdefault(labels[0], []).append(position)

    def first(self, resource: Resource) -> Value[DataEntry] | None:
        """The first entry all of whose keys match."""
        labels = {("classification", resource.classification.casefold()), ("domain", resource.domain.casefold())}
        labels |= {("tag", tag.casefold()) for tag in resource.tags}
        hits = [position for label in labels for position in self._labelled.get(label, ()) if self._matches(position, resource.name, labels)]
        if (named := self._names.first(resource.name)) is not None:
            hits.append(named)
        return self._entries[min(hits)] if hits else None

    def _matches(self, position: int, name: str, labels: set[tuple[str, str]]) -> bool:
        entry = self._entries[position].value
        return labels.issuperset(labels_of(entry)) and (entry.name is None or compile_glob(entry.name).fullmatch(name) is not None)


def labels_of(entry: DataEntry) -> list[tuple[str, str]]:
    """The labels that an entry asks for, as they are compared."""
    given = (("classification", entry.classification), ("domain", entry.domain), ("tag", entry.tag))
    return [(key, value.casefold()) for key, value in given if value is not None]


@dataclass(frozen=True, eq=False)
class Lookup:
    """The lists of one person, indexed for decisions."""

    read: PatternIndex[RuleRef]
    request: PatternIndex[RuleRef]
    deny_data: LabelIndex
    allow_network: HostIndex
    deny_network: HostIndex
    package_allow: PatternIndex[str]
    package_deny: PatternIndex[str]


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
    approvals: int
    run_as: str | None
    data_reviewers: str  # in words: "its owner", "group stewards"
    admins: str  # in words: "group platform"
    places: Mapping[str, RuleRef] = field(repr=False)  # where each key outside of the rules stands
    deny_modes: Mapping[RuleRef, Mode] = field(repr=False)  # of rules that deny
    attributes: Attributes = field(repr=False)
    lookup: Lookup = field(repr=False, compare=False)

    @property
    def terminal(self) -> Value[Profile]:
        """The profile that terminals get; it need not be one that kernels may have."""
        return Value(self.all_profiles[self.terminal_profile.value].value, self.terminal_profile.rule)

    def place(self, key: str) -> RuleRef:
        """Where a key outside of the rules stands, like `promotion.approvals`; a built-in default if it isn't in the file."""
        return self.places.get(key) or RuleRef("", 0, key)

    def row_filter(self, dataset: str) -> Filter | None:
        """All row filters for a dataset as one, the person's attributes filled in; None if there are none."""
        trees = [parse_filter(row.value.filter) for row in self.rows if compile_glob(row.value.dataset).fullmatch(dataset)]
        return fill(all_of(trees), self.attributes) if trees else None

    def obligations(self, resource: Resource) -> Obligations:
        """The masks and the row filter that any read of a dataset is bound to, granted by rule or on request."""
        masked = {column: self.masks[label.casefold()].value for column, label in resource.columns.items() if label.casefold() in self.masks}
        tree = self.row_filter(resource.name)
        return Obligations(masked, render(tree) if tree else "")
