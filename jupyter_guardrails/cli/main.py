"""`jupyter guardrails …`: finds the subcommand, prints errors as sentences, turns them into exit codes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from jupyter_guardrails import __version__, errors
from jupyter_guardrails.cli import control, data, demo, doctor, exec_command, job, lab, policy, submit, usage

COMMANDS = (lab, control, demo, doctor, exec_command, policy, submit, job, data, usage)
EXIT_CODES = "exit codes: 0 fine, 1 refused or failed check, 2 usage, 3 this host cannot enforce what the policy requires"


def build_parser() -> argparse.ArgumentParser:
    """The parser of every subcommand; each adds itself and sets `run`, a function of its arguments that returns the exit code."""
    parser = argparse.ArgumentParser(prog="jupyter guardrails", description=__doc__.partition(":")[2].strip(), epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; called by the `jupyter-guardrails` script and `python -m jupyter_guardrails`."""
    arguments = build_parser().parse_args(argv)
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
