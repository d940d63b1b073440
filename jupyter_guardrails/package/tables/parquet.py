"""Columns and rows of a Parquet file: the first fields of its footer, in thrift's compact protocol.

https://github.com/apache/parquet-format (parquet.thrift); https://github.com/apache/thrift (thrift-compact-protocol.md)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from .bounds import MAX_DEPTH, MAX_FOOTER_BYTES, MAX_VALUES, Unread
from .places import tail

PHYSICAL = ("boolean", "integer", "integer", "timestamp", "number", "number", "string", "string")  # by number
CONVERTED = {1: "object", 2: "object", 3: "array", 5: "number", 6: "date", 7: "time", 8: "time", 9: "timestamp", 10: "timestamp"}
LOGICAL = {1: "string", 2: "object", 3: "array", 4: "string", 5: "number", 6: "date", 7: "time", 8: "timestamp", 10: "integer", 11: "string"}
LOGICAL |= {15: "number"}


class _Thrift:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.left = data, 0, MAX_VALUES

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        found = shift = 0
        while True:
            part = self.byte()
            found |= (part & 127) << shift
            shift += 7
            if part < 128:
                return found
            if shift > 70:
                raise ValueError("a number without end")

    def zigzag(self) -> int:
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def fields(self, depth: int = 0) -> Iterator[tuple[int, Any]]:
        """Number and value of each field of a struct, in the order of the file."""
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            yield field, self.value(head & 15, depth)

    def value(self, kind: int, depth: int, *, in_list: bool = False) -> Any:
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise ValueError("too deep, or too much")
        if kind in (1, 2):  # in a struct the type is the value
            return self.byte() == 1 if in_list else kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.at += 8
            return None
        if kind == 8:
            length = self.varint()
            self.at += length
            if self.at > len(self.data):
                raise ValueError("cut off")
            return self.data[self.at - length : self.at]
        if kind in (9, 10):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            if count > len(self.data) - self.at:
                raise ValueError("more elements than bytes")
            return [self.value(head & 15, depth + 1, in_list=True) for _ in range(count)]
        if kind == 12:
            return dict(self.fields(depth + 1))
        raise ValueError(f"type {kind}")


def read(file: BinaryIO, size: int, counted_bytes: int) -> tuple[list[tuple[str, str]], int | None]:
    """Name and type of each column, and how many rows there are."""
    length, magic = struct.unpack("<I4s", tail(file, size, 8))
    if magic != b"PAR1":
        raise Unread("its footer is encrypted, or not there" if magic == b"PARE" else "it has no footer: it was not written to its end")
    footer = _footer(file, size, length)
    rows = footer[3]
    if not isinstance(rows, int) or rows < 0:
        raise ValueError("no number of rows")
    return _columns(footer[2]), rows


def _footer(file: BinaryIO, size: int, length: int) -> dict[int, Any]:
    """Fields 2 (the schema) and 3 (how many rows) of the footer."""
    if length + 12 > size:
        raise ValueError("longer than the file")
    file.seek(size - 8 - length)
    found: dict[int, Any] = {}
    for field, value in _Thrift(file.read(min(length, MAX_FOOTER_BYTES))).fields():
        found[field] = value
        if {2, 3} <= found.keys():
            break
    return found


def _columns(schema: list[dict[int, Any]]) -> list[tuple[str, str]]:
    """The root's children; what is nested in them is passed over."""
    found, at = [], 1
    for _ in range(schema[0].get(5, 0)):
        element = schema[at]
        found.append((element[4].decode(), _type(element)))
        at = _after(schema, at, 0)
    return found


def _after(schema: list[dict[int, Any]], at: int, depth: int) -> int:
    if depth > 100:
        raise ValueError("too deep")
    end = at + 1
    for _ in range(schema[at].get(5) or 0):
        end = _after(schema, end, depth + 1)
    return end


def _type(element: Mapping[int, Any]) -> str:
    if element.get(3) == 2:  # repeated without a list around it
        return "array"
    logical = next(iter(element.get(10) or {}), None)
    if logical in LOGICAL:
        return LOGICAL[logical]
    if element.get(6) in CONVERTED:
        return CONVERTED[element[6]]
    return PHYSICAL[element[1]] if 1 in element else "object"
