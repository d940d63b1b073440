"""`jupyter guardrails control`: the authority, in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control import activation, process
from jupyter_guardrails.control.interface import Settings, machine
from jupyter_guardrails.control.interface.own import service_only
from jupyter_guardrails.control.interface.settings import ADMIN_DIR, does_not_count
from jupyter_guardrails.errors import BadRequest, Refused

PLACES = {"policy": "policy_path", "catalog": "catalog_path", "state_dir": "state_dir", "socket": "control_socket"}


def add_parser(subparsers: Any) -> None:
    """`control`; `jupyter guardrails lab` starts one by itself."""
    parser = subparsers.add_parser("control", help="the authority that answers servers and this command line; `lab` starts its own")
    parser.add_argument("--service", action="store_true", help="for all accounts of this machine, as an account of its own (systemd starts it)")
    parser.add_argument("--policy", type=Path, help="the policy: a file or a folder of *.yaml")
    parser.add_argument("--catalog", type=Path, help="the folder of dataset contracts")
    parser.add_argument("--state-dir", type=Path, help="where records and keys are")
    parser.add_argument("--socket", type=Path, help="where to listen (default: control.sock in the state directory)")
    parser.add_argument("--as", dest="person", metavar="NAME", help="act as this person (demos: no boundary, and it says so)")
    parser.add_argument("--ready-fd", type=int, metavar="N", help="write one JSON line with socket and token here when ready")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this one ends")
    parser.add_argument("--json", action="store_true", help="errors as JSON on stdout as well")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="guardrails control: %(levelname)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = chosen_settings(arguments)
    check_kind(settings, as_service=arguments.service)
    for sentence in settings.ignored:
        logging.getLogger(__name__).warning("%s", sentence)
    how: dict[str, Any] = {"ready_fd": arguments.ready_fd, "die_with_parent": arguments.die_with_parent}
    return process.run(process.Options(settings, **how, lasting=settings.service))


def check_kind(settings: Settings, *, as_service: bool) -> None:
    """One control for a machine whose admin says so, each person's own elsewhere: never the one beside the other."""
    if settings.service and not as_service:
        raise service_only(settings)
    if as_service and not settings.service:
        next_step = f"say `control: service` in {ADMIN_DIR / machine.NAME}; without an admin's directory there is no service"
        raise BadRequest("this machine's settings name no service", next_step=next_step)
    if as_service:
        activation.refuse_root()


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """What the flags say, where nobody else decides; where the admin's directory exists, flags that say something else are named as ignored."""
    settings = settings_from(os.environ)
    given = {flag: getattr(arguments, flag).absolute() for flag in PLACES if getattr(arguments, flag) is not None}
    person = arguments.person or settings.person
    if settings.service and person:
        raise Refused("--as is for demos: this machine's control is a service, and knows people by their accounts", next_step="leave --as away")
    if not settings.self_chosen:
        others = [(flag, path) for flag, path in given.items() if path != getattr(settings, PLACES[flag])]
        sentences = [does_not_count(f"--{flag.replace('_', '-')}", path) for flag, path in others]
        return replace(settings, person=person, ignored=(*settings.ignored, *sentences))
    places: dict[str, Any] = {PLACES[flag]: path for flag, path in given.items()}
    if "state_dir" in places:
        places.setdefault("control_socket", places["state_dir"] / "control.sock")
    return replace(settings, person=person, **places)
