"""Contracts by number: sets of them are then bits of one integer, and a number never comes to mean another contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.policy.decision import Resource

Bits = int  # a set of contracts: bit n stands for number n
ROOM = 1000  # so many numbers of contracts that are gone are kept, beside as many as there are contracts
NOBODY = Resource("")  # has no name that any decision accepts


@dataclass(frozen=True)
class Numbered:
    """`contracts[number]`, None where the contract is gone or has changed: then it has another number."""

    contracts: tuple[Contract | None, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)  # name -> number
    ordered: tuple[int, ...] = ()  # the numbers in the order of the names
    there: Bits = 0  # the numbers that stand for a contract
    line: object = field(default_factory=object, compare=False, repr=False)  # the same while numbers go on

    def after(self, contracts: Iterable[Contract]) -> Numbered:
        """With these contracts instead: those that are the very same objects keep their numbers."""
        wanted = {contract.name: contract for contract in contracts}
        return self.changed({name: wanted.get(name) for name in self.numbers.keys() | wanted.keys()})

    def changed(self, found: Mapping[str, Contract | None]) -> Numbered:
        """With these under their names, None for one that is gone; all others stay. Starts anew when most numbers are unused."""
        differing = {name: one for name, one in found.items() if one is not self._named(name)}
        if not differing:
            return self
        numbers = dict(self.numbers)
        gone = {number for name in differing if (number := numbers.pop(name, None)) is not None}
        fresh = [one for one in differing.values() if one is not None]
        if len(self.contracts) + len(fresh) > 2 * (len(numbers) + len(fresh)) + ROOM:
            kept = (self.contracts[number] for number in numbers.values())
            return Numbered().changed({one.name: one for one in (*kept, *fresh) if one is not None})
        return self._with(numbers, gone, fresh)

    def continues(self, other: Numbered) -> bool:
        """Whether what stands under a number of both is the same contract, or gone from here."""
        return self.line is other.line and len(self.contracts) >= len(other.contracts)

    def items(self, start: int = 0) -> Iterator[tuple[int, Contract]]:
        """Each number from `start` on, with its contract."""
        return ((number, contract) for number, contract in enumerate(self.contracts[start:], start) if contract is not None)

    def among(self, found: Bits) -> Iterator[Contract]:
        """The contracts whose numbers are in a set."""
        contracts = (self.contracts[number] for number in members(found, len(self.contracts)))
        return (contract for contract in contracts if contract is not None)

    def resources(self, start: int = 0) -> tuple[Resource, ...]:
        """The labels of each number from `start` on."""
        return tuple(NOBODY if contract is None else contract.resource for contract in self.contracts[start:])

    def _named(self, name: str) -> Contract | None:
        number = self.numbers.get(name)
        return None if number is None else self.contracts[number]

    def _with(self, numbers: dict[str, int], gone: set[int], fresh: Sequence[Contract]) -> Numbered:
        """`numbers`: of those that stay."""
        first, size = len(self.contracts), len(self.contracts) + len(fresh)
        contracts = [*self.contracts, *fresh]
        for number in gone:
            contracts[number] = None
        numbers |= {one.name: number for number, one in enumerate(fresh, first)}
        names = [one.name if one else "" for one in contracts]
        # nearly in order already, which makes this quick
        ordered = sorted([*(number for number in self.ordered if number not in gone), *range(first, size)], key=names.__getitem__)
        there = self.there & ~bits(gone, size) | bits(range(first, size), size)
        return Numbered(tuple(contracts), numbers, tuple(ordered), there, self.line)


def bits(numbers: Iterable[int], size: int) -> Bits:
    """The set of these numbers, all below `size`."""
    octets = bytearray(size // 8 + 1)
    for number in numbers:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")


def members(found: Bits, size: int) -> Iterator[int]:
    """The numbers in a set, lowest first."""
    octets = found.to_bytes(size // 8 + 1, "little")
    return (number << 3 | place for number, octet in enumerate(octets) if octet for place in range(8) if octet >> place & 1)
