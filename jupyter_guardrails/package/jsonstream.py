"""Walking through JSON in a file by windows of 1 MiB: where values lie and what their texts are, whatever their size.

Regular expressions skip what is flat at the speed of C; each has one way only to match, so that no text makes it slow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

LENIENT = json.JSONDecoder(strict=False)  # control characters in texts, which some writers leave as they are
WINDOW = 1 << 20
MAX_TOKEN_BYTES = 32 << 20
MAX_DEPTH = 500

# One way only, which atomic groups give: most strings hold no quote, and their end is found four times as fast as where they may.
STRING = rb'(?>"[^"]*"(?<!\\")|"[^"\\]*(?:\\.[^"\\]*)*")'
_FLAT = rb'[^"\[\]{}]*(?:' + STRING + rb'[^"\[\]{}]*)*'
FLAT = re.compile(_FLAT, re.S)
FLAT_AND_LEAVES = re.compile(_FLAT + rb"(?:(?:\[" + _FLAT + rb"\]|\{" + _FLAT + rb"\})" + _FLAT + rb")*", re.S)
STRINGS = re.compile(rb"(?:[\s,]*" + STRING + rb"(?=\s*[,\]]))+", re.S)
BODY = re.compile(rb'(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*', re.S)
KEY = re.compile(STRING + rb"(?=\s*:)", re.S)
BETWEEN = re.compile(rb'[^"\[\]{}]+')
LONGEST_CUT = 12  # bytes of an escape or a character that a window may end in

Span = tuple[int, int]  # first byte, byte after the last
Piece = tuple[str, bool]  # text, and whether the same value goes on in the next piece


class Cursor:
    """A place in a file: `window[at]` is the next byte. ValueError where the JSON ends early or is nested without an end."""

    def __init__(self, file: BinaryIO, start: int = 0, end: int | None = None) -> None:
        self.file, self.base, self.at, self.window = file, start, 0, b""
        self._left = (end - start) if end is not None else None
        file.seek(start)
        self.more()

    @property
    def offset(self) -> int:
        """Where that byte is in the file."""
        return self.base + self.at

    def more(self) -> bool:
        """Forget what was passed and read on; False at the end."""
        size = max(WINDOW, len(self.window) - self.at)
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
        read = self.file.read(size)
        self.base, self.window, self.at = self.offset, self.window[self.at :] + read, 0
        return bool(read)

    def need(self) -> None:
        """Read on, or say that the file ends too early."""
        if len(self.window) - self.at > MAX_TOKEN_BYTES:
            raise ValueError(f"a single text in it has more than {MAX_TOKEN_BYTES >> 20} MiB")
        if not self.more():
            raise ValueError("it ends early")

    def skip_array(self) -> list[Span]:
        """Pass an array, from after its bracket to after its end; where each of its objects and arrays lies."""
        spans: list[Span] = []
        depth, start = 1, 0
        while depth:
            self.at = (FLAT if depth == 1 else FLAT_AND_LEAVES).match(self.window, self.at).end()  # type: ignore[union-attr]  # matches nothing, too
            if self.at == len(self.window):
                self.need()
                continue
            byte = self.window[self.at : self.at + 1]
            if byte == b'"':
                for _ in self.long_text():
                    pass
                continue
            if byte in b"[{":
                start = self.offset if depth == 1 else start
                depth += 1
            else:
                depth -= 1
            self.at += 1
            if depth == 1 and byte in b"]}":
                spans.append((start, self.offset))
        return spans

    def long_text(self) -> Iterator[Piece]:
        """A string that may be longer than any window, from its first quote to after its last."""
        self.at += 1
        while True:
            end = self._end_of_text()
            closed = self.window[end : end + 1] == b'"'
            if not closed and len(self.window) - end > LONGEST_CUT:
                raise ValueError("a text in it is no JSON")
            end = end if closed else self.at + _whole_characters(self.window[self.at : end])
            text, self.at = self.window[self.at : end], end + closed
            yield _decoded(text), not closed
            if closed:
                return
            self.need()

    def _end_of_text(self) -> int:
        """Where the text ends that goes on here, or where it is no JSON, or the window's end."""
        quote = self.window.find(b'"', self.at)
        end = quote if quote >= 0 else len(self.window)
        if self.window.find(b"\\", self.at, end) < 0:
            return end
        return BODY.match(self.window, self.at).end()  # type: ignore[union-attr]  # matches nothing, too


def texts(cursor: Cursor) -> Iterator[tuple[tuple[str, ...], Piece]]:
    """All texts of one value, keys and numbers included, with the keys that lead to them."""
    path: list[str] = [""]
    closers: list[bytes] = []
    is_key = False
    while True:
        found = BETWEEN.match(cursor.window, cursor.at)
        if found:
            cursor.at = found.end()
            is_key = is_key or (b"," in found.group() and bool(closers) and closers[-1] == b"}")
            if len(found.group()) > 2:
                yield tuple(path), (found.group().decode("utf-8", "replace"), False)
        if cursor.at == len(cursor.window):
            cursor.need()
            continue
        byte = cursor.window[cursor.at : cursor.at + 1]
        if byte == b'"':
            if is_key:
                path[-1] = _key(cursor)
                yield tuple(path), (path[-1], False)
            elif closers and closers[-1] == b"]":
                yield from ((tuple(path), piece) for piece in _strings(cursor))
            else:
                yield from ((tuple(path), piece) for piece in cursor.long_text())
            is_key = False
            continue
        cursor.at += 1
        if byte in b"[{":
            closers.append(b"]" if byte == b"[" else b"}")
            path.append("")
        elif not closers or closers.pop() != byte:
            raise ValueError("its brackets don't match")
        else:
            path.pop()
        if not closers:
            return
        if len(closers) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        is_key = byte == b"{"


def _key(cursor: Cursor) -> str:
    while not (found := KEY.match(cursor.window, cursor.at)):
        cursor.need()
    cursor.at = found.end()
    return _decoded(found.group()[1:-1])


def _strings(cursor: Cursor) -> Iterator[Piece]:
    """The strings of a list from here on, as many as the window holds, as one text: notebooks keep lines like that."""
    found = STRINGS.match(cursor.window, cursor.at)
    if found:
        cursor.at = found.end()
        held = found.group().decode("utf-8", "replace").lstrip(" \t\r\n,")
        lines = LENIENT.decode(f"[{held}]")
        yield "".join(lines), True
    else:
        yield from cursor.long_text()


def _whole_characters(text: bytes) -> int:
    """How many bytes of it end before a character of UTF-8 that may be cut."""
    lead = next((back for back in range(1, min(4, len(text)) + 1) if text[-back] >= 0xC0), 0)
    return len(text) - lead


def _decoded(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return str(LENIENT.decode(f'"{text}"')) if "\\" in text else text
