"""The columns of a folder of files, partitioned or not: what its newest files have, each looked at like any other, and what its folders name."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from .bounds import MAX_COLUMNS, MAX_FOLDER_BYTES, MAX_FOLDER_ENTRIES, MAX_FOLDER_FILES, SAMPLE_BYTES
from .compare import TEXTUAL, fits
from .files import Found, look

MIXED = "mixed"  # a column that is of one type in this file and of another in that: it fits anything
WHOLE = re.compile(r"0|-?[1-9]\d{0,16}", re.ASCII)
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def columns_of(path: str | os.PathLike[str]) -> tuple[dict[str, str], list[str]]:
    """Columns of a file or folder, and which of them only some files of the folder have; none where it is no table."""
    place = os.path.realpath(path)
    if not os.path.isdir(place):
        found = look(place, counted_bytes=0)
        return (found["columns"] if found else {}), []
    looked = [one["columns"] for one in look_into(place) if not one["problem"]]
    counts = Counter(name for columns in looked for name in columns)
    if len(counts) > MAX_COLUMNS:  # nobody could review them
        return {}, []
    return _together(looked), [name for name, count in counts.items() if count < len(looked)]


def look_into(folder: str) -> list[Found]:
    """What `look` says of the newest tables below a folder, with the columns of the folders' names (`year=2024/`) added to theirs."""
    names = list(itertools.islice(_files(folder), MAX_FOLDER_ENTRIES))
    kinds = _kinds_of(names)
    looked, left = list[Found](), MAX_FOLDER_BYTES
    for name in sorted(names, key=lambda name: (-_changed(folder, name), name)):
        one = look(os.path.join(folder, name), counted_bytes=0)
        if one is None:
            continue
        inner = {key: kinds.get(key, "string") for key, _ in _parts(name)} if one["columns"] else {}
        looked.append(one | {"columns": one["columns"] | inner})
        left -= min(one["size_bytes"], SAMPLE_BYTES) if one["format"] in TEXTUAL else 0
        if len(looked) == MAX_FOLDER_FILES or left <= 0:
            break
    return looked


def _together(looked: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All columns; of one that differs the wider type, where there is one."""
    found: dict[str, str] = {}
    for columns in looked:
        for name, kind in columns.items():
            before = found.setdefault(name, kind)
            if before != kind and not fits(before, kind):
                found[name] = kind if fits(kind, before) else MIXED
    return found


def _files(folder: str) -> Iterator[str]:
    """Relative names; hidden ones and those of Spark's and Hive's marks are no data, and no link is followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (os.path.relpath(os.path.join(place, name), folder) for name in sorted(names) if not name.startswith((".", "_")))


def _changed(folder: str, name: str) -> int:
    try:
        return os.lstat(os.path.join(folder, name)).st_mtime_ns
    except OSError:  # it went meanwhile: then it can't be looked at, either
        return 0


def _kinds_of(names: Iterable[str]) -> dict[str, str]:
    """Type of each column that stands in folders' names: whole numbers where all are, else texts, as the broker has it."""
    found: dict[str, str] = {}
    for name in names:
        for key, value in _parts(name):
            if value is not None and found.get(key) != "string":
                found[key] = "integer" if WHOLE.fullmatch(value) else "string"
    return found


def _parts(name: str) -> Iterator[tuple[str, str | None]]:
    """Key and value of each folder that is named so."""
    for part in name.split(os.sep)[:-1]:
        key, equals, value = part.partition("=")
        if equals and key:
            yield unquote(key), None if value == NO_VALUE else unquote(value)
