"""`jupyter guardrails request package NAME`: ask for what the policy doesn't allow yet."""

from __future__ import annotations

import argparse
import os
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.cli.commands import add_command, say
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.package_requests import PackageAsk
from jupyter_guardrails.errors import BadRequest


def add_parser(subparsers: Any) -> None:
    """`request package NAME --purpose TEXT [--days N]`."""
    commands = subparsers.add_parser("request", help="ask for a Python package that no job may hold yet").add_subparsers(
        dest="request_command", required=True, metavar="COMMAND"
    )
    package = add_command(commands, "package", run_package, "ask IT for a Python package that the policy's list doesn't name")
    package.add_argument("name", help="the package's name alone, like polars")
    package.add_argument("--purpose", required=True, help="what for: whoever decides reads it")
    package.add_argument("--days", type=int, default=90, metavar="N", help="for how long, at most 365 (default: 90)")


def run_package(arguments: argparse.Namespace) -> int:
    """Say what was asked for, or why it can't be."""
    try:
        wanted = PackageAsk(package=arguments.name, purpose=arguments.purpose, days=arguments.days)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][0]}: {item['msg'][0].lower()}{item['msg'][1:]}" for item in error.errors())
        raise BadRequest(wrong, next_step="jupyter guardrails request package NAME --purpose '…' --days 90") from error
    with connected(os.environ) as client:
        asked = client.call(wanted)
    said = f"{asked['id']}: {line(asked['package'])} is asked for, for {asked['days']} days; an admin decides"
    return say(asked, arguments, said, "`jupyter guardrails requests list` says what came of it")
