"""What is granted for a while, as part of a person's policy: read anew each second, ended at its time, whoever asks or doesn't."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import Records

READ_S = 1.0
ENDED_BY = "control"
OVER = "its time is over"
Holder = tuple[str, str]  # `person` or `group`, and its name


class Grant(Protocol):
    """What lasts until a time; `label` says how it was granted where that is no matter of course."""

    @property
    def label(self) -> str: ...
    @property
    def granted_by(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...


Item = TypeVar("Item", bound=Grant)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Item]):
    """Grants of a kind: how they are read, how those that are over are ended, who has one, and what a policy is with some of them (pure)."""

    active: Callable[[Connection], list[Item]]
    end: Callable[[Connection, Item, datetime], None]
    holder: Callable[[Item], Holder]
    with_items: Callable[[EffectivePolicy, tuple[Item, ...]], EffectivePolicy]


class Lasting(Generic[Item]):
    """Grants of a kind that hold at present. One for a control process; another process's are seen within a second."""

    def __init__(self, kind: Kind[Item]) -> None:
        self._kind = kind
        self._held: dict[Holder, list[Item]] = {}
        self._read_at = -READ_S
        self._applied: dict[str, tuple[EffectivePolicy, tuple[Item, ...], EffectivePolicy]] = {}

    def forget(self) -> None:
        """Read again at the next question: something was decided."""
        self._read_at = -READ_S

    async def refresh(self, records: Records, *, now: datetime) -> None:
        """Read what is granted; end what is over, with its record."""
        if time.monotonic() - self._read_at < READ_S:
            return
        self._read_at = time.monotonic()
        found = await records.read(self._kind.active)
        if any(item.expires_at <= now for item in found):
            found = await records.write(self._end_due, now=now)
        held = defaultdict(list)
        for item in found:
            held[self._kind.holder(item)].append(item)
        self._held = dict(held)

    def applied(self, policy: EffectivePolicy, *, now: datetime) -> EffectivePolicy:
        """The policy with what its person has now, for themselves or by a group; the same object where that is nothing."""
        holders = (("person", policy.person), *(("group", group) for group in policy.groups))
        mine = tuple(item for holder in holders for item in self._held.get(holder, ()) if item.expires_at > now)
        if not mine:
            return policy
        known = self._applied.get(policy.person)
        if known is None or known[0] is not policy or known[1] != mine:
            known = self._applied[policy.person] = (policy, mine, self._kind.with_items(policy, mine))
        return known[2]

    def _end_due(self, connection: Connection, *, now: datetime) -> list[Item]:
        """End what is over; what still lasts."""
        for item in self._kind.active(connection):
            if item.expires_at <= now:
                self._kind.end(connection, item, now)
        return self._kind.active(connection)


def until_and_by(item: Grant) -> str:
    """When it ends and who granted it, as rules say it."""
    return f"until {item.expires_at:%Y-%m-%d %H:%M} UTC by {item.granted_by}" + (f", {item.label}" if item.label else "")
