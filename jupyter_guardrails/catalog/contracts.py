"""The catalogue's folder -> Catalog: one contract a file; broken ones are kept with their problems and offer nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jupyter_guardrails.catalog.conflicts import without_conflicts
from jupyter_guardrails.catalog.model import Catalog
from jupyter_guardrails.catalog.odcs import read_contract
from jupyter_guardrails.catalog.search import SearchIndex
from jupyter_guardrails.errors import Problem

SUFFIXES = (".yaml", ".yml")
Fingerprint = tuple[object, ...]


def load_catalog(path: Path) -> Catalog:
    """The contracts in `*.yaml` beneath a folder; a missing folder is an empty catalogue with a problem. Never raises."""
    if not os.path.isdir(path):
        return Catalog(folder_problems=(Problem(str(path), 0, 0, "the catalogue folder does not exist", "create it, with one contract a file"),))
    contracts = without_conflicts(read_contract(file) for file in contract_files(path))
    usable = {contract.name: contract for contract in contracts if not contract.problems}
    return Catalog(usable, tuple(contract for contract in contracts if contract.problems))


def contract_files(path: Path) -> Iterator[Path]:
    """Contract files beneath a folder, in the order of their names; hidden ones and linked folders are left out."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(SUFFIXES) and not name.startswith("."))


class CatalogFolder:
    """Keeps the catalogue of a folder current: `current` reads again what changed, looking at most once in `check_every_s`."""

    def __init__(self, path: Path, *, check_every_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.check_every_s = check_every_s
        self._clock = clock
        self._next_check = clock() + check_every_s
        self._index: tuple[Catalog, SearchIndex] | None = None
        self._load()

    @property
    def current(self) -> Catalog:
        """The catalogue as the files are now."""
        if self._clock() >= self._next_check:
            self._next_check = self._clock() + self.check_every_s
            if (_files_state(self.path), _places_state(self._catalog)) != self._seen:
                self._load()
        return self._catalog

    @property
    def index(self) -> SearchIndex:
        """The search index of the current catalogue, broken contracts included; built when it is first asked for."""
        catalog = self.current
        if self._index is None or self._index[0] is not catalog:
            self._index = (catalog, SearchIndex(catalog.by_name.values()))
        return self._index[1]

    def _load(self) -> None:
        files = _files_state(self.path)  # before the files are read: a change in between is seen at the next look
        self._catalog = load_catalog(self.path)
        self._seen = (files, _places_state(self._catalog))


def _files_state(path: Path) -> Fingerprint:
    return (os.path.isdir(path), *map(_file_state, contract_files(path)))


def _places_state(catalog: Catalog) -> Fingerprint:
    """Whether the places of broken contracts are there: many are broken only until their data arrives."""
    return tuple(os.path.lexists(contract.place["path"]) for contract in catalog.broken if contract.place.get("path"))


def _file_state(file: Path) -> Fingerprint:
    try:
        found = file.stat()
    except OSError:
        return (str(file), None)
    return (str(file), found.st_mtime_ns, found.st_size, found.st_ino)
