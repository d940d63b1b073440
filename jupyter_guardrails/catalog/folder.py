"""The catalogue's folder kept current: what changed is read again, beside everything else where the catalogue is big."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails.catalog.assembly import Assembly
from jupyter_guardrails.catalog.cache import ContractCache
from jupyter_guardrails.catalog.contracts import missing_folder
from jupyter_guardrails.catalog.heap import many_objects_to_keep
from jupyter_guardrails.catalog.model import Catalog, Contract
from jupyter_guardrails.catalog.numbered import Numbered
from jupyter_guardrails.catalog.places import complaint_about
from jupyter_guardrails.catalog.reading import read_all
from jupyter_guardrails.catalog.search import SearchIndex
from jupyter_guardrails.catalog.stamps import ContractFiles, Stamps
from jupyter_guardrails.catalog.watching import Watch
from jupyter_guardrails.errors import CatalogBusy, Problem

log = logging.getLogger("jupyter_guardrails.catalog")
SMALL = 1000  # so many contracts are looked at and read at once, by whoever asks: in less than a second
PART = 20  # looking at a big catalogue takes at most a twentieth of the time, where nothing says that it is time to look
PART_STIRRED = 3  # and a third, where something does


@dataclass(frozen=True, slots=True)
class Shelf:
    """The catalogue at one moment: its contracts, their numbers, and the index over them."""

    catalog: Catalog
    numbered: Numbered
    index: SearchIndex


class CatalogFolder:
    """`current` and `shelf` are the catalogue as the files are now. A change shows after `check_every_s`, in a big catalogue a second later.

    `cache`: where contracts of a big catalogue are kept as they were read.
    """

    def __init__(
        self, path: Path, *, cache: Path | None = None, check_every_s: float = 1.0, clock: Callable[[], float] = time.monotonic, small: int = SMALL
    ) -> None:
        self.path = path
        self.check_every_s = check_every_s
        self._cache = ContractCache(cache) if cache else None
        self._clock, self._small = clock, small
        self._next_check = self._next_stirred = clock() + check_every_s
        self._lock, self._thread = threading.Lock(), threading.Lock()
        self._watch = Watch()
        self._files = ContractFiles(str(path), entered=self._watch.add)
        self._assembly = Assembly()
        self._shelf: Shelf | None = None
        self._stamps: Stamps = {}
        self._waiting: dict[str, object] = {}  # file of a broken contract -> what was at its place when it was read
        self._is_big = len(self._files.look()) > small
        self._look(places=True)

    @property
    def current(self) -> Catalog:
        """All contracts; CatalogBusy while a big catalogue is read for the first time."""
        return self.shelf.catalog

    @property
    def shelf(self) -> Shelf:
        """Contracts, numbers and index that belong together; CatalogBusy as above."""
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + self.check_every_s
            self._look(places=True)
        elif self._is_big and now >= self._next_stirred and self._watch.stirred():
            self._look(places=False)
        if self._shelf is None:
            raise CatalogBusy(f"the catalogue {self.path} is being read", next_step="try again in a minute: it is big, and control has just started")
        return self._shelf

    @property
    def known(self) -> Shelf | None:
        """The last shelf, without a look at the files; None while a big catalogue is read for the first time."""
        return self._shelf

    def refresh(self, *, places: bool = True) -> None:
        """Look, and read what changed; blocks, safe to use from several threads. Without `places` only where the kernel says that files changed."""
        with self._lock:
            stirred = self._watch.take()
            stamps, problems = self._files.look(None if places else stirred), missing_folder(self.path)
            changed = {file for file, stamp in stamps.items() if self._stamps.get(file) != stamp} | (self._moved() if places else set())
            try:
                with many_objects_to_keep() if len(changed) > self._small else nullcontext():
                    self._take(stamps, changed, problems, places=places)
            except BaseException:  # broad: whatever it was, what was half done is done anew at the next look
                self._assembly, self._stamps, self._waiting = Assembly(), {}, {}
                raise

    def _take(self, stamps: Stamps, changed: set[str], problems: tuple[Problem, ...], *, places: bool) -> None:
        gone = self._stamps.keys() - stamps.keys()
        kept = self._kept(stamps)
        read = read_all([file for file in stamps if file in changed and file not in kept])
        names = self._assembly.change(kept | read, gone, places=places)
        if not self._stamps and self._shelf is not None:  # begun anew
            names |= self._shelf.catalog.by_name.keys()
        self._stamps, self._is_big = stamps, len(stamps) > self._small
        self._note_waiting(kept | read, gone)
        self._put_up(names, problems)
        self._keep(read, gone)

    def _kept(self, stamps: Stamps) -> dict[str, Contract]:
        """What the cache has of a big catalogue that is looked at for the first time."""
        begins = self._shelf is None and len(stamps) > self._small
        return self._cache.read(stamps) if self._cache and begins else {}

    def _keep(self, read: dict[str, Contract], gone: set[str]) -> None:
        """Have the cache keep what was read of a big catalogue, and forget what is gone."""
        if self._cache and self._is_big and (read or gone):
            self._cache.keep({file: (self._stamps[file], one) for file, one in read.items()}, gone=gone)

    def _look(self, *, places: bool) -> None:
        """At once where there is little to look at, else in a thread of its own, one at a time."""
        if not self._is_big:
            self.refresh()
        elif self._thread.acquire(blocking=False):
            threading.Thread(target=self._look_beside, args=(places,), name="catalogue", daemon=True).start()

    def _look_beside(self, places: bool) -> None:
        began = self._clock()
        try:
            self.refresh(places=places)
        except Exception:  # broad: what was read before stays in force, and the next look tries again
            log.exception("the catalogue could not be read again")
        finally:
            now = self._clock()
            self._next_stirred = now + max(self.check_every_s, PART_STIRRED * (now - began))
            if places:
                self._next_check = now + max(self.check_every_s, PART * (now - began))
            self._thread.release()

    def _moved(self) -> set[str]:
        """The files of broken contracts at whose places something is else than when they were read: many are broken only until their data arrives."""
        return {file for file, before in self._waiting.items() if _at(self._assembly.as_read(file)) != before}

    def _note_waiting(self, fresh: dict[str, Contract], gone: Iterable[str]) -> None:
        for file in (*gone, *fresh):
            self._waiting.pop(file, None)
        self._waiting |= {file: _at(one) for file, one in fresh.items() if one.problems}

    def _put_up(self, names: set[str], problems: tuple[Problem, ...]) -> None:
        """Another shelf, if anything on it has changed."""
        before = self._shelf
        if before is not None and not names and before.catalog.folder_problems == problems:
            return
        catalog = self._assembly.catalog(problems)
        numbered = (before.numbered if before else Numbered()).changed({name: catalog.by_name.get(name) for name in names})
        if before is not None and numbered.continues(before.numbered):
            before.index.add(numbered)
            index = before.index
        else:
            index = SearchIndex(numbered)
        catalog.by_path(self.path)  # what it looks that up in is made here, and not by whoever asks first
        self._shelf = Shelf(catalog, numbered, index)


def _at(contract: Contract) -> object:
    """What is at a contract's place, as far as it can make the contract a good one."""
    path = str(contract.place.get("path", ""))
    return (complaint_about(path), os.path.isdir(path), os.path.isfile(path)) if path else None
