"""The past under another policy: what would have been refused that went ahead, and the other way round. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Decision, Resource
from jupyter_guardrails.policy.past import Fact, Groups, People
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.verdict import REFUSED_BY_DEFAULT, decide

EFFECTS = {  # what it was -> what it would be -> how that is called; what is left out is no change
    ("allowed", "refused"): "refuses",
    ("recorded", "refused"): "refuses",
    ("allowed", "recorded"): "records",
    ("refused", "recorded"): "records",
    ("refused", "allowed"): "allows",
    ("recorded", "allowed"): "allows",
}
ORDER = ("refuses", "records", "allows")
CHOSEN = ("", "kernel", "exec")  # kinds whose profile a person chooses; terminals and clean runs get the policy's
NOT_BY_POLICY = ("built-in suspended by an admin", "built-in break-glass by an admin")
SHUT = "built-in secrets"  # control's own files: shut under every policy


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that would have come out otherwise: `effect` is refuses, records or allows; `decision` the one under the new policy."""

    effect: str
    fact: Fact
    decision: Decision


@dataclass(frozen=True, slots=True)
class Replay:
    """What changes, most important and most frequent first; how many decisions stay as they were, and how many no policy can be asked about."""

    changes: tuple[Change, ...]
    unchanged: int
    not_replayed: int

    @property
    def newly_refused(self) -> int:
        """How many decisions would be refused that went ahead."""
        return sum(change.fact.count for change in self.changes if change.effect == "refuses")


def replay(policy: Policy, facts: Iterable[Fact], groups: Groups, now: datetime) -> Replay:
    """Every fact judged by `policy`, for the people in their groups of today."""
    people, changes, unchanged, skipped = People(policy, groups), list[Change](), 0, 0
    for fact in facts:
        person = people.of(fact.person)
        decision = judge(person, fact, now) if person else None
        if decision is None:
            skipped += fact.count
        elif effect := EFFECTS.get((fact.outcome, outcome_of(decision))):
            changes.append(Change(effect, fact, decision))
        else:
            unchanged += fact.count
    changes.sort(key=lambda change: (ORDER.index(change.effect), -change.fact.count, change.fact.person, change.fact.resource))
    return Replay(tuple(changes), unchanged, skipped)


def outcome_of(decision: Decision) -> str:
    """The same words as `Fact.outcome`."""
    return "allowed" if decision.allowed else "refused" if decision.blocks else "recorded"


def judge(person: EffectivePolicy, fact: Fact, now: datetime) -> Decision | None:
    """What this policy says of a fact; None where no policy decides it (suspensions, limits, a host that gave less than was required)."""
    if fact.rule in NOT_BY_POLICY or fact.rule.startswith(SHUT):
        return None
    if fact.action == "kernel.start":
        return _start(person, fact, now)
    if fact.action in ("data.read", "data.request"):
        return _data(person, fact, now)
    if fact.action == "network.connect":
        return decide(person, fact.action, Resource(fact.resource), now)
    return _file(person, fact)


def _start(person: EffectivePolicy, fact: Fact, now: datetime) -> Decision | None:
    """The choice of a profile. How many ran, and what was left of a budget, can't be asked again: a start that was refused for that is left out."""
    if fact.kind not in CHOSEN or (not fact.allowed and fact.rule != str(REFUSED_BY_DEFAULT)):
        return None
    return decide(person, fact.action, Resource(fact.resource), now)


def _data(person: EffectivePolicy, fact: Fact, now: datetime) -> Decision | None:
    """By the labels that the dataset has now; a read that was granted on request still is, where the policy still lets one ask."""
    if fact.labels is None:
        return None
    decision = decide(person, fact.action, fact.labels, now)
    if decision.blocks and fact.by_grant and fact.action == "data.read":
        asked = decide(person, "data.request", fact.labels, now)
        decision = asked if asked.allowed else decision
    return decision


def _file(person: EffectivePolicy, fact: Fact) -> Decision:
    """Only the policy's own list of paths: workspace, system and granted data were never refused."""
    listed = person.write_paths if fact.action == "file.write" else (*person.read_paths, *person.write_paths)
    path = PurePosixPath(fact.resource)
    under = next((tree for tree in listed if path.is_relative_to(tree)), None)
    if under is not None:
        key = "paths.write" if under in person.write_paths else "paths.read"
        return Decision(True, f"{fact.resource} lies in {under}", person.place(key))
    return Decision(False, f"{fact.resource} lies outside of the lists", REFUSED_BY_DEFAULT, "an admin lists it", mode=person.mode.value)
