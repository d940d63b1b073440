"""Control's answer about the past, for `policy simulate` and `policy suggest`."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from jupyter_guardrails.cli.commands import seconds
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.control.interface.oversight import DecisionsPast
from jupyter_guardrails.policy.past import Fact, Groups, facts_from


@dataclass(frozen=True, slots=True)
class Past:
    """Facts since a moment, people's groups of today, and how many more there would have been."""

    facts: list[Fact]
    groups: Groups
    since: str
    left_out: int


def add_since(parser: argparse.ArgumentParser, default: str) -> None:
    """`--since 30d`."""
    parser.add_argument("--since", default=default, metavar="TIME", help=f"how far back (default: {default})")


def ask(since: str, *, refused_only: bool = False) -> Past:
    """Asked over control's socket; Refused for who is no admin."""
    with connected(os.environ) as client:
        found = client.call(DecisionsPast(since_s=seconds(since), refused_only=refused_only))
    return Past(facts_from(found["facts"]), found["people"], found["since"], found["left_out"])
