"""`jupyter guardrails policy check|explain|test|diff|simulate|suggest|schema`: an admin's tools for the policy file."""

from __future__ import annotations

import argparse
import contextlib
import grp
import pwd
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.cli import policy_diff, policy_explain, policy_simulate, policy_suggest
from jupyter_guardrails.cli.policy_explain import places
from jupyter_guardrails.cli.printing import print_json, print_table
from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy import Policy, Resource, load
from jupyter_guardrails.policy.doubts import World, doubts
from jupyter_guardrails.policy.load import read_model, read_policy
from jupyter_guardrails.policy.reference import json_schema, markdown
from jupyter_guardrails.policy.table import Failure, Find, Table, run_table


def add_parser(subparsers: Any) -> None:
    """Adds `policy` with its subcommands; each sets `run`, a function of its arguments that returns the exit code."""
    parser = subparsers.add_parser("policy", help="check, explain, test and compare policy files")
    commands = parser.add_subparsers(dest="policy_command", required=True, metavar="COMMAND")
    check = _command(commands, "check", run_check, "every mistake of a policy at once, with file:line:column; exit 2 if there is one")
    check.add_argument("policy", nargs="?", type=Path, metavar="FILE|DIR", help="the policy (default: the one in force here)")
    check.add_argument("--catalog", type=Path, metavar="DIR", help="contracts to compare with (default, for the policy in force: the ones in force)")
    check.add_argument("--strict", action="store_true", help="exit 1 if there are doubts")
    explain = _command(commands, "explain", policy_explain.run, "what the policy means for a person, with rules; exit 1 if a question is refused")
    policy_explain.add_arguments(explain)
    tests = _command(commands, "test", run_tests, "run tables of who, action, resource, expect; exit 1 if a row fails")
    tests.add_argument("files", nargs="+", type=Path, metavar="FILE")
    policy_diff.add_arguments(_command(commands, "diff", policy_diff.run, "who gains what and who loses what between two policies"))
    simulate = "what a policy would have meant for what people really did, from the records (admins)"
    policy_simulate.add_arguments(_command(commands, "simulate", policy_simulate.run, simulate))
    suggest = "rules for what was refused or would have been, as YAML with evidence (admins)"
    policy_suggest.add_arguments(_command(commands, "suggest", policy_suggest.run, suggest))
    schema = _command(commands, "schema", run_schema, "the JSON Schema of the policy file, for editors")
    schema.add_argument("--markdown", action="store_true", help="the table of every key instead")


def _command(commands: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run, parser=parser)
    return parser


def run_check(arguments: argparse.Namespace) -> int:
    """`policy check`: 0 and a summary with what is doubtful, or 2 and every mistake."""
    path, catalog = places(arguments)
    try:
        policy, root, _ = read_policy(path)
    except PolicyError as error:
        if not arguments.json:
            raise
        print_json({"ok": False, "problems": [asdict(problem) for problem in error.problems], "next_step": error.next_step})
        return error.exit_code
    doubtful = doubts(root, policy, World(_is(pwd.getpwnam), _is(grp.getgrnam), _resources(catalog)))
    _show_check(policy, doubtful, as_json=arguments.json)
    return 1 if doubtful and arguments.strict else 0


def _is(lookup: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether this machine's directory knows a name."""

    def known(name: str) -> bool:
        with contextlib.suppress(KeyError, ValueError):
            return lookup(name) is not None
        return False

    return known


def _resources(catalog: Path | None) -> Sequence[Resource] | None:
    """The labels of every usable contract; None without a catalogue, or with an empty one: there is nothing to compare with."""
    return [contract.resource for contract in load_catalog(catalog).contracts.values()] or None if catalog is not None else None


def _show_check(policy: Policy, doubtful: Sequence[Problem], *, as_json: bool) -> None:
    document = policy.document
    counts = {"rules": len(document.rules), "profiles": len(document.profiles), "groups": len(document.groups)}
    if as_json:
        said = {"path": str(policy.path), "digest": policy.digest, "mode": policy.mode}
        print_json({"ok": True, "problems": [], "doubts": [asdict(problem) for problem in doubtful], **said, **counts})
        return
    for problem in doubtful:
        print(f"doubtful: {problem}")
    found = f"no mistakes{f', {len(doubtful)} doubtful' if doubtful else ''}"
    print(f"{policy.path}: {found}. {', '.join(f'{count} {name}' for name, count in counts.items())}; mode {policy.mode}; digest {policy.digest}")


def run_tests(arguments: argparse.Namespace) -> int:
    """`policy test`: 0, or 1 and a table of the rows that fail."""
    results = [(file, *_run_file(file)) for file in arguments.files]
    failed = sum(len(failures) for _, _, failures in results)
    total = sum(count for _, count, _ in results)
    if arguments.json:
        print_json({"ok": not failed, "rows": total, "failures": [failure for _, _, failures in results for failure in failures]})
    else:
        for _, _, failures in results:
            print_table([(failure["place"], failure["question"], failure["expected"], failure["got"], failure["because"]) for failure in failures])
        print(f"{total - failed} of {total} rows as expected")
    return 1 if failed else 0


def run_schema(arguments: argparse.Namespace) -> int:
    """`policy schema`: prints it."""
    if arguments.markdown:
        print(markdown(), end="")
    else:
        print_json(json_schema())
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


def _finder(catalog: Path | None) -> Find:
    """How a dataset's labels are found; without a catalogue a dataset has none."""
    return Resource if catalog is None else load_catalog(catalog).resource
