"""A notebook's JSON without its outputs, and where those lie in the file: they are read when somebody asks, one at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from jupyter_guardrails.package.jsonstream import LENIENT, MAX_DEPTH, MAX_TOKEN_BYTES, STRING, Cursor, Span

TOKEN = re.compile(rb"[\s,]*(?:(?P<key>" + STRING + rb")\s*:|(?P<bracket>[\[\]{}])|" + STRING + rb'(?=\s*[^\s:])|[^\s,"\[\]{}]+)', re.S)
KEY = "."  # before a key in a path, where a bracket stands for itself
PLACES = (["{", ".cells", "[", "{"], ["{", ".worksheets", "[", "{", ".cells", "[", "{"])  # of a cell: nbformat 4, and 3


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The notebook's JSON with its cells' outputs left out; `outputs[n]` are the places of the n-th cell's."""

    text: str
    outputs: tuple[tuple[Span, ...], ...]
    is_old: bool  # before nbformat 4


def read_skeleton(file: BinaryIO) -> Skeleton:
    """Read a notebook in memory that its outputs don't count for; ValueError says what is wrong with it."""
    walk = _Walk(Cursor(file))
    walk.to_the_end()
    text = b"".join(walk.kept).decode("utf-8")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    if len(walk.outputs) != sum(isinstance(cell, dict) for cells in _lists(found) for cell in cells):
        raise ValueError("a key of it is there twice")
    version = found.get("nbformat")
    return Skeleton(text, tuple(tuple(spans) for spans in walk.outputs), isinstance(version, int) and version < 4)


def _lists(notebook: dict[str, Any]) -> Iterator[list[Any]]:
    """Its lists of cells: one, or in nbformat 3 one of each worksheet."""
    sheets = notebook.get("worksheets")
    for holder in (notebook, *(sheets if isinstance(sheets, list) else ())):
        cells = holder.get("cells") if isinstance(holder, dict) else None
        yield cells if isinstance(cells, list) else []


class _Walk:
    """Where the walk is: brackets and keys that lead there, and what is kept so far."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.kept: list[bytes] = []
        self.outputs: list[list[Span]] = []
        self._size = 0
        self._path: list[str] = []

    def to_the_end(self) -> None:
        """Keep everything but the outputs."""
        cursor = self.cursor
        while True:
            found = TOKEN.match(cursor.window, cursor.at)
            if not found or found.end() == len(cursor.window):  # a number or a text may go on
                if cursor.more():
                    self._check_size(len(cursor.window))
                    continue
                if not found:
                    break
            self._take(found)
        self._keep(cursor.window[cursor.at :])

    def _take(self, found: re.Match[bytes]) -> None:
        self.cursor.at = found.end()
        self._keep(found.group())
        if found["key"]:
            self._enter(found["key"])
        elif found["bracket"] in (b"{", b"["):
            self._open(found["bracket"].decode())
        elif found["bracket"]:
            self._close()

    def _enter(self, raw: bytes) -> None:
        """A key; outputs of a cell are passed over."""
        if self._path and self._path[-1].startswith(KEY):
            self._path.pop()
        self._path.append(KEY + (str(LENIENT.decode(raw.decode("utf-8"))) if b"\\" in raw else raw[1:-1].decode("utf-8")))
        if self._path[-1] == ".outputs" and self._path[:-1] in PLACES:
            self._skip_outputs()

    def _skip_outputs(self) -> None:
        found = TOKEN.match(self.cursor.window, self.cursor.at)
        while not found or found.end() == len(self.cursor.window):
            self.cursor.need()
            found = TOKEN.match(self.cursor.window, self.cursor.at)
        if found["bracket"] == b"[":
            self.cursor.at = found.end()
            self.outputs[-1] += self.cursor.skip_array()
            self._keep(b"[]")

    def _open(self, bracket: str) -> None:
        self._path.append(bracket)
        if self._path in PLACES:
            self.outputs.append([])
        if len(self._path) > 2 * MAX_DEPTH:
            raise ValueError("it is nested too deeply")

    def _close(self) -> None:
        while self._path and self._path.pop() not in ("{", "["):
            pass

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        self._check_size(self._size)
        self.kept.append(part)

    def _check_size(self, size: int) -> None:
        if size > MAX_TOKEN_BYTES:
            raise ValueError(f"without its outputs it has more than {MAX_TOKEN_BYTES >> 20} MiB")
