"""`jupyter guardrails …`: finds the subcommand, prints errors as sentences, turns them into exit codes."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import json
import sys
from collections.abc import Sequence

from jupyter_guardrails import __version__, errors

COMMANDS = {  # command -> module of this room that adds it
    "init": "init",
    "lab": "lab",
    "server": "lab",
    "control": "control",
    "demo": "demo",
    "doctor": "doctor",
    "exec": "exec_command",
    "policy": "policy",
    "submit": "submit",
    "job": "job",
    "data": "data",
    "usage": "usage",
    "backup": "backup",
    "restore": "backup",
    "suspend": "suspend",
    "break-glass": "break_glass",
    "request": "request",
    "requests": "requests",
    "audit": "audit",
}
EXIT_CODES = "exit codes: 0 fine, 1 refused or failed check, 2 usage, 3 this host cannot enforce what the policy requires"


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of one subcommand, or of all; each adds itself and sets `run`, a function of its arguments that returns the exit code."""
    parser = argparse.ArgumentParser(prog="jupyter guardrails", description=__doc__.partition(":")[2].strip(), epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in dict.fromkeys([COMMANDS[command]] if command in COMMANDS else COMMANDS.values()):
        module = importlib.import_module(f"jupyter_guardrails.cli.{name}")  # late: what the other commands need costs most of a second
        module.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; called by the `jupyter-guardrails` script and `python -m jupyter_guardrails`."""
    if argv is None:  # a process of our own
        gc.disable()
    words = sys.argv[1:] if argv is None else argv
    arguments = build_parser(next(iter(words), None)).parse_args(words)
    if argv is None:
        _keep_what_is_loaded()
    try:
        return int(arguments.run(arguments))
    except errors.GuardrailsError as error:
        if getattr(arguments, "json", False):
            print(json.dumps({"error": error.to_json()}))
        print(f"jupyter guardrails {arguments.command}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `… | head`
        return 1
    except KeyboardInterrupt:
        return 130


def _keep_what_is_loaded() -> None:
    """Modules are no garbage: to look for some among them took an eighth of the start, and a quarter of a short command's time at its end."""
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
