"""`jupyter guardrails policy diff`: who gains what and who loses what between two policies."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.cli.policy_explain import known_groups
from jupyter_guardrails.cli.printing import print_json, print_table, rule_json
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import Policy, Resource, load
from jupyter_guardrails.policy.diff import Change, Group, compare
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.policy.named import Subject, people_in, subjects

MOST_NAMES = 8


def add_arguments(diff: argparse.ArgumentParser) -> None:
    """Two policies, and whom to look at."""
    diff.add_argument("old", type=Path, metavar="OLD", help="a policy: FILE or DIR")
    diff.add_argument("new", type=Path, metavar="NEW", help="the policy that would come after it")
    diff.add_argument("--users", default="all", metavar="NAMES", help="`all` (default): everybody named in either, and anyone else; or ana,ben")
    diff.add_argument("--catalog", type=Path, metavar="DIR", help="contracts: also say which datasets come within reach and go out of it")


def run(arguments: argparse.Namespace) -> int:
    """0 also when they differ; mistakes in either file are an error."""
    old, new = load(arguments.old), load(arguments.new)
    people = subjects([old, new]) if arguments.users == "all" else _chosen(arguments.users, [old, new])
    shared, groups = compare(old, new, people, _resources(arguments.catalog))
    if arguments.json:
        print_json(_as_json(old, new, shared, groups))
    else:
        _show(old, new, shared, groups)
    return 0


def _chosen(names: str, policies: Sequence[Policy]) -> list[Subject]:
    """The people named on the command line, with the groups that this machine tells of its accounts."""
    people = [name.strip() for name in names.split(",") if name.strip()]
    if wrong := [name for name in people if not is_principal(name)]:
        raise BadRequest(f"{wrong[0]!r} can't be the name of a person", next_step="--users all, or names with commas between them: ana,ben")
    named = {name for policy in policies for name in people_in(policy)}
    found = []
    for name in people:
        elsewhere = tuple(group for group in known_groups(policies[0], name) if group not in policies[0].groups_of(name))
        known = name in named or elsewhere
        found.append(Subject(name if known else f"{name} (named nowhere)", name, elsewhere))
    return found


def _resources(catalog: Path | None) -> list[Resource]:
    if catalog is None:
        return []
    found = load_catalog(catalog)
    if not catalog.is_dir():
        raise BadRequest(f"there is no catalogue {catalog}", next_step="name a folder of contracts")
    return [contract.resource for contract in found.contracts.values()]


def _show(old: Policy, new: Policy, shared: Sequence[Change], groups: Sequence[Group]) -> None:
    print(f"{old.path}, digest {old.digest[:12]}  ->  {new.path}, digest {new.digest[:12]}")
    if not shared and not groups:
        print("\nthe same for everybody" if old.digest != new.digest else "\nthe same policy")
    if shared:
        print("\nfor everybody")
        print_table([_row(change) for change in shared])
    for group in groups:
        print(f"\n{_names(group.people)}")
        print_table([_row(change) for change in group.changes])


def _names(people: Sequence[str]) -> str:
    more = f" and {len(people) - MOST_NAMES} more" if len(people) > MOST_NAMES else ""
    return ", ".join(people[:MOST_NAMES]) + more


def _row(change: Change) -> tuple[str, str, str, str]:
    return f"  {change.effect}", change.key, _text(change), str(change.rule)


def _text(change: Change) -> str:
    """`before -> after` of a value, `+ entry` or `- entry` of a list."""
    if change.before and change.after:
        return f"{change.before} -> {change.after}"
    return f"+ {change.after}" if change.after else f"- {change.before}"


def _as_json(old: Policy, new: Policy, shared: Sequence[Change], groups: Sequence[Group]) -> dict[str, Any]:
    policies = {name: {"path": str(policy.path), "digest": policy.digest} for name, policy in (("old", old), ("new", new))}
    people = [{"people": group.people, "changes": [_change_json(change) for change in group.changes]} for group in groups]
    return {**policies, "everybody": [_change_json(change) for change in shared], "people": people}


def _change_json(change: Change) -> dict[str, Any]:
    return {"effect": change.effect, "key": change.key, "before": change.before, "after": change.after, "rule": rule_json(change.rule)}
