"""A dataset's contract as plain values, and the catalogue that holds all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from jupyter_guardrails.catalog.quality import QualityRule
from jupyter_guardrails.errors import Problem
from jupyter_guardrails.policy.decision import Resource


@dataclass(frozen=True, slots=True)
class Column:
    """One column; nested ones are named `outer.inner`, the items of a list `outer[]`."""

    name: str
    type: str = ""
    classification: str = ""
    description: str = ""
    mask: str = ""  # the contract's own, beside those of the policy: it can only tighten


@dataclass(frozen=True, slots=True)
class Contract:
    """What one contract file says; with `problems` it is broken and offers nothing."""

    name: str
    file: str
    line: int = 1
    version: str = ""
    status: str = ""
    description: str = ""
    owner: str = ""
    domain: str = ""
    classification: str = ""
    tags: tuple[str, ...] = ()
    path: str = ""  # absolute place of files on this machine; "" for data in an object store or a database
    format: str = ""
    columns: tuple[Column, ...] = ()
    delivery: str = ""  # the contract's own wishes, prefix `guardrails.`: each can only tighten what the policy says
    row_filter: str = ""
    purposes: tuple[str, ...] = ()
    sql: str = ""  # "per-person": a person's own SQL is run by its database, as an account of theirs
    path_line: int = 1
    place: Mapping[str, Any] = field(default_factory=dict, hash=False)  # plain data, `kind`: files, objects, database or product; see servers.py
    fresh_within_s: float = 0.0  # how old the newest file may be; 0: the contract does not say
    quality: tuple[QualityRule, ...] = ()
    produced_by: Mapping[str, Any] = field(default_factory=dict, hash=False)  # which job made it; see produced.py
    sha256: str = ""  # of the one file of this machine: no other bytes are the version that counts; "" where it doesn't say
    made_from: tuple[Contract, ...] = ()  # of a product: its inputs, found in the catalogue; see products.py
    problems: tuple[Problem, ...] = ()

    @property
    def resource(self) -> Resource:
        """The labels by which a policy decides."""
        classes = {column.name: column.classification for column in self.columns if column.classification}
        return Resource(self.name, self.classification, self.domain, self.tags, self.owner, classes)


@dataclass(frozen=True)
class Catalog:
    """All contracts of a folder: `contracts` can be offered, by name; `broken` ones are listed with their problems."""

    contracts: Mapping[str, Contract] = field(default_factory=dict)
    broken: tuple[Contract, ...] = ()
    folder_problems: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every mistake in the folder, in the order of the files."""
        return (*self.folder_problems, *(problem for contract in self.broken for problem in contract.problems))

    @cached_property
    def by_name(self) -> dict[str, Contract]:
        """Usable and broken contracts by name; of several broken ones with one name the first."""
        return {contract.name: contract for contract in reversed(self.broken)} | dict(self.contracts)

    def resource(self, name: str) -> Resource | None:
        """The labels of a dataset, or None when no usable contract has that name."""
        contract = self.contracts.get(name)
        return contract.resource if contract else None

    def by_path(self, path: str | os.PathLike[str]) -> Contract | None:
        """The dataset to whose place an absolute path belongs: the longest place that holds it."""
        return next((self._by_place[place] for place in _upwards(os.fspath(path)) if place in self._by_place), None)

    @cached_property
    def _by_place(self) -> dict[str, Contract]:
        return {contract.path: contract for contract in self.contracts.values() if contract.path}


def _upwards(path: str) -> Iterator[str]:
    """The path and each folder above it, without following symlinks."""
    pure = PurePosixPath(os.path.normpath(path))
    yield from map(str, (pure, *pure.parents))
