"""`jupyter guardrails policy explain`: what the policy means for one person, and why one question is answered as it is."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.cli.printing import print_json, print_table, rule_json
from jupyter_guardrails.control.groups import system_groups
from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.policy import Decision, EffectivePolicy, Policy, Resource, decide, effective, load
from jupyter_guardrails.policy.considered import Considered, considered
from jupyter_guardrails.policy.explain import Line, lines
from jupyter_guardrails.policy.keys import similar
from jupyter_guardrails.policy.named import groups_in, people_in
from jupyter_guardrails.policy.verdict import ACTIONS


def add_arguments(explain: argparse.ArgumentParser) -> None:
    """Everything, or one question."""
    explain.add_argument("--user", required=True, metavar="NAME")
    explain.add_argument("--group", action="append", metavar="NAME", help="a group of the person, instead of those that are known; may be repeated")
    explain.add_argument("--action", choices=tuple(ACTIONS), help="one question instead of everything")
    explain.add_argument("--resource", metavar="NAME", help="a dataset, host:port, profile, submission or package")
    explain.add_argument("--policy", type=Path, metavar="FILE|DIR", help="the policy (default: the one in force here)")
    explain.add_argument("--catalog", type=Path, metavar="DIR", help="contracts that tell datasets' labels (default: the ones in force here)")


def run(arguments: argparse.Namespace) -> int:
    """0, or 1 when the one question asked is answered with no."""
    if (arguments.action is None) != (arguments.resource is None):
        arguments.parser.error("--action and --resource belong together")
    path, catalog = places(arguments)
    policy = load(path)
    person = effective(policy, arguments.user, arguments.group or known_groups(policy, arguments.user))
    for note in _notes(policy, arguments.user, arguments.group or ()):
        print(f"note: {note}", file=sys.stderr)
    if arguments.action is None:
        _show_everything(person, policy, as_json=arguments.json)
        return 0
    return _answer(person, arguments.action, _labelled(arguments.action, arguments.resource, catalog), as_json=arguments.json)


def places(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    """The policy and the catalogue that a command is about: those named, else those in force here; with a policy of its own no catalogue."""
    if arguments.policy:
        return arguments.policy, arguments.catalog
    settings = settings_from(os.environ)
    return settings.policy_path, arguments.catalog or settings.catalog_path


def known_groups(policy: Policy, person: str) -> list[str]:
    """The groups that control would use: those of the file, and of an account of this machine those that the machine tells."""
    return list(dict.fromkeys((*policy.groups_of(person), *_account_groups(person))))


def _account_groups(person: str) -> Sequence[str]:
    with contextlib.suppress(KeyError, ValueError):  # ValueError: a name that no account can have
        return system_groups(person)
    return ()


def _notes(policy: Policy, person: str, groups: Sequence[str]) -> list[str]:
    """Names that may be typing errors."""
    notes = []
    if person not in people_in(policy) and not _account_groups(person):
        notes.append(
            f"nobody called {person} is named in the policy or has an account here: this is what anyone else gets{_near(person, people_in(policy))}"
        )
    known = groups_in(policy)
    notes += [f"the policy has no group {group}{_near(group, known)}" for group in groups if group not in known]
    return notes


def _near(word: str, known: Sequence[str]) -> str:
    close = similar(word, known)
    return f" (did you mean {close}?)" if close else ""


def _labelled(action: str, name: str, catalog: Path | None) -> Resource:
    """The resource of a question; a dataset that the catalogue doesn't have is an error, as its labels could change the answer."""
    if not action.startswith("data.") or catalog is None or not catalog.is_dir():
        return Resource(name)
    found = load_catalog(catalog)
    resource = found.resource(name)
    if resource is None:
        near = _near(name, list(found.contracts))
        raise NotFound(
            f"the catalogue {catalog} has no usable contract of {name}{near}", next_step="check its contract: `jupyter guardrails data check`"
        )
    return resource


def _show_everything(person: EffectivePolicy, policy: Policy, *, as_json: bool) -> None:
    found = lines(person)
    if as_json:
        print_json({"person": person.person, "groups": person.groups, "digest": person.digest, "values": [_line_json(line) for line in found]})
        return
    print(f"{person.person} (groups: {', '.join(person.groups) or 'none'}) under {policy.path}, digest {person.digest[:12]}\n")
    shown = [line for line in found if not line.detail]
    keys = ["", *(line.key for line in shown)]
    print_table([("" if line.key == before else line.key, line.text, str(line.rule)) for line, before in zip(shown, keys, strict=False)])


def _answer(person: EffectivePolicy, action: str, resource: Resource, *, as_json: bool) -> int:
    decision = decide(person, action, resource, datetime.now(UTC))
    chain = considered(person, action, resource)
    if as_json:
        print_json({"decision": {**asdict(decision), "rule": rule_json(decision.rule)}, "considered": [_considered_json(entry) for entry in chain]})
    else:
        _show_decision(person, action, resource, decision, chain)
    return 0 if decision.allowed else 1


def _show_decision(person: EffectivePolicy, action: str, resource: Resource, decision: Decision, chain: Sequence[Considered]) -> None:
    print(f"{'ALLOWED' if decision.allowed else 'REFUSED'}  {person.person}  {action}  {resource.name}")
    mode = f"{decision.mode} (the refusal is not carried out)" if not decision.allowed and not decision.blocks else ""
    bound = decision.obligations
    said = {"because": decision.reason, "rule": str(decision.rule), "next": decision.next_step, "mode": mode}
    said |= {"masks": ", ".join(f"{column}: {kind}" for column, kind in bound.masks.items()), "rows": bound.row_filter}
    print_table([(f"  {key}", text) for key, text in said.items() if text])
    if chain:
        print("\nconsidered, in this order:")
        print_table([("  matches" if entry.matches else "  -", entry.effect, entry.entry, str(entry.rule)) for entry in chain])


def _considered_json(entry: Considered) -> dict[str, Any]:
    return {**asdict(entry), "rule": rule_json(entry.rule)}


def _line_json(line: Line) -> dict[str, Any]:
    value = line.value if isinstance(line.value, str | int | float | bool) else line.text
    return {"key": line.key, "value": value, "text": line.text, "rule": rule_json(line.rule)}
