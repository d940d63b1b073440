"""`jupyter guardrails demo`: a governed JupyterLab with data, policy and notebooks to try, or the same without a browser as a check."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.cli import demo_check
from jupyter_guardrails.cli.demo_server import allow_root
from jupyter_guardrails.cli.demo_setup import DemoFolder, set_up
from jupyter_guardrails.control.interface import find_settings
from jupyter_guardrails.control.interface.messages import Me
from jupyter_guardrails.control.interface.own import running_control

PEOPLE = {"ana": "scientist", "ben": "reviewer", "carol": "admin"}


def add_parser(subparsers: Any) -> None:
    """`demo`; what stands after `--` goes on to JupyterLab."""
    parser = subparsers.add_parser("demo", help="a governed JupyterLab with data, policy and notebooks to try")
    parser.add_argument("--dir", default=".demo", type=Path, help="the demo's folder, made at the first start (default: %(default)s)")
    parser.add_argument("--as", dest="person", choices=sorted(PEOPLE), default="ana", help="ana is a scientist, ben a reviewer, carol the admin")
    parser.add_argument("--port", type=int, default=None, help="default: the first free one from 8888 on")
    parser.add_argument("--check", action="store_true", help="run the main job without a browser; the last line is a JSON report")
    parser.add_argument("--set-up-only", action="store_true", help="make the folder and stop")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument("further", nargs="*", metavar="-- ARGUMENT", help="further arguments of JupyterLab")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Set up, then become the governed JupyterLab (never returns) or check."""
    settings = find_settings([], os.environ, home=Path.home())
    if not settings.self_chosen:
        message = f"this machine has an admin's policy, {settings.policy_path}: the demo's people and policy would not count"
        raise errors.Refused(message, next_step="try it on a machine of your own; your limits here: jupyter guardrails policy explain --user YOU")
    folder = set_up(arguments.dir, say=_say)
    if arguments.set_up_only:
        print(folder.root)
        return 0
    if arguments.check:
        report = demo_check.check(folder, say=_say)
        print(json.dumps(report))
        return 0
    environment = {**os.environ, **folder.environment(person=arguments.person)}
    if allow_root():
        _say("you are root: files of root under folders that kernels may read stay readable; an ordinary account is better")
    _refuse_two_people(folder, environment, arguments.person)
    _say(f"you are {arguments.person}, {PEOPLE[arguments.person]}; the policy to play with is {folder.root / 'policy.yaml'}")
    command = _lab_command(folder, arguments)
    os.execve(command[0], command, environment)


def _lab_command(folder: DemoFolder, arguments: argparse.Namespace) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "jupyter_guardrails",
        "lab",
        f"--ServerApp.root_dir={folder.workspace}",
        "--LabApp.default_url=/lab/tree/tour.ipynb",
    ]
    command += [f"--port={arguments.port}"] if arguments.port else []
    command += ["--no-browser"] if arguments.no_browser else []
    return [*command, *arguments.further, *allow_root()]


def _refuse_two_people(folder: DemoFolder, environment: dict[str, str], person: str) -> None:
    """One control serves one state folder, as one person: a second start must not become somebody else silently."""
    control = running_control(find_settings([], environment, home=Path.home()))
    other = control.call(Me())["person"] if control else person
    if other != person:
        raise errors.Conflict(
            f"the demo in {folder.root} runs as {other} already", next_step=f"stop it first, or start {person}'s with --dir .demo-{person}"
        )


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)
