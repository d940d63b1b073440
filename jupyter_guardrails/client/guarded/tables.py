"""A list of datasets that reads well in a terminal and in a notebook; everything in it was written by others, so it is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

HEADINGS = ("name", "owner", "classification", "how to get it", "description")


class DatasetTable:
    """Datasets as rows: `len()`, iteration and `[i]` give dicts, display gives a table."""

    def __init__(self, rows: list[dict[str, Any]], total: int) -> None:
        self.rows = rows
        self.total = total

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def __repr__(self) -> str:
        if not self.rows:
            return "no datasets"
        cells = [HEADINGS, *([_printable(cell) for cell in _cells(row)] for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
        lines = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(line)).rstrip() for line in cells]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        """Called by IPython to show this in a notebook."""
        if not self.rows:
            return "<p>no datasets</p>"
        head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(_printable(cell))}</td>" for cell in _cells(row)) + "</tr>" for row in self.rows)
        rest = "".join(f"<p>{line}</p>" for line in self._rest())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"

    def _rest(self) -> list[str]:
        more = self.total - len(self.rows)
        return [f"and {more} more: narrow it down with guarded.datasets('word')"] if more > 0 else []


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (str(row.get("name", "")), str(row.get("owner", "")), str(row.get("classification", "")), how_to_get(row), str(row.get("description", "")))


def how_to_get(row: dict[str, Any]) -> str:
    """The line to type for a dataset, or why there is none."""
    name, status = row.get("name", ""), row.get("status", "")
    if status == "granted":
        return f"guarded.path({name!r})"
    if status == "requestable":
        return f"guarded.request({name!r}, purpose='…')"
    if status == "broken":
        return f"broken contract: {row.get('error', '')}"
    return str(row.get("next_step") or "not for you")


def _printable(text: str) -> str:
    """One line without control characters: a description must not move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)
