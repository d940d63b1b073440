"""Connections that nobody has been answered on yet: bounded for each account, so that one of them can't shut the others out."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass, field

MAX_WAITING = 64  # connections of one account without a whole request; beyond it its oldest goes, so that idle ones keep nobody out
MAX_AT_ONCE = 256  # requests of one account that are being answered, beside those; a server has a handful
ALL_WAITING = 1024  # of all accounts; beyond it the account with most of them loses its oldest


@dataclass
class Waiting:
    """Who waits (a connection without a whole request), and how many conversations each account has."""

    tasks: dict[socket.socket, tuple[int, asyncio.Task[None]]] = field(default_factory=dict)  # oldest first
    talking: Counter[int] = field(default_factory=Counter)

    def is_full(self, uid: int) -> bool:
        """Whether this account has more on its hands than any of our programs asks for at once."""
        return self.talking[uid] >= MAX_WAITING + MAX_AT_ONCE

    def add(self, connection: socket.socket, uid: int, task: asyncio.Task[None]) -> None:
        """One more, for which another one may have to go."""
        if sum(1 for owner, _ in self.tasks.values() if owner == uid) >= MAX_WAITING:
            self.evict(uid)
        elif len(self.tasks) >= ALL_WAITING:
            self.evict()
        self.tasks[connection] = (uid, task)
        self.talking[uid] += 1
        task.add_done_callback(lambda _: self._ended(connection, uid))

    def received(self, connection: socket.socket) -> None:
        """Its request is there, or never will be."""
        self.tasks.pop(connection, None)

    def evict(self, uid: int | None = None) -> None:
        """End the connection that has kept us waiting longest: of this account, or of the one that has most of them."""
        if uid is None:
            uid = next(iter(Counter(owner for owner, _ in self.tasks.values()).most_common(1)), (None, 0))[0]
        oldest = next((connection for connection, (owner, _) in self.tasks.items() if owner == uid), None)
        if oldest is not None:
            self.tasks.pop(oldest)[1].cancel()

    def cancel_all(self) -> None:
        """End them all."""
        for _, task in self.tasks.values():
            task.cancel()

    def _ended(self, connection: socket.socket, uid: int) -> None:
        self.tasks.pop(connection, None)
        self.talking[uid] -= 1
        if self.talking[uid] <= 0:
            del self.talking[uid]
