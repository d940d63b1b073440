"""Two policies -> who gains what, who loses what. People with the same changes stand together; what is the same for everybody stands first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.decision import Resource, RuleRef
from jupyter_guardrails.policy.explain import Line, lines
from jupyter_guardrails.policy.named import Subject
from jupyter_guardrails.policy.person import EffectivePolicy
from jupyter_guardrails.policy.resolve import MASK_STRICTNESS, STRICTNESS, effective, roles_of
from jupyter_guardrails.policy.visible import Visibility

Effect = Literal["gains", "loses", "changes"]
SHARED = ("require", "admins", "environment.", "paths.", "profiles.", "data.reviewers", "promotion.", "audit.", "notify.")
MORE_IS_MORE = ("kernels.max", "workspace.size", "budget.cpu_hours", "budget.memory_gib_hours", "budget.gpu_hours", "uploads.max_size")
PROFILE_AMOUNTS = (".memory", ".cpus", ".tasks", ".shm", ".file_size", ".gpus", ".idle", ".lifetime")
TAKING = ("deny.", "rows.", "promotion.packages.deny", "promotion.packages.deny_licenses")  # an entry more means less for people
GIVING = (
    "paths.",
    "environment.pass",
    "promotion.packages.allow",
    "roles",
    "kernels.profiles",
    "network.",
    "data.read",
    "data.request",
    "data.auto_grant",
    "publish",
    "uploads.",
)
BUDGET_TERMS = ("budget.per", "budget.share", "budget.warn_at", "budget.grace")  # they say nothing without a budget
DATASETS = RuleRef("", 0, "catalogue")
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs: `before` and `after` as they read, and the rule that made it so (of a loss: the one that gave it)."""

    effect: Effect
    key: str
    before: str
    after: str
    rule: RuleRef


@dataclass(frozen=True, slots=True)
class Group:
    """People for whom the same changes."""

    people: tuple[str, ...]
    changes: tuple[Change, ...]


def compare(
    old: Policy, new: Policy, subjects: Sequence[Subject], resources: Sequence[Resource] = ()
) -> tuple[tuple[Change, ...], tuple[Group, ...]]:
    """Changes that are the same for everybody, and for each other set of changes the people whom it meets. Nothing where nothing changes."""
    shared = tuple(_shared(old, new))
    seen = (Visibility(old, resources), Visibility(new, resources)) if resources else None
    known: dict[object, tuple[Change, ...]] = {}
    together: dict[tuple[Change, ...], list[str]] = {}
    for subject in subjects:
        before, after = _groups(old, subject), _groups(new, subject)
        key = (_class(old, subject.person, before), _class(new, subject.person, after))
        if key not in known:
            known[key] = tuple(_personal(effective(old, subject.person, before), effective(new, subject.person, after)))
            known[key] += tuple(_datasets(seen, resources, (subject.person, before, after))) if seen else ()
        together.setdefault(known[key], []).append(subject.label)
    return shared, tuple(Group(tuple(people), changes) for changes, people in together.items() if changes)


def _groups(policy: Policy, subject: Subject) -> tuple[str, ...]:
    """Those that the file tells, and those that come with the subject."""
    return tuple(dict.fromkeys((*policy.groups_of(subject.person), *(subject.groups or ()))))


def _class(policy: Policy, person: str, groups: tuple[str, ...]) -> object:
    """The same for people who can't differ: the same rules are for them, and they have the same roles."""
    return tuple(rule.ref for rule in policy.rules_for(person, groups)), roles_of(policy, person, groups)


def _is_shared(line: Line) -> bool:
    return line.key.startswith(SHARED) and line.key != "promotion.production_profile"


def _shared(old: Policy, new: Policy) -> Iterator[Change]:
    """What no rule can make different for one person; paths as the file writes them, with {user}."""
    before, after = (effective(policy, "anyone-else", ()) for policy in (old, new))
    both = {f"profiles.{name}" for name in set(old.document.profiles) & set(new.document.profiles)}
    yield from _changes(*([line for line in lines(person) if _is_shared(line) and _is_new_here(line, both)] for person in (before, after)))
    for key in ("read", "write"):
        yield from _changes(*([_path_line(policy, key, path) for path in getattr(policy.document.paths, key)] for policy in (old, new)))


def _is_new_here(line: Line, both: set[str]) -> bool:
    """Profiles key by key where both policies have them, in short where only one does; paths are compared as they are written."""
    if line.key.startswith("profiles."):
        return line.detail == (line.key.rpartition(".")[0] in both) and line.key not in both
    return not line.key.startswith("paths.")


def _path_line(policy: Policy, key: str, path: str) -> Line:
    return Line(f"paths.{key}", path, path, policy.place(f"paths.{key}"), listed=True)


def _personal(old: EffectivePolicy, new: EffectivePolicy) -> Iterator[Change]:
    yield from _changes(*([line for line in lines(person) if not _is_shared(line)] for person in (old, new)))


def _changes(old: Iterable[Line], new: Iterable[Line]) -> Iterator[Change]:
    """Line against line: entries of lists by what they say, single values by their key."""
    before, after = _by_entry(old), _by_entry(new)
    for entry in dict.fromkeys((*before, *after)):
        one, other = before.get(entry), after.get(entry)
        alone = one is None or other is None
        if (alone and entry[0] not in BUDGET_TERMS) or (one and other and one.text != other.text):
            yield _change(one, other)


def _by_entry(found: Iterable[Line]) -> dict[tuple[str, str], Line]:
    """Lines that say that there is nothing are left out."""
    kept = (line for line in found if line.text != "nothing" and line.key != "budget")
    return {(line.key, line.text if line.listed else ""): line for line in kept}


def _change(old: Line | None, new: Line | None) -> Change:
    line = new or old
    assert line is not None
    before, after = (item.text if item else "no limit" if line.key in MORE_IS_MORE else "" for item in (old, new))
    return Change(_effect(line.key, old, new), line.key, before, after, line.rule)


def _effect(key: str, old: Line | None, new: Line | None) -> Effect:
    """Whether people gain or lose by it; `changes` where that can't be said in general."""
    if key == "mode" or key.startswith("mask."):
        order = STRICTNESS if key == "mode" else MASK_STRICTNESS
        before, after = (-1 if line is None else order[line.value] for line in (old, new))
        return _more(-before, -after)
    if key in MORE_IS_MORE or (old and new and key.startswith("profiles.") and key.endswith(PROFILE_AMOUNTS)):
        return _more(_amount(old), _amount(new))
    if (old and new) or not key.startswith((*TAKING, *GIVING)):
        return "changes"
    return _more(0, 1 if (new is not None) != key.startswith(TAKING) else -1)


def _amount(line: Line | None) -> float:
    """How much somebody has; without a limit it is without end, but of uploads that nothing allows it is nothing."""
    if line is None or line.value is None:
        return 0.0 if line and line.key == "uploads.max_size" else float("inf")
    return float(line.value)


def _more(old: float, new: float) -> Effect:
    return "changes" if new == old else "gains" if new > old else "loses"


def _datasets(
    seen: tuple[Visibility, Visibility], resources: Sequence[Resource], who: tuple[str, tuple[str, ...], tuple[str, ...]]
) -> Iterator[Change]:
    """Datasets of the catalogue that come within reach or go out of it."""
    person, before, after = who
    old, new = seen[0].of(person, before), seen[1].of(person, after)
    for what, had, has in (("may read", old.readable, new.readable), ("may ask for", old.requestable, new.requestable)):
        if gained := has & ~had:
            yield Change("gains", what, "", _names(resources, gained), DATASETS)
        if lost := had & ~has:
            yield Change("loses", what, _names(resources, lost), "", DATASETS)


def _names(resources: Sequence[Resource], mask: int) -> str:
    names = [resource.name for number, resource in enumerate(resources) if mask >> number & 1]
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
