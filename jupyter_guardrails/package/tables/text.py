"""Columns and rows of text: names as the first line says, types as the first rows show them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from .bounds import MAX_COLUMNS, MAX_LINE, MAX_NAME, SAMPLE_BYTES, SAMPLE_ROWS, Unread

A_VALUE = re.compile(r"[-+]?[\d.,]+([eE][-+]?\d+)?%?|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*|true|false|nan|null|none|.*@.*", re.IGNORECASE)
INTEGER = re.compile(r"[-+]?\d+")
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan", re.IGNORECASE)
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
Columns = list[tuple[str, str]]


class _Lines(Iterator[str]):
    """The lines of a file, until so many characters were read; `cut` where there were more."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        if b"\0" in file.read(MAX_LINE):
            raise Unread("it is no text: what is compressed is not looked at")
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        self.read, self.cut, self._most = 0, False, most

    def __next__(self) -> str:
        line = "" if self.cut else self._text.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            raise Unread("it has a line of more than a million characters")
        self.read += len(line)
        self.cut = self.cut or self.read > self._most
        if not line:
            raise StopIteration
        return line


def read_csv(file: BinaryIO, size: int, counted_bytes: int) -> tuple[Columns, int | None]:
    """Name and type of each column, and how many rows there are; not counted in a file of more than `counted_bytes`."""
    head = _Lines(file, MAX_LINE)
    delimiter = max(",;\t|", key=next(head, "").count)
    file.seek(0)
    lines = _Lines(file, size if size <= counted_bytes else SAMPLE_BYTES)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    found = names(next(rows, []))
    sample: list[list[str]] = []
    count = 0
    try:
        for row in filter(None, rows):
            if len(row) != len(found):
                raise Unread("its rows don't all have the columns that its first line names")
            count += 1
            if count <= SAMPLE_ROWS and lines.read <= SAMPLE_BYTES:
                sample.append(row)
    except csv.Error:
        if not lines.cut:  # else the last row was
            raise
    return [(name, _guess([row[i] for row in sample])) for i, name in enumerate(found)], count if size <= counted_bytes else None


def names(row: list[str]) -> list[str]:
    """Of the columns; Unread where they could be values."""
    found = [name.strip() for name in row]
    if found and not found[0] and len(found) > 1:
        found[0] = "Unnamed: 0"  # as pandas calls the index that it wrote
    if len(found) > MAX_COLUMNS or any(len(name) > MAX_NAME or A_VALUE.fullmatch(name) for name in found):
        raise Unread("its first line looks like values, or is very long: these are not told as names")
    return found


def read_lines(file: BinaryIO, size: int, counted_bytes: int) -> tuple[Columns, int | None]:
    """The same of an object a line."""
    lines = _Lines(file, size if size <= counted_bytes else SAMPLE_BYTES)
    found: list[dict[str, Any]] = []
    count = 0
    for line in filter(str.strip, lines):
        count += 1
        if count <= SAMPLE_ROWS and lines.read <= SAMPLE_BYTES:
            found.append(_object(line))
    names = dict.fromkeys(key for one in found for key in one)
    columns = [(name, _json_type(one[name] for one in found if name in one)) for name in names]
    return columns, count if size <= counted_bytes else None


def _object(line: str) -> dict[str, Any]:
    one = json.loads(line)
    if not isinstance(one, dict):
        raise Unread("each line has to be one JSON object")
    return one


def _guess(values: list[str]) -> str:
    given = [value for value in values if value]
    for kind, form in (("integer", INTEGER), ("number", NUMBER)):
        if given and all(form.fullmatch(value) for value in given):
            return kind
    return "boolean" if given and {value.lower() for value in given} <= {"true", "false"} else "string"


def _json_type(values: Iterable[Any]) -> str:
    kinds = {JSON_TYPES.get(type(value), "string") for value in values if value is not None}
    return next(iter(kinds)) if len(kinds) == 1 else "number" if kinds == {"integer", "number"} else "string"
