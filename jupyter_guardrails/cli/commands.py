"""What several commands take and answer alike: `--json`, a length of time, an answer in lines or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from jupyter_guardrails.cli.printing import line, print_json, print_table
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.quantities import parse_duration


def add_command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    """A command with `--json`; `text` says what it does."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    parser.set_defaults(run=run)
    return parser


def say(found: dict[str, Any], arguments: argparse.Namespace, *lines: str) -> int:
    """Print the answer as JSON where that was asked for, else these lines; exit code 0."""
    if arguments.json:
        print_json(found)
    else:
        print("\n".join(text for text in lines if text))
    return 0


def say_table(found: Any, arguments: argparse.Namespace, *, rows: Iterable[Sequence[str]], head: Sequence[str], empty: str) -> int:
    """The same for a table; `empty` where it has no rows."""
    shown = [tuple(map(line, row)) for row in rows]
    if arguments.json:
        print_json(found)
    else:
        print_table([head, *shown]) if shown else print(empty)
    return 0


def seconds(text: str, *, zero: bool = False) -> int:
    """`90s`, `1h` in seconds; BadRequest with what is wrong."""
    if zero and text in ("0", "0s"):
        return 0
    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadRequest(str(error), next_step="write it like 90s, 15m or 1h") from error
