"""Contracts by number: sets of them are then bits of one integer, and a number never comes to mean another contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

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

    def after(self, contracts: Iterable[Contract]) -> Numbered:
        """With these contracts instead: those that are the very same objects keep their numbers. Starts anew when most numbers are unused."""
        wanted = {contract.name: contract for contract in contracts}
        kept = {name: number for name, number in self.numbers.items() if self.contracts[number] is wanted.get(name)}
        places: list[Contract | None] = [None] * len(self.contracts)
        if len(self.contracts) > 2 * len(wanted) + ROOM:
            kept, places = {}, []
        for number in kept.values():
            places[number] = self.contracts[number]
        numbers = dict(kept)
        for name in wanted.keys() - kept.keys():
            numbers[name] = len(places)
            places.append(wanted[name])
        return Numbered(tuple(places), numbers)

    def continues(self, other: Numbered) -> bool:
        """Whether what stands under a number of both is the same contract, or gone from here."""
        pairs = zip(self.contracts, other.contracts, strict=False)
        return len(self.contracts) >= len(other.contracts) and all(mine is None or mine is theirs for mine, theirs in pairs)

    def items(self) -> Iterator[tuple[int, Contract]]:
        """Each number with its contract."""
        return ((number, contract) for number, contract in enumerate(self.contracts) if contract is not None)

    @cached_property
    def ordered(self) -> tuple[int, ...]:
        """The numbers in the order of the names."""
        return tuple(number for _, number in sorted(self.numbers.items()))

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """The labels of each, at its number."""
        return tuple(NOBODY if contract is None else contract.resource for contract in self.contracts)


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
