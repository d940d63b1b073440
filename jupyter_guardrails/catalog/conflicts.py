"""Contracts that claim what another one has: its name, its place, or a place inside of its own."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace

from jupyter_guardrails.catalog import servers
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.errors import Problem

Conflict = tuple[Contract, str, str]  # whose contract is broken, why, and what to do


def without_conflicts(contracts: Iterable[Contract]) -> list[Contract]:
    """The contracts, each with a problem more for every other one that claims its name or its place."""
    contracts = list(contracts)
    found: dict[str, list[Problem]] = defaultdict(list)
    for contract, message, hint in (*_same_name(contracts), *_same_place(contracts), *_nested(contracts)):
        found[contract.file].append(Problem(contract.file, contract.path_line, 1, message, hint))
    return [replace(contract, problems=(*contract.problems, *found[contract.file])) for contract in contracts]


def _groups(contracts: Iterable[Contract], key: Callable[[Contract], Hashable]) -> Iterator[list[Contract]]:
    groups: dict[Hashable, list[Contract]] = defaultdict(list)
    for contract in contracts:
        groups[key(contract)].append(contract)
    yield from (group for identity, group in groups.items() if identity is not None and len(group) > 1)


def _others(group: list[Contract], contract: Contract) -> str:
    return ", ".join(other.file for other in group if other.file != contract.file)


def _same_name(contracts: list[Contract]) -> Iterator[Conflict]:
    for group in _groups(contracts, lambda contract: contract.name):
        for contract in group:
            yield contract, f"{contract.name} is also the name in {_others(group, contract)}", "one contract a dataset: remove or rename one"


def _same_place(contracts: list[Contract]) -> Iterator[Conflict]:
    for group in _groups(contracts, _identity):
        for contract in group:
            message = f"{servers.shown(contract.place)} is also the place of {_others(group, contract)}"
            yield contract, message, "one contract a place: remove one, or split the data"


def _identity(contract: Contract) -> Hashable:
    """Device and inode of a file, and the table in it: hard links and bind mounts of one place are that place."""
    path = _on_disk(contract)
    if not path:
        return servers.identity(contract.place)
    try:
        found = os.stat(path)
    except OSError:
        return None  # reported by complaint_about
    return (found.st_dev, found.st_ino, contract.place.get("table"))


def _on_disk(contract: Contract) -> str:
    """The file or folder of this machine that holds the data, also a database's."""
    return str(contract.place.get("path", ""))


def _nested(contracts: list[Contract]) -> Iterator[Conflict]:
    """The outer of two nested places is broken: who is granted it would read the inner one too."""
    outer: dict[Hashable, Contract] = {contract.path: contract for contract in contracts if contract.path}
    outer |= {servers.identity(contract.place): contract for contract in contracts if contract.place.get("kind") == "objects"}
    for contract in contracts:
        for above in _above(contract):
            if above in outer and outer[above].file != contract.file:
                message = f"{servers.shown(outer[above].place)} holds the place of {contract.file} ({contract.name})"
                yield outer[above], message, "give each dataset a folder of its own"


def _above(contract: Contract) -> Iterator[Hashable]:
    """Every place that would hold this one; a database's file also is a place of files itself."""
    if contract.place.get("kind") == "objects":
        yield from servers.folders_above(contract.place)
    elif path := _on_disk(contract):
        yield from _folders(path)
        yield from () if contract.path else (path,)


def _folders(path: str) -> Iterator[str]:
    """Every folder above a path in plain form; a hundred thousand of them are looked at, and pathlib takes ten times as long."""
    while path not in ("/", ""):
        path = path.rpartition("/")[0] or "/"
        yield path
