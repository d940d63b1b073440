"""One file's bytes -> its text and lines, and problems at places of it. Only UTF-8; what could steer a terminal is never shown as it is."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.wording import visible

LONGEST_LINE, LONGEST_MESSAGE = 240, 600
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unreadable(Exception):
    """Reading can't go on after this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Source:
    """One file's name, as shown to the admin, and its lines."""

    name: str
    lines: tuple[str, ...] = ()

    def problem(self, line: int, column: int, message: str, *, hint: str = "") -> Problem:
        """A problem at a place of this file, with that line; a very long line isn't shown, a very long message is cut."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        text = _same_width(text) if len(text) <= LONGEST_LINE else ""
        message = visible(message)
        message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"
        return Problem(visible(self.name), line, column, message, visible(hint), text)


def read_source(data: bytes, name: str) -> tuple[Source, str]:
    """The file's lines and text; Unreadable if it isn't UTF-8 or holds characters that YAML forbids."""
    text = _decode(data, name)
    source = Source(name, tuple(LINE_BREAK.split(text)))
    _refuse_unprintable(source)
    return source, text


def _same_width(line: str) -> str:
    """The line with a character in the place of each that would move the caret or steer the terminal: a tab, direction marks, what has no shape."""
    return line if line.isprintable() else "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in line)


def _decode(data: bytes, name: str) -> str:
    if encoding := _other_encoding(data):
        raise Unreadable(Source(name).problem(0, 0, f"the file is {encoding}, not UTF-8", hint="save it as UTF-8"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(_not_utf8(error.object, name, error.start)) from error  # its object starts behind the byte order mark


def _other_encoding(data: bytes) -> str:
    """UTF-32 or UTF-16 by the mark that editors write at the start; UTF-16 without it by the zero in each ASCII letter."""
    if data.startswith(UTF_32):
        return "UTF-32"
    halves = (data[:4:2], data[1:4:2])
    return "UTF-16" if data.startswith(UTF_16) or (b"\0\0" in halves and halves[0] != halves[1]) else ""


def _not_utf8(data: bytes, name: str, at: int) -> Problem:
    """The problem at the first byte that isn't UTF-8, its line shown with a replacement character there."""
    before = LINE_BREAK.split(data[:at].decode())
    source = Source(name, tuple(LINE_BREAK.split(data.decode(errors="replace"))))
    letter = bytes([data[at]]).decode("cp1252", "replace")
    guess = f": it looks like Latin-1, where this byte is {letter}" if letter.isalpha() else ""
    message = f"the byte 0x{data[at]:02X} can't stand here: the file is not UTF-8 text"
    return source.problem(len(before), len(before[-1]) + 1, message, hint=f"save it as UTF-8{guess}")


def _refuse_unprintable(source: Source) -> None:
    for number, line in enumerate(source.lines, start=1):
        if found := UNPRINTABLE.search(line):
            message = f"the character U+{ord(found.group()):04X} can't stand in YAML"
            raise Unreadable(source.problem(number, found.start() + 1, message, hint="remove it"))
