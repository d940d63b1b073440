"""What was decided about people in the past, as control's records tell it, counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Resource
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.resolve import effective

Groups = Mapping[str, Sequence[str]]  # person -> the groups that the operating system tells


@dataclass(frozen=True, slots=True)
class Fact:
    """One decision, `count` times: about a person, an action and a thing. `mode`: what a refusal meant; `labels`: of a dataset, as they are now."""

    person: str
    action: str
    resource: str
    allowed: bool
    mode: str
    rule: str
    count: int
    last: str
    kind: str = ""
    by_grant: bool = False
    labels: Resource | None = None

    @property
    def outcome(self) -> str:
        """`allowed`, `recorded` (a refusal that was not carried out) or `refused`."""
        return "allowed" if self.allowed else "recorded" if self.mode in ("observe", "warn") else "refused"


def facts_from(rows: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """The facts of control's answer to `decisions.past`."""
    found = []
    for row in rows:
        said = {key: row[key] for key in ("person", "action", "resource", "allowed", "rule", "count", "last", "by_grant")}
        found.append(Fact(**said, mode=row["mode"] or "", kind=row["kind"] or "", labels=_labels(row)))
    return found


class People:
    """Effective policies of everybody in the facts, each worked out once; None for a name that nobody can have."""

    def __init__(self, policy: Policy, groups: Groups) -> None:
        self.policy, self.groups = policy, groups
        self.of = cache(self._of)

    def _of(self, person: str) -> EffectivePolicy | None:
        if not is_principal(person):
            return None
        return effective(self.policy, person, dict.fromkeys((*self.policy.groups_of(person), *self.groups.get(person, ()))))


def _labels(row: Mapping[str, Any]) -> Resource | None:
    labels = row["labels"]
    return Resource(row["resource"], **{**labels, "tags": tuple(labels["tags"])}) if labels is not None else None
