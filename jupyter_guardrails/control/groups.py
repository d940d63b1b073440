"""The groups that the operating system knows somebody to be in (files, LDAP, anything behind NSS): asked per person, never enumerated.

A directory that doesn't answer changes nobody's groups: the last known ones are kept. Somebody of whom nothing was ever known is refused
rather than taken for a member of nothing, since a rule that denies may be for one of their groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import pwd
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_guardrails.errors import GroupsUnknown

log = logging.getLogger("jupyter_guardrails.control")
FRESH_S, RETRY_S, PATIENCE_S = 300.0, 30.0, 5.0
NAMELESS = re.compile(r"uid-\d+")
Names = tuple[str, ...]
Lookup = Callable[[str], Names]


def is_nameless(person: str) -> bool:
    """Whether that stands for a uid without an account's name (control/peers.py)."""
    return NAMELESS.fullmatch(person) is not None


def system_groups(person: str) -> Names:
    """Names of an account's groups, its own first; a uid without a name has none. KeyError if there is no such account; may block."""
    if is_nameless(person):
        return ()
    account = pwd.getpwnam(person)
    found = []
    for number in dict.fromkeys((account.pw_gid, *os.getgrouplist(person, account.pw_gid))):
        with contextlib.suppress(KeyError):  # a number without a name can't stand in a policy either
            found.append(grp.getgrgid(number).gr_name)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Known:
    """What was answered last, and when, in seconds of the clock."""

    groups: Names
    at_s: float


class Groups:
    """Answers from what is known; `refresh` asks again what is older than `fresh_s`, and waits `patience_s` at most.

    Without a `lookup` only the policy file tells groups: for people who are no accounts of this machine, as in the demo.
    """

    def __init__(
        self,
        lookup: Lookup | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        fresh_s: float = FRESH_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._lookup, self._clock = lookup, clock
        self._fresh_s, self._patience_s = fresh_s, patience_s
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Future[Names]] = {}

    def of(self, person: str) -> Names:
        """The groups last known; GroupsUnknown if there never was an answer."""
        if self._lookup is None:
            return ()
        if person not in self._known:
            message = f"this machine's directory does not tell the groups of {person}"
            raise GroupsUnknown(message, next_step="try again in a minute; your admin can look with: id " + person)
        return self._known[person].groups

    async def refresh(self, person: str) -> None:
        """Ask if it is time to. Returns when there is an answer, or when the patience is over."""
        known = self._known.get(person)
        if self._lookup is None or (known is not None and self._clock() - known.at_s < self._fresh_s):
            return
        answer = self._asking.get(person) or self._ask(person, self._lookup)
        if known is None:
            await asyncio.wait([answer], timeout=self._patience_s)  # later answers come by themselves: nobody waits for news of what is known

    def _ask(self, person: str, lookup: Lookup) -> asyncio.Future[Names]:
        """One question a person at a time, in a thread of its own that keeps nothing from ending: the answer may take minutes."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Names] = loop.create_future()
        answer.add_done_callback(lambda done: self._take(person, done))
        self._asking[person] = answer
        threading.Thread(target=_work, args=(person, lookup, answer, loop), name=f"groups of {person}", daemon=True).start()
        return answer

    def _take(self, person: str, answer: asyncio.Future[Names]) -> None:
        self._asking.pop(person, None)
        if answer.cancelled():
            return
        known, error = self._known.get(person), answer.exception()
        if error is None:
            self._known[person] = Known(answer.result(), self._clock())
        elif known is not None:
            log.warning("the groups of %s can't be told (%s): those known last stay", person, error)
            self._known[person] = Known(known.groups, self._clock() - self._fresh_s + RETRY_S)
        else:
            log.error("the groups of %s can't be told: %s", person, error)


def _work(person: str, lookup: Lookup, answer: asyncio.Future[Names], loop: asyncio.AbstractEventLoop) -> None:
    try:
        groups = lookup(person)
    except Exception as error:  # noqa: BLE001 - broad: a directory's plug-in may raise anything; `_take` refuses or keeps what is known
        _tell(loop, answer.set_exception, error)
    else:
        _tell(loop, answer.set_result, groups)


def _tell(loop: asyncio.AbstractEventLoop, say: Callable[..., None], what: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: control is gone
        loop.call_soon_threadsafe(say, what)
