"""`jupyter guardrails doctor`: what holds on this machine, what doesn't, and what would change that."""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.policy import Policy, load
from jupyter_guardrails.sandbox.probe import probe_host


def add_parser(subparsers: Any) -> None:
    """`doctor [--json]`."""
    parser = subparsers.add_parser("doctor", help="what is enforced on this machine, and what is not")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 all well; 2 the policy or the catalogue has mistakes; 3 the policy requires what this host can't give."""
    report = examine(settings_from(os.environ))
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(_lines(report)))
    missing = [g for g in report["guarantees"] if g["required"] and not g["held"]]
    return 3 if missing else 2 if report["problems"] else 0


def examine(settings: Settings) -> dict[str, Any]:
    """Everything that doctor says, as plain values."""
    policy, problems = _policy(settings.policy_path)
    catalog = load_catalog(settings.catalog_path)
    required = policy.document.require if policy else ()
    return {
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
        "policy": str(settings.policy_path),
        "catalog": str(settings.catalog_path),
        "state": str(settings.state_dir),
        "self_chosen": settings.self_chosen,
        "guarantees": [asdict(g) | {"required": g.name in required} for g in probe_host()],
        "problems": [*problems, *(str(problem) for problem in catalog.problems)],
        "warnings": _tampering(settings),
    }


def _policy(path: Path) -> tuple[Policy | None, list[str]]:
    try:
        return load(path), []
    except errors.PolicyError as error:
        return None, [str(error)]


def _tampering(settings: Settings) -> list[str]:
    """What the governed person can change outside the sandbox."""
    named = {"policy": settings.policy_path, "catalogue": settings.catalog_path, "state directory": settings.state_dir}
    return [
        f"you can change the {what} {path} outside a sandbox: it is advice to yourself, not a boundary"
        for what, path in named.items()
        if os.access(path, os.W_OK)
    ]


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [f"host     {report['host']}", f"policy   {report['policy']}{' (self-chosen)' if report['self_chosen'] else ''}"]
    lines += [f"data     {report['catalog']}", f"state    {report['state']}", ""]
    for guarantee in report["guarantees"]:
        mark = "held    " if guarantee["held"] else "NOT HELD"
        lines.append(f"{mark} {guarantee['name']}{' (required)' if guarantee['required'] else ''}: {guarantee['how']}")
        lines += [f"         next: {guarantee['next_step']}"] if guarantee["next_step"] and not guarantee["held"] else []
    lines += ["", *(f"warning: {warning}" for warning in report["warnings"])]
    return [*lines, *(f"problem: {problem}" for problem in report["problems"])]
