"""Audit records of a kernel's connections: the first of a kind at once, those like it counted and told once a minute; bounded under a flood."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

EVERY_S = 60.0
MOST_LINES = 64  # kinds told apart at a time, for each kernel
OTHERS = "(other places)"

Key = tuple[str, str, bool, str]  # action, place, allowed, rule


@dataclass
class _Line:
    """What came since the last record of this kind."""

    reason: str
    count: int = 0
    up: int = 0
    down: int = 0
    more: dict[str, Any] = field(default_factory=dict)


class Tally:
    """Counts for one kernel. `write(action, place, allowed, reason, rule, **more)` makes one audit record."""

    def __init__(self, write: Callable[..., Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._lines: dict[Key, _Line] = {}
        self._told_s = clock()

    async def connection(self, place: str, allowed: bool, reason: str, rule: str, **more: Any) -> None:
        """A connection was allowed or refused."""
        line, is_first = self._line("network.connect", place, allowed, rule, reason)
        line.more = more
        if is_first:
            await self._write("network.connect", place, allowed, reason, rule, **more)
        else:
            line.count += 1

    async def traffic(self, place: str, rule: str, up: int, down: int) -> None:
        """A connection has ended after this many bytes sent and received."""
        line, is_first = self._line("network.bytes", place, True, rule, "")
        if is_first:
            await self._write("network.bytes", place, True, _bytes(up, down), rule)
        else:
            line.count, line.up, line.down = line.count + 1, line.up + up, line.down + down

    async def tell(self, *, at_once: bool = False) -> None:
        """Write what was counted, if a minute has passed or `at_once`."""
        if not at_once and self._clock() - self._told_s < EVERY_S:
            return
        lines, self._told_s = self._lines, self._clock()
        # a kind that goes on stays counted; one that rested is told at once when it comes again
        self._lines = {key: _Line(line.reason, more=line.more) for key, line in lines.items() if line.count}
        for (action, place, allowed, rule), line in lines.items():
            if line.count:
                said = _bytes(line.up, line.down) if action == "network.bytes" else line.reason
                await self._write(action, place, allowed, f"{line.count} more connections: {said}", rule, **line.more)

    def _line(self, action: str, place: str, allowed: bool, rule: str, reason: str) -> tuple[_Line, bool]:
        """Where to count, and whether it is the first of its kind."""
        key = (action, place, allowed, rule)
        if key not in self._lines and len(self._lines) >= MOST_LINES:
            key = (action, OTHERS, allowed, "")
            return self._lines.setdefault(key, _Line("to places of which too many came to tell each")), False
        is_first = key not in self._lines
        line = self._lines.setdefault(key, _Line(reason))
        line.reason = reason
        return line, is_first


def _bytes(up: int, down: int) -> str:
    return f"{up} bytes sent, {down} bytes received"
