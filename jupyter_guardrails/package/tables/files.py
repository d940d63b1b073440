"""The columns of one file. It is read as a hostile one: of Parquet and Arrow the footer, of text the first lines, in bounded memory."""

from __future__ import annotations

import csv
import json
import os
import stat
import struct
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from . import arrow, parquet, text
from .bounds import COUNTED_BYTES, MAX_COLUMNS, MAX_LINE, MAX_NAME, Unread
from .compare import TEXTUAL

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet", ".arrow": "arrow"}
SUFFIXES |= {".feather": "arrow", ".ipc": "arrow"}
READERS = {"parquet": parquet.read, "arrow": arrow.read, "csv": text.read_csv, "json": text.read_lines}

FAILURES = (ValueError, LookupError, TypeError, AttributeError, struct.error, csv.Error, RecursionError, OSError, OverflowError)

Found = dict[str, Any]  # {format, size_bytes, rows, columns: {name: type}, problem}


def look(path: str | os.PathLike[str], form: str = "", *, counted_bytes: int = COUNTED_BYTES) -> Found | None:
    """`{format, size_bytes, rows, columns: {name: type}, problem}` of a data file; None for a file that is none. `rows` None: not counted.

    `form`: what it is (parquet, arrow, csv, json: an object a line), where that is known; else its beginning or its name tell.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return _told(form, 0, problem=f"it can't be opened ({error.strerror})") if form else None
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode):
        os.close(fd)
        return None
    with open(fd, "rb") as file:
        return _look(file, os.fspath(path), form, state.st_size, counted_bytes)


def _look(file: BinaryIO, path: str, form: str, size: int, counted_bytes: int) -> Found | None:
    kind = _kind(file, path, form)
    if kind is None:
        return None
    try:
        columns, rows = READERS[kind](file, size, counted_bytes)
        return _told(kind, size, rows=rows, columns=checked(columns))
    except Unread as error:
        return _told(kind, size, problem=str(error))
    except FAILURES:  # whatever a hostile file provokes; its text is not told: it may quote the file
        return _told(kind, size, problem=f"it can't be read as {kind}")


def _told(form: str, size: int, *, rows: int | None = None, columns: Mapping[str, str] | None = None, problem: str = "") -> Found:
    return {"format": form, "size_bytes": size, "rows": rows, "columns": dict(columns or {}), "problem": problem}


def _kind(file: BinaryIO, path: str, form: str) -> str | None:
    """What the file is: a beginning says more than a name."""
    head = file.read(6)
    file.seek(0)
    if head[:4] in (b"PAR1", b"PARE") or head == b"ARROW1":
        return "arrow" if head == b"ARROW1" else "parquet"
    if form in READERS:
        return form
    suffix = os.path.splitext(path)[1].lower()
    kind = SUFFIXES.get(suffix)
    return None if suffix == ".json" and not _is_lines(file) else kind


def _is_lines(file: BinaryIO) -> bool:
    """Whether a `.json` is an object a line, several of them: one object is a document, and its keys are nobody's columns."""
    lines = [file.readline(MAX_LINE) for _ in range(2)]
    file.seek(0)
    try:
        return all(isinstance(json.loads(line), dict) for line in lines)
    except (ValueError, RecursionError):
        return False


def named(form: str, columns: Iterable[tuple[str, str]]) -> Found:
    """The same `{format, …}` of columns that somebody else saw, of a file, table or stream of that format."""
    try:
        known = checked(columns)
        return _told(form, 0, columns=dict(zip(text.names(list(known)), known.values(), strict=True)) if form in TEXTUAL else known)
    except Unread as error:
        return _told(form, 0, problem=str(error))


def checked(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """As they are; Unread for a table that nobody could review, or names that can't be shown or told apart."""
    pairs = list(columns)
    if not 0 < len(pairs) <= MAX_COLUMNS:
        raise Unread(f"it has {len(pairs)} columns: between 1 and {MAX_COLUMNS} are looked at")
    if wrong := [n for n, (name, _) in enumerate(pairs, 1) if not name.strip() or len(name) > MAX_NAME or not name.isprintable()]:
        raise Unread(f"the name of column {wrong[0]} is empty, longer than {MAX_NAME} characters, or holds characters that nobody sees")
    if len(dict(pairs)) != len(pairs):
        raise Unread("two of its columns have the same name")
    return dict(pairs)
