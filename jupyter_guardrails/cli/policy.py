"""`jupyter guardrails policy check|explain|test|schema`: an admin's tools for the policy file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.control.interface import find_settings
from jupyter_guardrails.errors import NotFound, PolicyError
from jupyter_guardrails.policy import Decision, EffectivePolicy, Policy, Resource, RuleRef, decide, effective, load
from jupyter_guardrails.policy.explain import Considered, Line, considered, lines
from jupyter_guardrails.policy.load import read_model
from jupyter_guardrails.policy.reference import json_schema, markdown
from jupyter_guardrails.policy.table import Failure, Find, Table, run_table
from jupyter_guardrails.policy.verdict import ACTIONS

WIDEST_TEXT = 72


def add_parser(subparsers: Any) -> None:
    """Adds `policy` with its subcommands; each sets `run`, a function of its arguments that returns the exit code."""
    parser = subparsers.add_parser("policy", help="check, explain and test the policy file")
    commands = parser.add_subparsers(dest="policy_command", required=True, metavar="COMMAND")
    check = _command(commands, "check", run_check, "every mistake of a policy at once, with file:line:column; exit 2 if there is one")
    check.add_argument("policy", nargs="?", type=Path, metavar="FILE|DIR", help="the policy (default: the one in force here)")
    _add_explain(commands)
    tests = _command(commands, "test", run_tests, "run tables of who, action, resource, expect; exit 1 if a row fails")
    tests.add_argument("files", nargs="+", type=Path, metavar="FILE")
    schema = _command(commands, "schema", run_schema, "the JSON Schema of the policy file, for editors")
    schema.add_argument("--markdown", action="store_true", help="the table of every key instead")


def _add_explain(commands: Any) -> None:
    explain = _command(commands, "explain", run_explain, "what the policy means for a person, with rules; exit 1 if a question is refused")
    explain.add_argument("--user", required=True, metavar="NAME")
    explain.add_argument("--group", action="append", metavar="NAME", help="a group of the person, instead of those in the file; may be repeated")
    explain.add_argument("--action", choices=tuple(ACTIONS), help="one question instead of everything")
    explain.add_argument("--resource", metavar="NAME", help="a dataset, host:port, profile, submission or package")
    explain.add_argument("--policy", type=Path, metavar="FILE|DIR", help="the policy (default: the one in force here)")
    explain.add_argument("--catalog", type=Path, metavar="DIR", help="contracts that tell datasets' labels (default: the ones in force here)")


def _command(commands: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run, parser=parser)
    return parser


def run_check(arguments: argparse.Namespace) -> int:
    """`policy check`: 0 and a summary, or 2 and every mistake."""
    path = arguments.policy or _settings_paths()[0]
    try:
        policy = load(path)
    except PolicyError as error:
        if not arguments.json:
            raise
        _print_json({"ok": False, "problems": [asdict(problem) for problem in error.problems], "next_step": error.next_step})
        return error.exit_code
    document = policy.document
    counts = {"rules": len(document.rules), "profiles": len(document.profiles), "groups": len(document.groups)}
    if arguments.json:
        _print_json({"ok": True, "problems": [], "path": str(path), "digest": policy.digest, "mode": policy.mode, **counts})
    else:
        print(f"{path}: no mistakes. {', '.join(f'{count} {name}' for name, count in counts.items())}; mode {policy.mode}; digest {policy.digest}")
    return 0


def run_explain(arguments: argparse.Namespace) -> int:
    """`policy explain`: 0, or 1 when the one question asked is answered with no."""
    if (arguments.action is None) != (arguments.resource is None):
        arguments.parser.error("--action and --resource belong together")
    policy_path, catalog_path = _settings_paths()
    policy = load(arguments.policy or policy_path)
    person = effective(policy, arguments.user, arguments.group)
    if arguments.action is None:
        _show_everything(person, policy, as_json=arguments.json)
        return 0
    resource = _labelled(arguments.action, arguments.resource, arguments.catalog or (None if arguments.policy else catalog_path))
    decision = decide(person, arguments.action, resource, datetime.now(UTC))
    chain = considered(person, arguments.action, resource)
    if arguments.json:
        _print_json({"decision": _decision_json(decision), "considered": [_considered_json(entry) for entry in chain]})
    else:
        _show_decision(person, arguments.action, resource, decision, chain)
    return 0 if decision.allowed else 1


def run_tests(arguments: argparse.Namespace) -> int:
    """`policy test`: 0, or 1 and a table of the rows that fail."""
    results = [(file, *_run_file(file)) for file in arguments.files]
    failed = sum(len(failures) for _, _, failures in results)
    total = sum(count for _, count, _ in results)
    if arguments.json:
        _print_json({"ok": not failed, "rows": total, "failures": [failure for _, _, failures in results for failure in failures]})
    else:
        for _, _, failures in results:
            _print_table([(failure["place"], failure["question"], failure["expected"], failure["got"], failure["because"]) for failure in failures])
        print(f"{total - failed} of {total} rows as expected")
    return 1 if failed else 0


def run_schema(arguments: argparse.Namespace) -> int:
    """`policy schema`: prints it."""
    if arguments.markdown:
        print(markdown(), end="")
    else:
        _print_json(json_schema())
    return 0


def run_file(file: Path) -> tuple[Table, list[tuple[int, Failure]]]:
    """A table of tests and its failing rows with their lines; paths in it are relative to it."""
    table, root = read_model(file, Table)
    policy = load(file.parent / table.policy)
    failures = run_table(table, policy, _finder(file.parent / table.catalog if table.catalog else None), datetime.now(UTC))
    rows = root.entries["tests"][1].items
    return table, [(rows[failure.position].line, failure) for failure in failures]


def _run_file(file: Path) -> tuple[int, list[dict[str, str]]]:
    table, failures = run_file(file)
    return len(table.tests), [{"place": f"{file}:{line}", **_failure_json(failure)} for line, failure in failures]


def _failure_json(failure: Failure) -> dict[str, str]:
    return {"question": failure.question, "expected": failure.expected, "got": failure.got, "because": failure.because}


def _settings_paths() -> tuple[Path, Path]:
    """The policy and the catalogue that are in force here."""
    settings = find_settings([], os.environ, home=Path.home())
    return settings.policy_path, settings.catalog_path


def _finder(catalog: Path | None) -> Find:
    """How a dataset's labels are found; without a catalogue a dataset has none."""
    return Resource if catalog is None else load_catalog(catalog).resource


def _labelled(action: str, name: str, catalog: Path | None) -> Resource:
    """The resource of a question; a dataset that the catalogue doesn't have is an error, as its labels could change the answer."""
    if not action.startswith("data.") or catalog is None or not catalog.is_dir():
        return Resource(name)
    found = load_catalog(catalog).resource(name)
    if found is None:
        raise NotFound(f"the catalogue {catalog} has no usable contract of {name}", next_step="check its contract: `jupyter guardrails data check`")
    return found


def _show_everything(person: EffectivePolicy, policy: Policy, *, as_json: bool) -> None:
    found = lines(person)
    if as_json:
        _print_json({"person": person.person, "groups": person.groups, "digest": person.digest, "values": [_line_json(line) for line in found]})
        return
    print(f"{person.person} (groups: {', '.join(person.groups) or 'none'}) under {policy.path}, digest {person.digest[:12]}\n")
    _print_table([(line.key, line.text, str(line.rule)) for line in found])


def _show_decision(person: EffectivePolicy, action: str, resource: Resource, decision: Decision, chain: Sequence[Considered]) -> None:
    print(f"{'ALLOWED' if decision.allowed else 'REFUSED'}  {person.person}  {action}  {resource.name}")
    mode = f"{decision.mode} (the refusal is not carried out)" if not decision.allowed and not decision.blocks else ""
    bound = decision.obligations
    said = {"because": decision.reason, "rule": str(decision.rule), "next": decision.next_step, "mode": mode}
    said |= {"masks": ", ".join(f"{column}: {kind}" for column, kind in bound.masks.items()), "rows": bound.row_filter}
    _print_table([(f"  {key}", text) for key, text in said.items() if text])
    if chain:
        print("\nconsidered, in this order:")
        _print_table([("  matches" if entry.matches else "  -", entry.effect, entry.entry, str(entry.rule)) for entry in chain])


def _decision_json(decision: Decision) -> dict[str, Any]:
    return {**asdict(decision), "rule": _rule_json(decision.rule)}


def _considered_json(entry: Considered) -> dict[str, Any]:
    return {**asdict(entry), "rule": _rule_json(entry.rule)}


def _line_json(line: Line) -> dict[str, Any]:
    value = line.value if isinstance(line.value, str | int | float | bool) else line.text
    return {"key": line.key, "value": value, "text": line.text, "rule": _rule_json(line.rule)}


def _rule_json(rule: RuleRef) -> dict[str, Any]:
    return {"file": rule.file, "line": rule.line, "name": rule.name, "text": str(rule)}


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; a cell that is wider than the widest column pushes only its own line."""
    if not rows:
        return
    widths = [min(max(len(row[column]) for row in rows), WIDEST_TEXT) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=list)
    print()
