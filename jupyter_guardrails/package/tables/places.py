"""Where in a file its footer is."""

from __future__ import annotations

from typing import BinaryIO


def tail(file: BinaryIO, size: int, count: int) -> bytes:
    """The last bytes of a file of that size; ValueError where it has fewer."""
    if size < count:
        raise ValueError("too short")
    file.seek(size - count)
    return file.read(count)
