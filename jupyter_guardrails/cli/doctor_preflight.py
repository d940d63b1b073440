"""`doctor --preflight`: for the build of an image. What would hold for an ordinary account, whoever builds; exit code 3 if too little."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.cli import doctor_host
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.policy import load
from jupyter_guardrails.sandbox.probe import for_another_account, probe_layers
from jupyter_guardrails.sandbox.spec import GUARANTEES

CLOSED_TO_OTHERS = {"kernel.unprivileged_userns_clone": "0", "kernel.apparmor_restrict_unprivileged_userns": "1"}
LATER = "The machine that builds is not the one that runs: run `jupyter guardrails doctor` there, as the account of the server."


def run(arguments: argparse.Namespace) -> int:
    """0 all that is required would hold; 2 the policy has mistakes, or an unknown name; 3 something is missing."""
    required = _required(arguments.require, settings_from(os.environ).policy_path)
    report = examine(required)
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(_lines(report)))
    return 3 if report["missing"] else 0


def examine(required: tuple[str, ...]) -> dict[str, Any]:
    """What would hold for an ordinary account on this kernel, and which of `required` would not."""
    found, probed = doctor_host.facts(), probe_layers()
    layers = as_ordinary(probed.layers, found)
    judged = for_another_account(layers)
    rows = [asdict(g) | {"required": g.name in required, "setting": _setting(g.held, g.name, layers, found)} for g in judged]
    return {"host": found, "guarantees": rows, "missing": [row["name"] for row in rows if row["required"] and not row["held"]], "note": LATER}


def as_ordinary(layers: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The layers, without the user namespaces that only root gets where a setting of this machine keeps them from everybody else. Pure."""
    closed = [name for name, value in CLOSED_TO_OTHERS.items() if found["settings"][name] == value]
    if not layers or not closed or layers["user_namespace"]:
        return {**layers, "uid": None} if layers else {}
    why = f"EPERM: {closed[0]} keeps them from ordinary accounts"
    return {**layers, "uid": None, "user_namespace": why, "network_namespace": why}


def _setting(held: bool, name: str, layers: dict[str, Any], found: dict[str, Any]) -> str:
    return "" if held else doctor_host.setting_for(name, layers, found)


def _required(asked: str | None, policy_path: Path) -> tuple[str, ...]:
    """What was asked for, else what the policy requires, else files and network."""
    if asked is None:
        return load(policy_path).document.require if policy_path.exists() else ("files", "network")
    names = tuple(name.strip() for name in asked.split(",") if name.strip())
    unknown = [name for name in names if name not in GUARANTEES]
    if unknown or not names:
        raise errors.BadRequest(f"there is no guarantee called {', '.join(unknown) or asked!r}", next_step=f"--require={','.join(GUARANTEES)}")
    return names


def _lines(report: dict[str, Any]) -> list[str]:
    lines = []
    for row in report["guarantees"]:
        lines.append(f"{'would hold' if row['held'] else 'WOULD NOT '} {row['name']}{' (required)' if row['required'] else ''}: {row['how']}")
        if not row["held"]:
            lines.append(f"           setting: {row['setting'] or row['next_step']}")
    return [*lines, f"missing: {', '.join(report['missing']) or 'nothing'}", report["note"]]
