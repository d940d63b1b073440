"""What several commands print alike: aligned columns, JSON, a rule with its place."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_guardrails.policy import RuleRef

WIDEST_TEXT = 72


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; a cell that is wider than the widest column pushes only its own line."""
    if not rows:
        return
    widths = [min(max(len(row[column]) for row in rows), WIDEST_TEXT) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns side by side; lines longer than `width` are cut. Cells were written by others: nothing in them moves the cursor."""
    cells = [[line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    lines = ["  ".join(cell.ljust(widths[index]) for index, cell in enumerate(row)).rstrip() for row in cells]
    return "\n".join(text if len(text) <= width else text[: width - 1] + "…" for text in lines)


def line(text: str) -> str:
    """What others wrote, on one line: nothing in it moves the cursor or steers the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def print_json(value: Any) -> None:
    """The value as JSON that people can read too."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=list)
    print()


def print_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Comma-separated values after RFC 4180; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    writer = csv.writer(sys.stdout)
    writer.writerows([head, *([plain_cell(cell) for cell in row] for row in rows)])


def plain_cell(cell: Any) -> Any:
    """Numbers as they are; text that can be no formula and holds no control character (OWASP: CSV injection)."""
    if not isinstance(cell, str):
        return cell
    text = "".join(letter if letter.isprintable() else "?" for letter in cell)
    return f"'{text}" if text.lstrip(" ").startswith(("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")) else text


def rule_json(rule: RuleRef) -> dict[str, Any]:
    """A rule and its place."""
    return {"file": rule.file, "line": rule.line, "name": rule.name, "text": str(rule)}
