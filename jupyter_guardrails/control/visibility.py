"""Which datasets one person may know of, and which of those they read or may ask for: sets that a search looks into.

What the policy says of a hundred thousand datasets is made once for a policy and a catalogue, joined for a person in a fraction of a
millisecond (policy/visible.py), and kept for the people who ask. The few datasets about which grants, suspensions, break-glass, mistakes in
contracts or masks have a say are decided one by one, as a read decides them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
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

MOST_PEOPLE = 256  # whose sets are kept: 50 KB each with 100,000 datasets


@dataclass(frozen=True, slots=True)
class Sets:
    """Numbers of datasets as bits: what a person may know of, what they read, what they may ask for."""

    listed: Bits = 0
    granted: Bits = 0
    requestable: Bits = 0

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
            self.listed & others | bits((n for n, access in decided.items() if access.listed), size),
            self.granted & others | bits((n for n, access in decided.items() if access.granted), size),
            self.requestable & others | bits((n for n, access in decided.items() if access.status == "requestable"), size),
        )


class VisibleDatasets:
    """Keeps the sets of people under the policy and the catalogue of the last question. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ground: _Ground | None = None

    async def of(self, effective: EffectivePolicy, policy: Policy, shelf: Shelf, rights: Rights, now: datetime) -> Sets:
        """One person's, as `rights.access` says of each dataset."""
        ground = self._ground
        if ground is None or not ground.is_of(policy, shelf):
            ground = await asyncio.to_thread(self._renew, policy, shelf)
        sets = ground.people.get((effective.person, effective.groups))
        if sets is None:
            sets = await asyncio.to_thread(ground.person, effective, now)
        return _with_rights(sets, shelf.numbered, ground.above, effective, rights, now)

    def _renew(self, policy: Policy, shelf: Shelf) -> _Ground:
        with self._lock:
            if self._ground is None or not self._ground.is_of(policy, shelf):
                self._ground = _Ground(policy, shelf.numbered)
            return self._ground


class _Ground:
    """One policy and one catalogue: what is the same for all people, and what was made for some of them."""

    def __init__(self, policy: Policy, numbered: Numbered) -> None:
        self._policy, self._numbered, self._size = policy, numbered, len(numbered.contracts)
        self._visibility = Visibility(policy, numbered.resources)
        self._lock = threading.Lock()
        contracts = list(numbered.items())
        self._all = bits((number for number, _ in contracts), self._size)
        self._broken = bits((number for number, contract in contracts if contract.problems), self._size)
        self._unplain = bits((number for number, contract in contracts if not _is_plain(contract)), self._size)
        self._labelled = _by_label(contracts, self._size)
        self.above = _by_input(contracts)
        self.people: OrderedDict[tuple[str, tuple[str, ...]], Sets] = OrderedDict()

    def is_of(self, policy: Policy, shelf: Shelf) -> bool:
        return self._policy is policy and self._numbered is shelf.numbered

    def person(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """What the policy says for one person who has no grants and whom nothing stops; kept."""
        sets = self._soft(effective, now) if _is_soft(effective) else self._strict(effective, now)
        with self._lock:
            self.people[effective.person, effective.groups] = sets
            while len(self.people) > MOST_PEOPLE:
                self.people.popitem(last=False)
        return sets

    def _strict(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """Every refusal is one, so that the policy's bits hold for all that can be delivered as it is."""
        seen = self._visibility.of(effective.person, effective.groups, attributes=effective.attributes)
        listed = self._all if effective.browse.value == "all" else seen.readable | seen.requestable
        sets = Sets(listed, seen.readable, seen.requestable & ~seen.readable)
        return self._decided(sets, self._broken | seen.readable & self._bound(effective, seen.readable), effective, now)

    def _soft(self, effective: EffectivePolicy, now: datetime) -> Sets:
        """Some refusals are only observed or warned about: each dataset is decided by itself."""
        return self._decided(Sets(), self._all, effective, now)

    def _decided(self, sets: Sets, which: Bits, effective: EffectivePolicy, now: datetime) -> Sets:
        contracts = ((number, self._numbered.contracts[number]) for number in members(which, self._size))
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
    return contract.status in OFFERED and contract.delivery == "direct" and not wishes and not contract.problems


def _by_label(contracts: Iterable[tuple[int, Contract]], size: int) -> dict[str, Bits]:
    """For each classification of columns, as masks are looked up: the contracts that have such a column."""
    found: dict[str, list[int]] = {}
    for number, contract in contracts:
        for label in {column.classification for column in contract.columns if column.classification}:
            found.setdefault(label.casefold(), []).append(number)
    return {label: bits(numbers, size) for label, numbers in found.items()}


def _by_input(contracts: Iterable[tuple[int, Contract]]) -> dict[str, list[int]]:
    """For each dataset that products are made of, these."""
    found: dict[str, list[int]] = {}
    for number, contract in contracts:
        for one in parts_of(contract) if contract.made_from else ():
            found.setdefault(one.name, []).append(number)
    return found


def _is_soft(effective: EffectivePolicy) -> bool:
    return effective.mode.value != "enforce" or any(mode != "enforce" for mode in effective.deny_modes.values())


def _with_rights(sets: Sets, numbered: Numbered, above: Mapping[str, list[int]], effective: EffectivePolicy, rights: Rights, now: datetime) -> Sets:
    """With grants, suspensions (of what products are made of, too) and break-glass: nothing is open to whom an admin has suspended."""
    numbers = {numbered.numbers[name] for name in {*rights.grants, *rights.datasets, *rights.exempt} if name in numbered.numbers}
    numbers |= {number for name in rights.datasets for number in above.get(name, ())}
    access = partial(rights.access, policy=effective, now=now)
    named = ((number, contract) for number in numbers if (contract := numbered.contracts[number]))
    decided = sets.with_decided(((number, access(contract)) for number, contract in named), len(numbered.contracts))
    return replace(decided, granted=0, requestable=0) if rights.person else decided
