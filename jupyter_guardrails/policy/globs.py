"""Name patterns: anchored, `*` stays inside one part, `**` crosses parts. Matching takes at most quadratic time: no ReDoS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")
LONGEST_NAME = 1024
FORBIDDEN = re.compile(r"[?\[\]{}\\\x00-\x1f\x7f]|^ | $")


def check_glob(pattern: object) -> str:
    """The pattern itself; ValueError, as a sentence, if it isn't one."""
    if not isinstance(pattern, str) or not pattern:
        raise ValueError(f"must be a name or a pattern with * or **, not {pattern!r}")
    if found := FORBIDDEN.search(pattern):
        raise ValueError(f"{pattern!r} holds {found.group()!r}: in a pattern only * (inside one part) and ** (across parts) are special")
    if "***" in pattern:
        raise ValueError(f"{pattern!r} has more than two * in a row")
    if len(pattern) > LONGEST_NAME:
        raise ValueError(f"a pattern may have {LONGEST_NAME} characters at most")
    return pattern


@lru_cache(maxsize=65536)
def compile_glob(pattern: str, separator: str = "/") -> re.Pattern[str]:
    """A regular expression whose `fullmatch` is the pattern's meaning.

    Each wildcard but the last takes the earliest place where what follows it fits, and keeps it (an atomic group): after `*` an earlier end is
    never worse than a later one, and after `**` never worse than one within a part. So nothing is tried again and again.
    """
    inside = f"[^{re.escape(separator)}]"
    first, *chunks = pattern.split("**")
    source = _chunk(first, inside, last=not chunks)
    for position, chunk in enumerate(chunks, start=1):
        last = position == len(chunks)
        body = f".*?{_chunk(chunk, inside, last=last)}"
        source += body if last else f"(?>{body})"
    return re.compile(source, re.DOTALL)


def _chunk(chunk: str, inside: str, *, last: bool) -> str:
    """What stands between two `**`: literals joined by `*`; the last literal of the last chunk must end the name."""
    first, *pieces = (re.escape(piece) for piece in chunk.split("*"))
    if not pieces:
        return first
    *middle, end = pieces
    kept = "".join(f"(?>{inside}*?{piece})" for piece in middle)
    return first + kept + (f"{inside}*{end}" if last else f"(?>{inside}*?{end})")


class PatternIndex(Generic[T]):
    """Patterns with a value each; finds the first in order that matches a name without trying them all."""

    def __init__(self, entries: Iterable[tuple[str, T]], separator: str = "/", *, from_end: bool = False) -> None:
        self._separator, self._step = separator, -1 if from_end else 1
        self._exact: dict[str, tuple[int, T]] = {}
        self._globs: dict[tuple[str, ...], list[tuple[int, re.Pattern[str], T]]] = {}
        for position, (pattern, value) in enumerate(entries):
            self._add(pattern, position, value)

    def _add(self, pattern: str, position: int, value: T) -> None:
        if "*" not in pattern:
            self._exact.setdefault(pattern, (position, value))
            return
        literal = tuple(takewhile(lambda part: "*" not in part, self._parts(pattern)))
        self._globs.setdefault(literal, []).append((position, compile_glob(pattern, self._separator), value))

    def _parts(self, name: str) -> list[str]:
        """The outermost parts of a name, by which patterns are put together."""
        return name.split(self._separator)[:: self._step][:2]

    def first(self, name: str) -> T | None:
        """The value of the first pattern that matches, else None."""
        found = [self._exact[name]] if name in self._exact else []
        parts = tuple(self._parts(name))
        for length in range(len(parts) + 1):
            globs = self._globs.get(parts[:length], ())
            hit = next(((position, value) for position, glob, value in globs if glob.fullmatch(name)), None)
            found += [hit] if hit is not None else []
        return min(found, key=lambda item: item[0])[1] if found else None
