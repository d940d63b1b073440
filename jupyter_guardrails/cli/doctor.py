"""`jupyter guardrails doctor`: what holds on this machine, who could change that, and what would make it hold more."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.catalog.contracts import load_catalog
from jupyter_guardrails.cli import (
    doctor_audit,
    doctor_credentials,
    doctor_data,
    doctor_host,
    doctor_notices,
    doctor_preflight,
    doctor_sheet,
    doctor_state,
    tampering,
)
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.interface.messages import Me
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.settings import ADMIN_DIR
from jupyter_guardrails.policy import Policy, load
from jupyter_guardrails.sandbox.permissions import Account, this_account
from jupyter_guardrails.sandbox.probe import probe_layers

DIGEST_DIGITS = 12


def add_parser(subparsers: Any) -> None:
    """`doctor [--json] [--preflight [--require NAMES] | --bundle [FILE] | --notices]`."""
    parser = subparsers.add_parser("doctor", help="what is enforced on this machine, what is not, and who could change it")
    parser.add_argument("--json", action="store_true")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--preflight", action="store_true", help="for the build of an image: exit code 3 where what is required would not hold")
    kind.add_argument("--bundle", nargs="?", const="-", metavar="FILE", help="a sheet of live checks, in Markdown (default: to the terminal)")
    kind.add_argument("--notices", action="store_true", help="whether webhook and mail server take connections now (admins; asks control)")
    parser.add_argument("--require", metavar="NAMES", help="with --preflight: files,network,… instead of what the policy requires")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 all well; 2 the policy or the catalogue has mistakes; 3 the policy requires what this host can't give."""
    if arguments.bundle is not None:
        return doctor_sheet.run(arguments)
    if arguments.notices:
        return doctor_notices.run(arguments)
    if arguments.preflight:
        return doctor_preflight.run(arguments)
    if arguments.require is not None:
        raise errors.BadRequest("--require goes with --preflight", next_step="jupyter guardrails doctor --preflight --require=files,network")
    report = examine(settings_from(os.environ), this_account())
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(_lines(report)))
    missing = [g for g in report["guarantees"] if g["required"] and not g["held"]]
    return 3 if missing else 2 if report["problems"] else 0


def examine(settings: Settings, account: Account) -> dict[str, Any]:
    """Everything that doctor says, as plain values; `account` is whose changes it warns of."""
    policy, problems = _policy(settings.policy_path)
    catalog = load_catalog(settings.catalog_path)
    required = policy.document.require if policy else ()
    warnings = tampering.warnings(settings, account)
    sinks = doctor_audit.sinks(settings)
    secrets = doctor_credentials.look(settings)
    return {
        "host": f"{platform.system()} {platform.release()} {platform.machine()}",
        "policy": str(settings.policy_path),
        "policy_in_force": {"digest": policy.digest, "mode": str(policy.mode), "rules": len(policy.document.rules)} if policy else None,
        "catalog": str(settings.catalog_path),
        "credentials": secrets,
        "state": str(settings.state_dir),
        "state_free_bytes": doctor_state.free_bytes(settings.state_dir),
        "self_chosen": settings.self_chosen,
        "control": {"mode": "service" if settings.service else "own", "socket": str(settings.control_socket), "problem": _away(settings)},
        "settings": {"decided_by": _decided_by(settings), "ignored": list(settings.ignored)},
        "account": str(account),
        "audit": sinks,
        "data": doctor_data.advisory(catalog, account, settings),
        "guarantees": _guarantees(required),
        "warnings": [asdict(warning) for warning in warnings],
        "boundary": tampering.boundary(settings, account, warnings),
        "problems": [*problems, *secrets["problems"], *doctor_audit.problems(sinks), *(str(problem) for problem in catalog.problems)],
    }


def _guarantees(required: Iterable[str]) -> list[dict[str, Any]]:
    """What holds, in words; for what doesn't, the one setting that would change it here."""
    probed, found = probe_layers(), doctor_host.facts()
    settings = {g.name: "" if g.held else doctor_host.setting_for(g.name, probed.layers, found) for g in probed.guarantees}
    return [asdict(g) | {"required": g.name in required, "setting": settings[g.name]} for g in probed.guarantees]


def _policy(path: Path) -> tuple[Policy | None, list[str]]:
    try:
        return load(path), []
    except errors.PolicyError as error:
        return None, [str(error)]


def _away(settings: Settings) -> str:
    """Why a service doesn't answer; empty when it does, or where everyone starts their own control."""
    client = running_control(settings) if settings.service else None
    if client is None:
        return ""
    try:
        client.call(Me())
    except errors.GuardrailsError as error:
        return str(error)
    return ""


def _decided_by(settings: Settings) -> str:
    if not settings.self_chosen:
        return str(ADMIN_DIR)
    return f"{', '.join(settings.chosen)} and the built-in places" if settings.chosen else "the built-in places"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield from _places(report)
    yield ""
    for guarantee in report["guarantees"]:
        mark = "held    " if guarantee["held"] else "NOT HELD"
        yield f"{mark} {guarantee['name']}{' (required)' if guarantee['required'] else ''}: {guarantee['how']}"
        if guarantee["next_step"] and not guarantee["held"]:
            yield f"         next: {guarantee['setting'] or guarantee['next_step']}"
    yield from ("", *_warnings(report), report["boundary"])
    yield from ("", *(f"problem: {problem}" for problem in report["problems"])) if report["problems"] else ()


def _places(report: dict[str, Any]) -> Iterator[str]:
    """Which policy is in force here, and who decided that."""
    policy = report["policy_in_force"]
    state = f"mode {policy['mode']}, rules: {policy['rules']}, digest {policy['digest'][:DIGEST_DIGITS]}" if policy else "none in force, see below"
    yield f"host       {report['host']}"
    yield f"policy     {report['policy']}"
    yield f"           {'self-chosen policy, ' if report['self_chosen'] else ''}{state}"
    if policy and policy["mode"] != "enforce":
        yield "           files, network, data and numbers of kernels are recorded and not refused, unless a rule says `mode: enforce`"
    yield f"catalogue  {report['catalog']}"
    yield from map(_printable, doctor_credentials.lines(report["credentials"]))
    yield from map(_printable, doctor_state.lines(report["state"], report["state_free_bytes"]))
    service = report["control"]["mode"] == "service"
    yield f"control    {'a service of this machine, at ' + report['control']['socket'] if service else 'your own, started with what needs it'}"
    yield from (f"           {line}" for line in report["control"]["problem"].splitlines())
    yield from map(_printable, doctor_audit.lines(report["audit"]))
    yield from map(_printable, doctor_data.lines(report["data"], report["account"]))
    yield f"settings   from {report['settings']['decided_by']}"
    yield from (f"ignored    {sentence}" for sentence in report["settings"]["ignored"])


def _warnings(report: dict[str, Any]) -> Iterator[str]:
    """What can be changed, a line each; with what mends it where somebody decides for others."""
    if report["warnings"]:
        yield f"What {report['account']} can change outside a sandbox:"
    for warning in report["warnings"]:
        yield _printable(f"  {warning['what']:22}{warning['path']}: {warning['how']}")
        if not report["self_chosen"]:
            yield _printable(f"  {'':22}{'' if warning['what'] == tampering.STATE else 'next: '}{warning['next_step']}")


def _printable(text: str) -> str:
    """Names of files are other people's to choose: nothing in them reaches the terminal but what it shows."""
    return "".join(character if character.isprintable() else "?" for character in text)
