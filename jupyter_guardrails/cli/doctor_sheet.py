"""`doctor --bundle`: a sheet about one machine for whoever must judge it. Promise, how it was tried, result, date; no names, no secrets."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.cli import doctor_host
from jupyter_guardrails.sandbox.probe_trials import NOT_HELD, try_all

INTRODUCTION = (
    "Each line was tried when this sheet was made: in a sandbox as kernels have it, with a twin that must be allowed there, and once more without "
    "a sandbox, where the attempt must work."
)


def run(arguments: argparse.Namespace) -> int:
    """0 no promise was found broken; 1 one that the sandbox reported as held was."""
    sheet = examine(datetime.now(UTC))
    text = json.dumps(sheet, indent=1) if arguments.json else "\n".join(markdown(sheet))
    _write(text + "\n", arguments.bundle)
    return 1 if sheet["broken"] else 0


def examine(now: datetime) -> dict[str, Any]:
    """Facts about the machine, what the sandbox reports, and each trial's result; `broken`: reported as held, and yet something went through."""
    found = doctor_host.facts()
    report, results = try_all()
    trials = [asdict(result.trial) | {"verdict": result.verdict, "detail": result.detail} for result in results]
    guarantees = [asdict(g) | {"setting": "" if g.held else doctor_host.setting_for(g.name, report.layers, found)} for g in report.guarantees]
    held = report.held()
    broken = [t["name"] for t in trials if t["guarantee"] in held and t["verdict"] == NOT_HELD]
    facts = found | {"landlock": report.layers["landlock"], "user_namespaces": report.layers["user_namespace"] or "they work"}
    return {"made": now.isoformat(timespec="seconds"), "host": facts, "guarantees": guarantees, "trials": trials, "broken": broken}


def markdown(sheet: dict[str, Any]) -> Iterator[str]:
    """The sheet, line by line."""
    yield from ("# What holds on this machine", "", f"Made {sheet['made']}. {INTRODUCTION}", "")
    yield from ("## The machine", "", "| | |", "| --- | --- |")
    yield from (f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in sheet["host"].items())
    yield from ("", "## Guarantees", "", "| guarantee | held | how | setting that would change it |", "| --- | --- | --- | --- |")
    for row in sheet["guarantees"]:
        yield f"| {row['name']} | {'yes' if row['held'] else '**no**'} | {_cell(row['how'])} | {_cell(row['setting'] or row['next_step'])} |"
    yield from ("", "## Tried", "", "| guarantee | promise | how it was tried | result | date |", "| --- | --- | --- | --- | --- |")
    for row in sheet["trials"]:
        result = f"{row['verdict']}: {row['detail']}"
        yield f"| {row['guarantee']} | {row['promise']} | {_cell(row['tried'])} | {_cell(result)} | {sheet['made'][:10]} |"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name} = {'-' if inner is None else inner}" for name, inner in value.items())
    text = ", ".join(value) if isinstance(value, list) else "-" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _write(text: str, where: str) -> None:
    """Into a new file, or to the terminal for "-"."""
    if where == "-":
        sys.stdout.write(text)
        return
    try:
        with Path(where).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise errors.BadRequest(
            f"{where}: {error.strerror}", next_step="name a file that doesn't exist yet, in a folder that you may write"
        ) from error
    print(f"wrote {where}")
