"""Columns and rows of an Arrow file (Feather 2): the flatbuffer at its end, and the head of each batch.

https://arrow.apache.org/docs/format/Columnar.html; https://github.com/apache/arrow/tree/main/format (File.fbs, Schema.fbs, Message.fbs)
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from .bounds import MAX_BATCHES, MAX_COLUMNS, MAX_FOOTER_BYTES, Unread
from .places import tail

TYPES = {1: "string", 2: "integer", 3: "number", 6: "boolean", 7: "number", 8: "date", 9: "time", 10: "timestamp"}  # of the union Type
TYPES |= {12: "array", 13: "object", 14: "object", 16: "array", 17: "object", 21: "array", 25: "array", 26: "array"}


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.vtable = at - _number("<i", data, at)

    def place(self, field: int) -> int | None:
        if 4 + 2 * field >= _number("<H", self.data, self.vtable):
            return None
        offset = _number("<H", self.data, self.vtable + 4 + 2 * field)
        return self.at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        at = self.place(field)
        return 0 if at is None else _number(form, self.data, at)

    def table(self, field: int) -> _Table | None:
        at = self.place(field)
        return None if at is None else _Table(self.data, at + _number("<I", self.data, at))

    def vector(self, field: int) -> tuple[int, int]:
        """Where its elements begin, and how many there are."""
        at = self.place(field)
        if at is None:
            return 0, 0
        start = at + _number("<I", self.data, at)
        count = _number("<I", self.data, start)
        if count > len(self.data):
            raise ValueError("more elements than bytes")
        return start + 4, count

    def text(self, field: int) -> str:
        start, count = self.vector(field)
        return self.data[start : start + count].decode()


def _number(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("before the beginning")
    return int(struct.unpack_from(form, data, at)[0])


def read(file: BinaryIO, size: int, counted_bytes: int) -> tuple[list[tuple[str, str]], int | None]:
    """Name and type of each column, and how many rows there are; None for those of very many batches."""
    length, magic = struct.unpack("<i6s", tail(file, size, 10))
    if magic != b"ARROW1":
        raise Unread("it has no footer: it was not written to its end")
    if not 0 < length <= min(size, MAX_FOOTER_BYTES):
        raise Unread("its footer is larger than what is looked at")
    data = tail(file, size, length + 10)
    footer = _Table(data, _number("<I", data, 0))
    schema = footer.table(1)
    if schema is None:
        raise ValueError("no schema")
    start, count = schema.vector(1)
    fields = (_Table(data, start + 4 * n + _number("<I", data, start + 4 * n)) for n in range(min(count, MAX_COLUMNS + 1)))
    return [(field.text(0), TYPES.get(field.number(2, "<B"), "string")) for field in fields], _rows(file, size, footer)


def _rows(file: BinaryIO, size: int, footer: _Table) -> int | None:
    """Each batch says how many it has; None where there are very many batches."""
    start, count = footer.vector(3)
    if count > MAX_BATCHES:
        return None
    total = 0
    for number in range(count):
        offset, length = struct.unpack_from("<qi", footer.data, start + 24 * number)
        if not 0 <= offset <= size or not 8 < length <= MAX_FOOTER_BYTES:
            raise ValueError("a batch outside of the file")
        file.seek(offset)
        data = file.read(length)
        message = 8 if data[:4] == b"\xff\xff\xff\xff" else 4
        batch = _Table(data, message + _number("<I", data, message)).table(2)
        total += batch.number(0, "<q") if batch else 0
    return total
