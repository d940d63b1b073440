"""Which lines of a long text a slow scanner has to look at: those with a word or a shape that each of its findings has."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from jupyter_guardrails.package.jsonstream import Piece

LINE_BYTES, BEFORE, AFTER = 2000, 400, 1200  # of a longer line the surroundings of each sign are taken
CARRIED_BYTES = 4000  # of a line that goes on in the next piece
TOGETHER_BYTES = 1 << 18
LETTER, DIGIT, WORD = b"a", b"0", b"_"  # a shape's classes; other characters stand for themselves


@dataclass(frozen=True)
class Sieve:
    """Signs that a line is to be looked at: words in any case, words as they are, shapes (`aa00` is two letters and two digits)."""

    words: tuple[bytes, ...] = ()
    pairs: tuple[tuple[bytes, bytes], ...] = ()  # a word that counts with another one in the same part of the line only
    exact: tuple[bytes, ...] = ()
    shapes: tuple[bytes, ...] = ()
    run: int = 0  # so many letters, digits, `-` and `_` in a row
    harmless_run: re.Pattern[bytes] = re.compile(rb"(?!)")

    @cached_property
    def _classes(self) -> bytes:
        known = dict.fromkeys(string.ascii_letters.encode(), LETTER[0]) | dict.fromkeys(string.digits.encode(), DIGIT[0])
        return bytes(known.get(byte, byte) for byte in range(256))

    @cached_property
    def _word_characters(self) -> bytes:
        known = frozenset((string.ascii_letters + string.digits + "-_").encode())
        return bytes(WORD[0] if byte in known else 32 for byte in range(256))

    def places(self, text: bytes) -> list[tuple[int, int]]:
        """Start and end of each part of a line that has a sign, in order."""
        lower = text.lower()
        found = {place for word in self.words for place in _around(text, lower, word)}
        found |= {place for word, other in self.pairs for place in _around(text, lower, word) if lower.find(other, *place) >= 0}
        found |= {place for word in self.exact for place in _around(text, text, word)}
        classes = text.translate(self._classes) if self.shapes else text
        found |= {place for shape in self.shapes for place in _around(text, classes, shape)}
        return sorted(found | set(self._runs(text)))

    def _runs(self, text: bytes) -> Iterator[tuple[int, int]]:
        if not self.run:
            return
        runs, least, at = text.translate(self._word_characters), WORD * self.run, 0
        while (at := runs.find(least, at)) >= 0:
            end = runs.find(b" ", at)
            end = end if end >= 0 else len(text)
            if not self.harmless_run.fullmatch(text, at, end):
                yield from _cut(text, at, end)
            at = end


def _around(text: bytes, searched: bytes, sign: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while (at := searched.find(sign, at)) >= 0:
        place = next(_cut(text, at, at + len(sign)))
        yield place
        at = max(at + 1, place[1] if place[1] - at <= AFTER else at + AFTER)


def _cut(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The line around a sign, or parts of it that overlap where it is long."""
    first, last = text.rfind(b"\n", 0, start) + 1, text.find(b"\n", start)
    last = last if last >= 0 else len(text)
    if last - first <= LINE_BYTES:
        yield first, last
        return
    while start < end:
        yield max(first, start - BEFORE), min(last, start + LINE_BYTES - BEFORE)
        start += AFTER


def whole_lines(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Texts that end where lines do, so that nothing that is looked for is cut in two; short ones together."""
    ended, carried = bytearray(), b""
    for text, goes_on in pieces:
        data = carried + text.encode("utf-8", "surrogatepass")
        end = data.rfind(b"\n") + 1
        if not goes_on:
            done, carried = data + b"\n", b""
        elif len(data) - end <= CARRIED_BYTES:
            done, carried = data[:end], data[end:]
        else:  # a line without an end: what may be cut is looked at twice
            done, carried = data, data[-CARRIED_BYTES:]
        ended += done
        if len(ended) > TOGETHER_BYTES:
            yield bytes(ended)
            ended.clear()
    yield bytes(ended) + carried
