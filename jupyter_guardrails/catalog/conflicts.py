"""Contracts that claim what another one has: its name, its place, or a place inside of its own. Kept while single contracts come and go."""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Mapping
from heapq import nsmallest

from jupyter_guardrails.catalog import servers
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.errors import Problem

MOST_NAMED = 10  # other files in one sentence
MOST_INSIDE = 100  # mistakes of one contract about what lies inside of its place
BEHIND_SLASH = chr(ord("/") + 1)
Groups = dict[Hashable, list[str]]  # what is claimed -> the files that claim it, in their order
Place = tuple[str, str]  # where the data is, and the contract's file


class Claims:
    """What contracts claim, each as its file says by itself. `problems_of` one is what other contracts make of it."""

    def __init__(self, contracts: Iterable[Contract] = ()) -> None:
        self.contracts: dict[str, Contract] = {}  # by file
        self._names: Groups = {}
        self._identities: Groups = {}
        self._identity: dict[str, Hashable] = {}
        for contract in contracts:
            self._enter(contract)
        self._places: list[Place] = sorted((place, file) for file, one in self.contracts.items() if (place := _place(one)))

    def replace(self, fresh: Mapping[str, Contract], gone: Iterable[str]) -> set[str]:
        """Take these instead of what the same files said. The files about which something else may be wrong now."""
        touched = set(fresh)
        for file in (*gone, *fresh):
            if (before := self.contracts.get(file)) is not None:
                touched |= self._beside(before)
                self._leave(before)
        for contract in fresh.values():
            self._enter(contract)
            if place := _place(contract):
                insort(self._places, (place, contract.file))
        for contract in fresh.values():
            touched |= self._beside(contract)
        return touched & self.contracts.keys()

    def look_again(self) -> set[str]:
        """Which file or folder each place is now: data that was moved or linked since makes a conflict, or ends one. The files that it is about."""
        touched: set[str] = set()
        for file, contract in self.contracts.items():
            found, before = _identity(contract), self._identity[file]
            if found != before:
                touched |= {file, *self._identities.get(before, ())}
                _drop(self._identities, before, file)
                self._identify(file, found)
                touched |= {*self._identities.get(found, ())}
        return touched

    def named(self, name: str) -> str | None:
        """The first file whose contract has this name."""
        return next(iter(self._names.get(name, ())), None)

    def problems_of(self, file: str) -> tuple[Problem, ...]:
        """A problem for each thing that another contract claims too."""
        one = self.contracts[file]
        said = (*self._same_name(one), *self._same_place(one), *self._inside(one))
        return tuple(Problem(file, one.path_line, 1, message, hint) for message, hint in said)

    def _same_name(self, one: Contract) -> Iterator[tuple[str, str]]:
        if len(group := self._names[one.name]) > 1:
            yield f"{one.name} is also the name in {_others(group, one.file)}", "one contract a dataset: remove or rename one"

    def _same_place(self, one: Contract) -> Iterator[tuple[str, str]]:
        identity = self._identity[one.file]
        if identity is not None and len(group := self._identities[identity]) > 1:
            message = f"{servers.shown(one.place)} is also the place of {_others(group, one.file)}"
            yield message, "one contract a place: remove one, or split the data"

    def _inside(self, one: Contract) -> Iterator[tuple[str, str]]:
        """The outer of two nested places is broken: who is granted it would read the inner one too."""
        if not (place := _place(one)) or not _holds(one):
            return
        prefix = place.rstrip("/") + "/"
        first, behind = bisect_left(self._places, (prefix,)), bisect_left(self._places, (prefix[:-1] + BEHIND_SLASH,))
        inside = [file for _, file in self._places[first:behind] if file != one.file]
        inside += [file for file in self._at(place) if not _holds(self.contracts[file])]
        for file in nsmallest(MOST_INSIDE, inside, key=in_order):
            name = self.contracts[file].name
            yield f"{servers.shown(one.place)} holds the place of {file} ({name})", "give each dataset a folder of its own"

    def _beside(self, one: Contract) -> set[str]:
        """The files that claim what a contract claims, or a place around its own."""
        place = _place(one)
        around = [file for above in (place, *_folders(place)) for file in self._at(above)] if place else []
        return {*self._names.get(one.name, ()), *self._identities.get(self._identity[one.file], ()), *around}

    def _at(self, place: str) -> Iterator[str]:
        for position in range(bisect_left(self._places, (place,)), len(self._places)):
            if self._places[position][0] != place:
                return
            yield self._places[position][1]

    def _enter(self, contract: Contract) -> None:
        self.contracts[contract.file] = contract
        _add(self._names, contract.name, contract.file)
        self._identify(contract.file, _identity(contract))

    def _identify(self, file: str, identity: Hashable) -> None:
        self._identity[file] = identity
        if identity is not None:
            _add(self._identities, identity, file)

    def _leave(self, contract: Contract) -> None:
        del self.contracts[contract.file]
        _drop(self._names, contract.name, contract.file)
        _drop(self._identities, self._identity.pop(contract.file), contract.file)
        if place := _place(contract):
            del self._places[bisect_left(self._places, (place, contract.file))]


def in_order(file: str) -> list[tuple[bool, str]]:
    """The key by which contract files are sorted: the files of a folder come before those of the folders in it."""
    *folders, name = file.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def _add(groups: Groups, key: Hashable, file: str) -> None:
    if key in groups:
        insort(groups[key], file, key=in_order)
    else:
        groups[key] = [file]


def _drop(groups: Groups, key: Hashable, file: str) -> None:
    if key is None:
        return
    groups[key].remove(file)
    if not groups[key]:
        del groups[key]


def _others(group: list[str], file: str) -> str:
    shown = [other for other in group[: MOST_NAMED + 1] if other != file][:MOST_NAMED]
    more = len(group) - 1 - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _identity(contract: Contract) -> Hashable:
    """Device and inode of a file, and the table in it: hard links and bind mounts of one place are that place."""
    path = _on_disk(contract)
    if not path:
        return servers.identity(contract.place)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None  # reported by complaint_about
    return (found.st_dev, found.st_ino, contract.place.get("table"))


def _on_disk(contract: Contract) -> str:
    """The file or folder of this machine that holds the data, also a database's."""
    return str(contract.place.get("path", ""))


def _place(contract: Contract) -> str:
    """Where the data is, as a text: what lies inside begins with it and a slash. Empty for what lies in nothing and holds nothing."""
    if contract.place.get("kind") != "objects":
        return _on_disk(contract)
    identity = servers.identity(contract.place) or ("", "")
    return f"{identity[1]}\n{identity[0]}"


def _holds(contract: Contract) -> bool:
    """Whether it is a folder or a prefix, in which other places can lie; a database's file is not, but a place of files can be that file."""
    return bool(contract.path) or contract.place.get("kind") == "objects"


def _folders(path: str) -> Iterator[str]:
    """Every folder above a path in plain form; a hundred thousand of them are looked at, and pathlib takes ten times as long."""
    while path not in ("/", "") and "/" in path:
        path = path.rpartition("/")[0] or "/"
        yield path
