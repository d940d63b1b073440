"""How data differs where a job runs from what its clean run saw: columns that are gone, new, or of another type. Sentences without a value."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .compare import differences
from .files import Found, look
from .folders import look_into

UNTOLD = "its columns can't be told any more"


def drifted(wanted: Mapping[str, Any], path: str | None, told: Found | None = None) -> list[str]:
    """`wanted`: an input of job.json, with its `columns`; `path`: its file or folder here, or what control `told` of a stream or a masked copy.

    Empty also where the package doesn't say what its clean run saw.
    """
    if not wanted.get("columns"):
        return []
    if path is None:
        return _of(wanted, [told])
    place = os.path.realpath(path)
    looked = look_into(place) if os.path.isdir(place) else [look(place, counted_bytes=0)]
    return _of(wanted, looked)


def _of(wanted: Mapping[str, Any], looked: Sequence[Found | None]) -> list[str]:
    """Of several files each sentence once, with how many it is true of where it isn't all."""
    if not looked:
        return [f"{UNTOLD}: there is no table in its folder"]
    counts = Counter(sentence for one in looked for sentence in _of_one(wanted, one))
    return [f"{text}{'' if count == len(looked) else f' in {count} of {len(looked)} files'}" for text, count in counts.items()]


def _of_one(wanted: Mapping[str, Any], seen: Found | None) -> list[str]:
    if seen is None or seen["problem"] or not seen["columns"]:
        return [f"{UNTOLD}: {seen['problem'] if seen and seen['problem'] else 'it is no table'}"]
    some = wanted.get("in_some_files") or ()  # then, too, other files had no such column
    expected = {name: kind for name, kind in wanted["columns"].items() if name in seen["columns"] or name not in some}
    return differences(expected, seen["columns"], form=seen["format"], extra=True)
