"""`jupyter guardrails usage`: what was used, by person, day, profile, notebook or kernelspec, and the budget."""

from __future__ import annotations

import argparse
import os
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import plain_cell, print_csv, print_json, print_table
from jupyter_guardrails.control.interface.messages import Budget
from jupyter_guardrails.control.interface.usage import HOUR_S, LONGEST_S, Usage
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.quantities import parse_duration

HEAD = ("kernels", "cpu-hours", "memory GiB-hours", "GPU-hours")
COLUMNS = ("kernels", "cpu_hours", "memory_gib_hours", "gpu_hours")

GAUGES = (
    ("guardrails_usage_cpu_seconds", "Processor time in the window", "cpu_hours", HOUR_S),
    ("guardrails_usage_memory_gib_seconds", "Memory over time in the window", "memory_gib_hours", HOUR_S),
    ("guardrails_usage_kernels", "Kernels, terminals, execs and clean runs that started in the window", "kernels", 1),
)


def add_parser(subparsers: Any) -> None:
    """`usage [--since 30d] [--by …] [--csv | --json]`."""
    parser = subparsers.add_parser("usage", help="what you used and your budget; everybody's use for admins")
    parser.add_argument("--since", type=_since, default="30d", metavar="TIME", help="how far back, like 12h or 30d (default: 30d)")
    parser.add_argument("--by", choices=("person", "day", "profile", "notebook", "kernelspec"), default="person")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--csv", action="store_true", help="for a spreadsheet; cells are never formulas")
    kind.add_argument("--prometheus", action="store_true", help="for the textfile collector of Prometheus' node exporter, by person or profile")
    kind.add_argument("--json", action="store_true", help="the numbers as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a table, CSV or JSON."""
    with connected(os.environ) as client:
        usage, budget = client.call(Usage(since_s=arguments.since, by=arguments.by)), client.call(Budget())
    if arguments.json:
        print_json(usage | {"budget": budget})
    elif arguments.prometheus:
        print(exposition(usage["rows"], arguments.by), end="")
    elif arguments.csv:
        print_csv(_names(arguments.by) + COLUMNS, [_cells(row, arguments.by) for row in usage["rows"]])
    else:
        print_table(table(usage["rows"], arguments.by))
        print(budget_line(budget))
    return 0


def exposition(rows: list[dict[str, Any]], by: str) -> str:
    """The text format of Prometheus; gauges, since a rolling window also shrinks. BadRequest by what has no bound."""
    if by not in ("person", "profile", "kernelspec"):
        raise BadRequest(f"--prometheus --by {by} would make a series of each", next_step="--by person, profile or kernelspec")
    registry, labels = CollectorRegistry(), list(_names(by))
    for name, what, column, factor in GAUGES:
        gauge = Gauge(name, what, labels, registry=registry)
        for row in rows:
            gauge.labels(*(str(plain_cell(cell)) for cell in _cells(row, by)[: len(labels)])).set(row[column] * factor)
    return generate_latest(registry).decode()


def table(rows: list[dict[str, Any]], by: str) -> list[tuple[str, ...]]:
    """Lines of text, a head first; names show no control character."""
    lines = [tuple(f"{cell:.2f}" if isinstance(cell, float) else str(plain_cell(cell)) for cell in _cells(row, by)) for row in rows]
    return [_names(by) + HEAD, *lines] if lines else [_names(by) + HEAD, ("(nothing yet)", *[""] * (len(_names(by)) + 3))]


def _names(by: str) -> tuple[str, ...]:
    return ("person",) if by == "person" else ("person", by)


def _cells(row: dict[str, Any], by: str) -> list[Any]:
    return [*([row["person"]] if by == "person" else [row["person"], row["key"] or "(none)"]), *(row[name] for name in COLUMNS)]


def _since(text: str) -> int:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not HOUR_S <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError("must be between 1h and ten years")
    return seconds


def budget_line(budget: dict[str, Any]) -> str:
    """The budget in one sentence, with its rule."""
    if not budget["window"]:
        return "no budget is set"
    names = {"cpu_hours": "cpu-hours", "memory_gib_hours": "memory GiB-hours", "gpu_hours": "GPU-hours"}
    parts = [f"{budget[key]['used']:.2f} of {budget[key]['limit']:g} {name}" for key, name in names.items() if budget[key]["limit"] is not None]
    whose = f", everyone of {budget['shared_by']} together" if budget["shared_by"] else ""
    return f"budget: {', '.join(parts)} in the {budget['window']}{whose} ({budget['rule']})"
