"""What others change shows without reloading: while somebody looks, control is asked every few seconds whether it is still as it was.

A browser asks for its lists rarely, and hears of a change by an event, which is a hint to ask now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from jupyter_guardrails.errors import GuardrailsError

LOG = logging.getLogger(__name__)
EVERY_S = 3.0
LOOKED_S = 300.0  # longer than the panel's own pause between two readings: after that nobody looks any more
Marks = Mapping[str, str]


class Changes:
    """Tells each topic whose mark is another one, has come or has gone; `ask` gives the marks, `tell` says that a topic is worth reading again."""

    def __init__(self, ask: Callable[[], Awaitable[Marks]], tell: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._tell, self._clock = ask, tell, clock
        self._looked_at = -LOOKED_S
        self._known: Marks | None = None  # nothing to compare with yet

    async def looked(self) -> None:
        """Somebody reads one of the lists now. Called before that, so that what changes after the reading is another mark."""
        followed = self._followed()
        self._looked_at = self._clock()
        if not followed:
            self._known = None
            await self.look()

    async def look(self) -> None:
        """Compare, while somebody looks. Where control is away nothing is known and nothing told: whoever reads hears that."""
        if not self._followed():
            return
        try:
            found = await self._ask()
        except GuardrailsError as error:
            LOG.debug("nobody can say what has changed: %s", error)
            return
        before, self._known = self._known, found
        if before is not None:
            for topic in sorted(topic for topic in before.keys() | found.keys() if before.get(topic) != found.get(topic)):
                self._tell(topic)

    async def look_forever(self) -> None:
        """Every few seconds, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Exception:
                LOG.exception("what others have changed could not be looked for; the next look is in %g s", EVERY_S)

    def _followed(self) -> bool:
        return self._clock() - self._looked_at < LOOKED_S
