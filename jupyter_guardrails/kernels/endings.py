"""What control says at a beat about limits that come near, carried out here: each sentence once, each interrupt once, the end with its reason.

Control keeps the state and names the phase; where it does not answer, nothing is interrupted and nothing ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

BUSY_SHARE = 0.05  # of one processor: a kernel at rest takes 0.1 to 2 %, a child or thread that works takes more
BUSY_WINDOW_S, SHORTEST_WINDOW_S = 10.0, 2.0  # processor time is counted in hundredths of a second
SHARE_OF_IDLE = 0.2  # the window is shorter where the idle time is


class Ended(Protocol):
    """Of what the watch watches, the part that this needs."""

    def idle_s(self) -> float:
        """Seconds since its person last used it."""

    def say(self, text: str) -> None:
        """Show its person a sentence."""

    async def interrupt(self) -> None:
        """Stop what it is doing; its variables stay."""

    async def end(self, reason: str, *, restart: bool) -> None:
        """End it and show the reason."""


@dataclass(frozen=True, slots=True)
class Told:
    """One notice of control's answer."""

    lease: str
    cause: str
    phase: str
    since: str
    text: str
    rule: str
    say: bool

    @property
    def sentence(self) -> str:
        """With its rule."""
        return f"{self.text} ({self.rule})" if self.rule else self.text


class Endings:
    """Remembers what was said and done; one for all leases of a server."""

    def __init__(self) -> None:
        self._done: dict[tuple[str, str], tuple[str, str]] = {}

    def news(self, told: Iterable[Mapping[str, Any]]) -> list[Told]:
        """Those that are new since the last answer, and every end that is still to come about; forgets what control no longer says."""
        found = [Told(**item) for item in told]
        fresh = [item for item in found if item.phase == "ended" or self._done.get((item.lease, item.cause)) != (item.phase, item.since)]
        self._done = {(item.lease, item.cause): (item.phase, item.since) for item in found}
        return fresh


async def carry_out(told: Told, watched: Ended, *, idle_s: float) -> None:
    """Say it, interrupt or end. What is used again in this moment isn't idle: control hears of it at the next beat."""
    if told.phase == "ended":
        if not (told.cause == "idle" and idle_s == 0):
            await watched.end(told.sentence, restart=False)
        return
    if told.phase == "interrupted" and watched.idle_s() == 0:
        await watched.interrupt()
    if told.say:
        watched.say(told.sentence)


class Busyness:
    """When a tree last worked without a cell that runs: a child or a thread that takes processor time is use."""

    def __init__(self, now: float) -> None:
        self.busy_at = now
        self._mark: tuple[float, float] | None = None

    def look(self, now: float, cpu_s: float, *, idle_limit_s: float | None) -> None:
        """One measurement; compares with the beginning of the window."""
        if self._mark is None or cpu_s < self._mark[1]:
            self._mark = (now, cpu_s)
            return
        began, before_s = self._mark
        if now - began < _window_s(idle_limit_s):
            return
        if cpu_s - before_s >= BUSY_SHARE * (now - began):
            self.busy_at = now
        self._mark = (now, cpu_s)

    def idle_s(self, now: float, unused_s: float) -> float:
        """The shorter of both: since its person used it, since it worked."""
        return min(unused_s, max(0.0, now - self.busy_at))


def _window_s(idle_limit_s: float | None) -> float:
    return max(SHORTEST_WINDOW_S, min(BUSY_WINDOW_S, SHARE_OF_IDLE * idle_limit_s)) if idle_limit_s else BUSY_WINDOW_S
