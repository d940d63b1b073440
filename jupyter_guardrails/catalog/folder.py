"""The catalogue's folder kept current: what changed is read again, beside everything else where the catalogue is big."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.catalog.cache import ContractCache
from jupyter_guardrails.catalog.contracts import assembled, contract_files, missing_folder
from jupyter_guardrails.catalog.model import Catalog, Contract
from jupyter_guardrails.catalog.numbered import Numbered
from jupyter_guardrails.catalog.odcs import read_contract
from jupyter_guardrails.catalog.search import SearchIndex
from jupyter_guardrails.errors import CatalogBusy

log = logging.getLogger("jupyter_guardrails.catalog")
SMALL = 1000  # so many contracts are looked at and read at once, by whoever asks: in less than a second
PART = 20  # looking at a big catalogue takes at most a twentieth of the time
Stamps = dict[str, str]  # file -> its time, size and number


@dataclass(frozen=True, slots=True)
class Shelf:
    """The catalogue at one moment: its contracts, their numbers, and the index over them."""

    catalog: Catalog
    numbered: Numbered
    index: SearchIndex


class CatalogFolder:
    """`current` and `shelf` are the catalogue as the files are now. A change shows after `check_every_s`, in a big catalogue some seconds later.

    `cache`: where contracts of a big catalogue are kept as they were read.
    """

    def __init__(
        self, path: Path, *, cache: Path | None = None, check_every_s: float = 1.0, clock: Callable[[], float] = time.monotonic, small: int = SMALL
    ) -> None:
        self.path = path
        self.check_every_s = check_every_s
        self._cache = ContractCache(cache) if cache else None
        self._clock, self._small = clock, small
        self._next_check = clock() + check_every_s
        self._lock, self._thread = threading.Lock(), threading.Lock()
        self._shelf: Shelf | None = None
        self._stamps: Stamps = {}
        self._read: dict[str, Contract] = {}  # file -> what it says by itself
        self._seen: object = None
        self._is_big = len(_stamps(path)) > small
        self._look()

    @property
    def current(self) -> Catalog:
        """All contracts; CatalogBusy while a big catalogue is read for the first time."""
        return self.shelf.catalog

    @property
    def shelf(self) -> Shelf:
        """Contracts, numbers and index that belong together; CatalogBusy as above."""
        if self._clock() >= self._next_check:
            self._next_check = self._clock() + self.check_every_s
            self._look()
        if self._shelf is None:
            raise CatalogBusy(f"the catalogue {self.path} is being read", next_step="try again in a minute: it is big, and control has just started")
        return self._shelf

    def refresh(self) -> None:
        """Look, and read what changed; blocks, and is safe to use from several threads."""
        with self._lock:
            stamps = _stamps(self.path)
            seen = (os.path.isdir(self.path), stamps, _places_state(self._shelf))
            if seen == self._seen:
                return
            self._load(stamps)
            self._seen = (*seen[:2], _places_state(self._shelf))
            self._is_big = len(stamps) > self._small

    def _look(self) -> None:
        """At once where there is little to look at, else in a thread of its own, one at a time."""
        if not self._is_big:
            self.refresh()
        elif self._thread.acquire(blocking=False):
            threading.Thread(target=self._look_beside, name="catalogue", daemon=True).start()

    def _look_beside(self) -> None:
        began = self._clock()
        try:
            self.refresh()
        except Exception:  # broad: what was read before stays in force, and the next look tries again
            log.exception("the catalogue could not be read again")
        finally:
            self._next_check = self._clock() + max(self.check_every_s, PART * (self._clock() - began))
            self._thread.release()

    def _load(self, stamps: Stamps) -> None:
        changed = [file for file, stamp in stamps.items() if self._stamps.get(file) != stamp or file not in self._read or self._read[file].problems]
        kept = self._kept(stamps) if self._shelf is None else {}
        fresh = {file: kept.get(file) or read_contract(Path(file)) for file in changed}
        if self._cache and len(stamps) > self._small:
            self._cache.keep({file: (stamps[file], fresh[file]) for file in changed if file not in kept}, gone=self._stamps.keys() - stamps.keys())
        self._read = {file: fresh.get(file) or self._read[file] for file in stamps}
        self._stamps = stamps
        self._shelf = self._shelved(self._read.values())

    def _kept(self, stamps: Stamps) -> dict[str, Contract]:
        return self._cache.read(stamps) if self._cache and len(stamps) > self._small else {}

    def _shelved(self, contracts: Iterable[Contract]) -> Shelf:
        catalog = assembled(contracts, problems=missing_folder(self.path))
        if self._shelf is None:
            numbered = Numbered().after(catalog.by_name.values())
            return Shelf(catalog, numbered, SearchIndex(numbered))
        before = self._shelf
        numbered = before.numbered.after(catalog.by_name.values())
        if not numbered.continues(before.numbered):
            return Shelf(catalog, numbered, SearchIndex(numbered))
        before.index.add(numbered)
        return Shelf(catalog, numbered, before.index)


def _stamps(path: Path) -> Stamps:
    found = {}
    for file in contract_files(path):
        try:
            state = file.stat()
        except OSError:
            found[str(file)] = "gone"
        else:
            found[str(file)] = f"{state.st_mtime_ns} {state.st_ctime_ns} {state.st_size} {state.st_ino}"
    return found


def _places_state(shelf: Shelf | None) -> tuple[bool, ...]:
    """Whether the places of broken contracts are there: many are broken only until their data arrives."""
    return tuple(os.path.lexists(contract.place["path"]) for contract in shelf.catalog.broken if contract.place.get("path")) if shelf else ()
