"""The documentation is true: each command it shows exists, and each command that exists is in it."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from jupyter_guardrails.cli.main import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^\s*(?:\$ )?(?:sudo )?jupyter[ -]guardrails ([a-z].*)$", re.MULTILINE)


def shown_commands() -> list[tuple[str, str]]:
    """Every `jupyter guardrails …` line of a code block, with its page; what a console shows without `$` is what commands print."""
    fence = re.compile(r"```(bash|sh|console)\n(.*?)```", re.DOTALL)
    blocks = [(page, kind, block) for page in PAGES if page.exists() for kind, block in fence.findall(page.read_text())]
    texts = [(page, "\n".join(line for line in block.splitlines() if kind != "console" or line.startswith("$ "))) for page, kind, block in blocks]
    return [(page.name, re.split(" #| \\|\\| ", line)[0].strip()) for page, text in texts for line in COMMAND.findall(text)]


def subcommands(parser: argparse.ArgumentParser, prefix: str = "") -> list[str]:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found += [f"{prefix}{name}", *subcommands(child, f"{prefix}{name} ")]
    return found


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_a_shown_command_parses(page, line):
    try:
        build_parser().parse_args(shlex.split(line))
    except SystemExit as stop:
        pytest.fail(f"{page} shows a command that does not exist: jupyter guardrails {line} ({stop})")


def test_a_made_up_command_does_not_parse():
    with pytest.raises(SystemExit):
        build_parser().parse_args(["no-such-command"])


@pytest.mark.parametrize("name", subcommands(build_parser()))
def test_each_command_is_documented(name):
    text = "\n".join(page.read_text() for page in PAGES if page.exists())
    assert f"guardrails {name}" in text, f"docs/ never mentions `jupyter guardrails {name}`"


def test_some_commands_are_shown():
    assert len(shown_commands()) > 10


def test_the_benchmarks_are_those_in_the_table():
    table = (ROOT / "docs" / "developers.md").read_text().partition("## Speed")[2].partition("\n## ")[0]
    named = {name for row in table.splitlines() if row.startswith("|") for name in re.findall(r"`(\w+\.py)`", row.split("|")[1])}
    assert named == {path.name for path in (ROOT / "benchmarks").glob("*.py")}
