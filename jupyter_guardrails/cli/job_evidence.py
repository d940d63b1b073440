"""`jupyter guardrails job review ID`: all that a reviewer looks at, in the terminal or as one static page."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import review_text
from jupyter_guardrails.cli.commands import add_command, say
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.review import evidence as review_evidence
from jupyter_guardrails.review import page as review_page


def add_parser(commands: Any) -> None:
    """Below `job`."""
    parser = add_command(commands, "review", run, "checks, changes since the last approved version, data, cost and decisions of a submission")
    parser.add_argument("id", help="as `job list --review` shows it")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one static page, with the clean run, to a new file")


def run(arguments: argparse.Namespace) -> int:
    """0 when it was shown."""
    with connected(os.environ) as client:
        found = review_evidence.gather(client, arguments.id)
    if arguments.html:
        with arguments.html.open("x", encoding="utf-8") as file:
            file.write(review_page.page(found))
        return say({"path": str(arguments.html)}, arguments, str(arguments.html))
    changes = None if found.changes is None else [dataclasses.asdict(one) for one in found.changes]
    return say(found.submission | {"decisions": found.decisions, "changes": changes} | found.said, arguments, *review_text.lines(found))
