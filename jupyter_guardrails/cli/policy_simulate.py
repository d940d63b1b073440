"""`jupyter guardrails policy simulate NEW`: what a policy would have meant for what people really did."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.past import Past, add_since, ask
from jupyter_guardrails.cli.printing import line, print_json, print_table, rule_json
from jupyter_guardrails.policy import load
from jupyter_guardrails.policy.replay import Change, Replay, replay

MOST_ROWS = 200


def add_arguments(simulate: argparse.ArgumentParser) -> None:
    """The policy to try, and over how much of the past."""
    simulate.add_argument("new", type=Path, metavar="NEW", help="the policy to try: FILE or DIR")
    add_since(simulate, "30d")
    simulate.add_argument("--strict", action="store_true", help="exit 1 if anything would newly be refused")


def run(arguments: argparse.Namespace) -> int:
    """0, also when much would change (1 with --strict if something would newly be refused); mistakes in the file are an error."""
    policy = load(arguments.new)
    past = ask(arguments.since)
    found = replay(policy, past.facts, past.groups, datetime.now(UTC))
    if arguments.json:
        print_json(_as_json(found, past))
    else:
        _show(found, past)
    return 1 if arguments.strict and found.newly_refused else 0


def _show(found: Replay, past: Past) -> None:
    rows = [_row(change) for change in found.changes[:MOST_ROWS]]
    if rows:
        print_table([("would", "who", "what", "on", "times", "last", "rule"), *rows])
        print(f"and {len(found.changes) - MOST_ROWS} more, see --json") if len(found.changes) > MOST_ROWS else None
        print()
    people = len({change.fact.person for change in found.changes if change.effect == "refuses"})
    print(f"since {past.since[:16]}: {found.newly_refused} times newly refused ({people} people), {found.unchanged} times as before")
    if found.not_replayed:
        print(f"{found.not_replayed} decisions were not for a policy to make (limits, suspensions, datasets that are gone) and are left out")
    if past.left_out:
        print(f"{past.left_out} rare decisions were left out: choose a shorter --since")


def _row(change: Change) -> tuple[str, ...]:
    fact = change.fact
    said = (change.effect, fact.person, fact.action, fact.resource, str(fact.count), fact.last[:10], str(change.decision.rule))
    return tuple(map(line, said))


def _as_json(found: Replay, past: Past) -> dict[str, Any]:
    changes = [
        {
            "effect": change.effect,
            "person": change.fact.person,
            "action": change.fact.action,
            "resource": change.fact.resource,
            "before": change.fact.outcome,
            "count": change.fact.count,
            "last": change.fact.last,
            "reason": change.decision.reason,
            "rule": rule_json(change.decision.rule),
            "next_step": change.decision.next_step,
        }
        for change in found.changes
    ]
    counts = {"newly_refused": found.newly_refused, "unchanged": found.unchanged, "not_replayed": found.not_replayed, "left_out": past.left_out}
    return {"since": past.since, **counts, "changes": changes}
