"""`jupyter guardrails usage`: what was used in the last 30 days, and the budget."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.control.interface.messages import Budget, Usage


def add_parser(subparsers: Any) -> None:
    """`usage`."""
    parser = subparsers.add_parser("usage", help="what you used in the last 30 days and your budget; everybody's use for admins")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a table, or JSON."""
    with connected(os.environ) as client:
        usage, budget = client.call(Usage()), client.call(Budget())
    if arguments.json:
        print(json.dumps({"people": usage["people"], "budget": budget}, indent=2))
        return 0
    print(table(usage["people"]))
    print(budget_line(budget))
    return 0


def table(people: list[dict[str, Any]]) -> str:
    """One line a person, the last 30 days."""
    head = f"{'person':<20} {'kernels':>8} {'cpu-hours':>10} {'memory GiB-hours':>17} {'GPU-hours':>10}"
    rows = [_row(person) for person in people]
    return "\n".join([head, *rows] if rows else [head, "(nothing yet)"])


def _row(person: dict[str, Any]) -> str:
    hours = f"{person['cpu_hours']:>10.2f} {person['memory_gib_hours']:>17.2f} {person['gpu_hours']:>10.2f}"
    return f"{person['person']:<20} {person['kernels']:>8} {hours}"


def budget_line(budget: dict[str, Any]) -> str:
    """The budget in one sentence, with its rule."""
    if not budget["window"]:
        return "no budget is set"
    names = {"cpu_hours": "cpu-hours", "memory_gib_hours": "memory GiB-hours", "gpu_hours": "GPU-hours"}
    parts = [f"{budget[key]['used']:.2f} of {budget[key]['limit']:g} {name}" for key, name in names.items() if budget[key]["limit"] is not None]
    whose = f", everyone of {budget['shared_by']} together" if budget["shared_by"] else ""
    return f"budget: {', '.join(parts)} in the {budget['window']}{whose} ({budget['rule']})"
