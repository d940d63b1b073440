"""Which datasets one person may know of, and which of those they read or may ask for: sets that a search looks into.

What the policy says of a hundred thousand datasets is made once for a policy and a catalogue, joined for a person in a fraction of a
millisecond (policy/visible.py), and kept for the people who ask. The few datasets about which grants, suspensions, break-glass, mistakes in
contracts or masks have a say are decided one by one, as a read decides them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from jupyter_guardrails.catalog.access import Access, access_to
from jupyter_guardrails.catalog.delivery import OFFERED
from jupyter_guardrails.catalog.folder import Shelf
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.numbered import Bits, Numbered, bits, members
from jupyter_guardrails.catalog.products import parts_of
from jupyter_guardrails.policy import EffectivePolicy, Policy
from jupyter_guardrails.policy.visible import Visibility

if TYPE_CHECKING:
    from jupyter_guardrails.control.rights import Rights  # that knows the state, which keeps what is made here

MOST_PEOPLE = 256  # whose sets are kept: 75 KB each with 100,000 datasets
MOST_LATER = 2000  # datasets that came since what is kept was made: so many are looked at beside it
Person = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sets:
    """Numbers of datasets as bits: what a person may know of, what they read, what they may ask for, and of what they read the files themselves.

    `shut` and `softly` are known where the policy only observes or warns: what it refuses, or masks, all the same; and what it lets be read although
    enforcement would refuse it.
    """

    listed: Bits = 0
    granted: Bits = 0
    requestable: Bits = 0
    raw: Bits = 0
    shut: Bits = 0
    softly: Bits = 0

    def within(self, scope: str) -> Bits:
        """Those of a scope: all, granted or requestable."""
        return self.listed if scope == "all" else self.listed & (self.granted if scope == "granted" else self.requestable)

    def with_decided(self, found: Iterable[tuple[int, Access]], size: int) -> Sets:
        """With these instead of what was known about the same numbers."""
        decided = dict(found)
        if not decided:
            return self
        others = ~bits(decided, size)
        return Sets(
            *(known & others | bits((n for n, one in decided.items() if has(one)), size) for known, has in zip(self.each(), SAID, strict=True))
        )

    def each(self) -> tuple[Bits, ...]:
        """The sets, in the order of their names above."""
        return (self.listed, self.granted, self.requestable, self.raw, self.shut, self.softly)

    def beside(self, later: Sets, start: int, there: Bits) -> Sets:
        """Together with sets of the numbers from `start` on, counted from 0; without those that are gone."""
        return Sets(*((mine | theirs << start) & there for mine, theirs in zip(self.each(), later.each(), strict=True)))


def stays_shut(access: Access) -> bool:
    """Refused whatever the mode, or given out by the broker alone: the file behind a mask has what the mask hides."""
    return not access.bounds.raw if access.granted else access.decision.blocks


SAID: tuple[Callable[[Access], bool], ...] = (  # for each of the sets
    lambda access: access.listed,
    lambda access: access.granted,
    lambda access: access.status == "requestable",
    lambda access: access.granted and access.bounds.raw,
    stays_shut,
    lambda access: access.granted and not access.decision.allowed,
)


class VisibleDatasets:
    """Keeps the sets of people under the policy and the catalogue of the last question. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grounds: tuple[_Ground, ...] = ()  # one for most of the catalogue, and one for what came since it was made

    async def of(self, effective: EffectivePolicy, policy: Policy, numbered: Numbered, rights: Rights, now: datetime) -> Sets:
        """One person's, as `rights.access` says of each dataset. Each is asked for where the person's policy is not of the policy given."""
        if policy.digest != effective.digest:
            decided = ((number, rights.access(contract, effective, now)) for number, contract in numbered.items())
            return await asyncio.to_thread(Sets().with_decided, decided, len(numbered.contracts))
        grounds = self._grounds
        if not _are_of(grounds, policy, numbered):
            grounds = await asyncio.to_thread(self._renew, policy, numbered)
        person = (effective.person, effective.groups)
        if any(person not in ground.people for ground in grounds):
            await asyncio.to_thread(_prepare, grounds, effective, now)
        first, *later = (ground.of(effective, now) for ground in grounds)
        sets = first.beside(later[0] if later else Sets(), grounds[-1].start, numbered.there)
        return _with_rights(sets, numbered, grounds, effective, rights, now)

    async def prepare(self, policy: Policy | None, shelf: Shelf | None) -> None:
        """Make what is the same for all people before somebody waits for it; nothing where there is no policy or no catalogue yet."""
        if policy is not None and shelf is not None and not _are_of(self._grounds, policy, shelf.numbered):
            await asyncio.to_thread(self._renew, policy, shelf.numbered)

    def _renew(self, policy: Policy, numbered: Numbered) -> tuple[_Ground, ...]:
        with self._lock:
            if _are_of(self._grounds, policy, numbered):
                return self._grounds
            first = self._grounds[0] if self._grounds else None
            if first is None or not first.is_below(policy, numbered):
                first = _Ground(policy, numbered)
            whole = first.end == len(numbered.contracts)
            self._grounds = (first,) if whole else (first, _Ground(policy, numbered, first.end))
            return self._grounds


def _are_of(grounds: tuple[_Ground, ...], policy: Policy, numbered: Numbered) -> bool:
    return bool(grounds) and grounds[0].is_below(policy, numbered) and grounds[-1].end == len(numbered.contracts)


def _prepare(grounds: Iterable[_Ground], effective: EffectivePolicy, now: datetime) -> None:
    for ground in grounds:
        ground.of(effective, now)


class _Ground:
    """One policy and the contracts from a number on: what is the same for all people, and what was made for some of them.

    Bits count from `start`. A number's contract never becomes another one, so that what is known of it stays true until it is gone.
    """

    def __init__(self, policy: Policy, numbered: Numbered, start: int = 0) -> None:
        self._policy, self._numbered, self.start, self.end = policy, numbered, start, len(numbered.contracts)
        self._size = self.end - start
        self._visibility = Visibility(policy, numbered.resources(start))
        self._lock = threading.Lock()
        contracts = [(number - start, contract) for number, contract in numbered.items(start)]
        self._all = bits((number for number, _ in contracts), self._size)
        self._broken = bits((number for number, contract in contracts if contract.problems), self._size)
        self._unplain = bits((number for number, contract in contracts if not _is_plain(contract)), self._size)
        self._labelled = _by_label(contracts, self._size)
        self.above = _by_input(contracts, start)
        self.people: OrderedDict[Person, Sets] = OrderedDict()

    def is_below(self, policy: Policy, numbered: Numbered) -> bool:
        """Whether it holds for these contracts, as far as it goes, and few have come since."""
        few = len(numbered.contracts) - self.end <= MOST_LATER
        return self._policy is policy and numbered.continues(self._numbered) and few

    def of(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """What the policy says for one person who has no grants and whom nothing stops; kept."""
        person = (effective.person, effective.groups)
        if (sets := self.people.get(person)) is not None:
            return sets
        sets = self._soft(effective, now) if _is_soft(effective) else self._strict(effective, now)
        with self._lock:
            self.people[person] = sets
            while len(self.people) > MOST_PEOPLE:
                self.people.popitem(last=False)
        return sets

    def _strict(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """Every refusal is one, so that the policy's bits hold for all that can be delivered as it is."""
        seen = self._visibility.of(effective.person, effective.groups, attributes=effective.attributes)
        listed = self._all if effective.browse.value == "all" else seen.readable | seen.requestable
        sets = Sets(listed, seen.readable, seen.requestable & ~seen.readable, raw=seen.readable)
        return self._decided(sets, self._broken | seen.readable & self._bound(effective, seen.readable), effective, now)

    def _soft(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """Some refusals are only observed or warned about: each dataset is decided by itself."""
        return self._decided(Sets(), self._all, effective, now)

    def _decided(self, sets: Sets, which: Bits, effective: EffectivePolicy, now: datetime) -> Sets:
        contracts = ((number, self._numbered.contracts[self.start + number]) for number in members(which, self._size))
        return sets.with_decided(((number, access_to(contract, effective, now)) for number, contract in contracts if contract), self._size)

    def _bound(self, effective: EffectivePolicy, readable: Bits) -> Bits:
        """What is readable, but may be bound to something that can't be delivered."""
        found = self._unplain
        for label in effective.masks:
            found |= self._labelled.get(label, 0)
        if effective.rows:
            readable_names = ((number, self._visibility.names[number]) for number in members(readable & ~found, self._size))
            found |= bits((number for number, name in readable_names if effective.row_index.of(name)), self._size)
        return found


def _is_plain(contract: Contract) -> bool:
    """Whether nothing in the contract itself bounds a read."""
    wishes = contract.row_filter or contract.purposes or any(column.mask for column in contract.columns)
    return contract.status in OFFERED and contract.delivery == "direct" and bool(contract.path) and not wishes and not contract.problems


def _by_label(contracts: Iterable[tuple[int, Contract]], size: int) -> dict[str, Bits]:
    """For each classification of columns, as masks are looked up: the contracts that have such a column."""
    found: dict[str, list[int]] = {}
    for number, contract in contracts:
        for label in {column.classification for column in contract.columns if column.classification}:
            found.setdefault(label.casefold(), []).append(number)
    return {label: bits(numbers, size) for label, numbers in found.items()}


def _by_input(contracts: Iterable[tuple[int, Contract]], start: int) -> dict[str, list[int]]:
    """For each dataset that products are made of, these, by their numbers in the whole catalogue."""
    found: dict[str, list[int]] = {}
    for number, contract in contracts:
        for one in parts_of(contract) if contract.made_from else ():
            found.setdefault(one.name, []).append(start + number)
    return found


def _is_soft(effective: EffectivePolicy) -> bool:
    return effective.mode.value != "enforce" or any(mode != "enforce" for mode in effective.deny_modes.values())


def _with_rights(sets: Sets, numbered: Numbered, grounds: Iterable[_Ground], effective: EffectivePolicy, rights: Rights, now: datetime) -> Sets:
    """With grants, suspensions (of what products are made of, too) and break-glass: nothing is open to whom an admin has suspended."""
    numbers = {numbered.numbers[name] for name in {*rights.grants, *rights.datasets, *rights.exempt} if name in numbered.numbers}
    numbers |= {number for name in rights.datasets for number in chain.from_iterable(ground.above.get(name, ()) for ground in grounds)}
    access = partial(rights.access, policy=effective, now=now)
    named = ((number, contract) for number in numbers if (contract := numbered.contracts[number]))
    decided = sets.with_decided(((number, access(contract)) for number, contract in named), len(numbered.contracts))
    return replace(decided, granted=0, requestable=0, raw=0, shut=numbered.there, softly=0) if rights.person else decided
