"""Name patterns: anchored, `*` stays inside one part, `**` crosses parts. Matching takes at most quadratic time: no ReDoS."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Generic, TypeVar

from jupyter_guardrails.policy.wording import shown

T = TypeVar("T")
Matcher = Callable[[str], object]  # the match, or None
Entry = tuple[int, str, re.Pattern[str], T]  # position, a text without which no name matches, pattern, value
Chain = tuple[tuple[Entry[T], ...], ...]  # of one literal text, and of those that it starts with
LONGEST_NAME = 1024
WILDCARDS = re.compile(r"\*+")
FORBIDDEN = re.compile(r"[?\[\]{}\\\x00-\x1f\x7f]|^ | $")


def check_glob(pattern: object) -> str:
    """The pattern itself; ValueError, as a sentence, if it isn't one."""
    if not isinstance(pattern, str) or not pattern:
        raise ValueError(f"must be a name or a pattern with * or **, not {shown(pattern)}")
    if len(pattern) > LONGEST_NAME:
        raise ValueError(f"a pattern may have {LONGEST_NAME} characters at most, not {len(pattern):,}")
    if found := FORBIDDEN.search(pattern):
        raise ValueError(f"{shown(pattern)} holds {found.group()!r}: in a pattern only * (inside one part) and ** (across parts) are special")
    if "***" in pattern:
        raise ValueError(f"{shown(pattern)} has more than two * in a row")
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


def literals(pattern: str) -> list[str]:
    """What stands before, between and after the wildcards of a pattern; a name that matches holds them all, in this order."""
    return WILDCARDS.split(pattern)


class PatternIndex(Generic[T]):
    """Patterns with a value each; finds those that match a name without trying them all.

    Patterns are kept by the literal text that names must start with (`from_end`: end with). Of all such texts in order, the last one that isn't
    behind the name is the longest that starts it, or starts with that one: so all that start it are found by going from each to its parent.
    """

    def __init__(self, entries: Iterable[tuple[str, T]], separator: str = "/", *, from_end: bool = False) -> None:
        self._from_end = from_end
        self._exact: dict[str, tuple[tuple[int, T], ...]] = {}
        globs: dict[str, tuple[Entry[T], ...]] = {}
        for position, (pattern, value) in enumerate(entries):
            outer, *inner = literals(pattern)[:: -1 if from_end else 1]
            if inner:
                literal, needed = outer[::-1] if from_end else outer, max(inner, key=len)
                globs[literal] = (*globs.get(literal, ()), (position, needed, compile_glob(pattern, separator), value))
            else:
                self._exact[pattern] = (*self._exact.get(pattern, ()), (position, value))
        self._literals = sorted(globs)
        self._parents = list(_parents(self._literals))
        self._chains: list[Chain[T]] = []
        for literal, parent in zip(self._literals, self._parents, strict=True):
            self._chains.append((globs[literal], *(self._chains[parent] if parent >= 0 else ())))

    def first(self, name: str) -> T | None:
        """The value of the first pattern that matches, else None."""
        exact = self._exact.get(name)
        found = exact[0] if exact else None
        for globs in self._near(name):
            for position, needed, glob, value in globs:
                if found is not None and found[0] < position:
                    break
                if needed in name and glob.fullmatch(name):
                    found = position, value
                    break
        return found[1] if found is not None else None

    def all(self, name: str) -> list[T]:
        """The values of all patterns that match, in order."""
        near = (entry for globs in self._near(name) for entry in globs)
        found = [(position, value) for position, needed, glob, value in near if needed in name and glob.fullmatch(name)]
        found += self._exact.get(name, ())
        return [value for _, value in sorted(found, key=itemgetter(0))]

    def _near(self, name: str) -> Chain[T]:
        """The patterns whose literal text starts the name."""
        text = name[::-1] if self._from_end else name
        at = bisect_right(self._literals, text) - 1
        while at >= 0 and not text.startswith(self._literals[at]):
            at = self._parents[at]
        return self._chains[at] if at >= 0 else ()


def _parents(texts: list[str]) -> Iterator[int]:
    """For each text of a sorted list the position of the longest other one that it starts with; -1 if there is none."""
    starts: list[int] = []
    for position, text in enumerate(texts):
        while starts and not text.startswith(texts[starts[-1]]):
            starts.pop()
        yield starts[-1] if starts else -1
        starts.append(position)
