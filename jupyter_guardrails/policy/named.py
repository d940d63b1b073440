"""Whom a policy names: the people and groups in it, and stand-ins for those whom it only means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jupyter_guardrails.policy.compiled import Policy
from jupyter_guardrails.policy.fields import People, is_principal
from jupyter_guardrails.policy.globs import compile_glob

STAND_INS = ("anyone-else", "someone-else", "zz-someone", "0-someone")


class Subject(NamedTuple):
    """Somebody to ask a policy about: `label` is how a reader sees them, `groups` None those that each policy's file tells."""

    label: str
    person: str
    groups: tuple[str, ...] | None = None


def selections(policy: Policy) -> Iterator[People]:
    """Every place of the policy that says who."""
    document = policy.document
    yield from (document.admins, document.promotion.reviewers, document.data.reviewers)
    for rule in document.rules:
        yield from (rule.who, rule.who.exclude)


def people_in(policy: Policy) -> list[str]:
    """Everybody whom the file names: members of its groups, and names that rules, admins and reviewers are given by."""
    members = (name for people in policy.document.groups.values() for name in people)
    chosen = (name for people in selections(policy) for name in people.users if "*" not in name)
    return list(dict.fromkeys((*members, *chosen)))


def groups_in(policy: Policy) -> list[str]:
    """Every group that the file defines or mentions."""
    chosen = (name for people in selections(policy) for name in people.groups if "*" not in name)
    return list(dict.fromkeys((*policy.document.groups, *chosen)))


def subjects(policies: Iterable[Policy]) -> list[Subject]:
    """Everybody named in any of the policies; then one stand-in for each group without members here, each pattern, and for anyone else."""
    policies = list(policies)
    named = dict.fromkeys(name for policy in policies for name in people_in(policy))
    inhabited = {group for policy in policies for group, people in policy.document.groups.items() if people}
    elsewhere = dict.fromkeys(group for policy in policies for group in groups_in(policy) if group not in inhabited)
    patterns = dict.fromkeys(name for policy in policies for people in selections(policy) for name in people.users if "*" in name and name != "**")
    other = _somebody_else(patterns)
    found = [Subject(name, name) for name in sorted(named)]
    found += [Subject(f"anyone in group {group}", other, (group,)) for group in sorted(elsewhere)]
    found += [Subject(f"anyone called {pattern}", name) for pattern in sorted(patterns) if is_principal(name := pattern.replace("*", "x"))]
    return [*found, Subject("anyone else", other, ())]


def _somebody_else(patterns: Iterable[str]) -> str:
    """A name that no pattern is about, if there is one."""
    globs = [compile_glob(pattern) for pattern in patterns]
    return next((name for name in STAND_INS if not any(glob.fullmatch(name) for glob in globs)), STAND_INS[0])
