"""The catalogue of contracts that were read, kept while single ones come, change and go: always what it would be made from nothing.

Beside what its own file says, a contract depends on those that claim its name or place, and a product on all that it is made of. What a change
does not touch stays the object that it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from jupyter_guardrails.catalog.conflicts import Claims, in_order
from jupyter_guardrails.catalog.model import Catalog, Contract
from jupyter_guardrails.catalog.products import is_product, resolved
from jupyter_guardrails.errors import Problem

PART = 20  # when more than so large a part of all contracts changes at once, what they claim is made anew


class Assembly:
    """Starts empty. Not safe to use from several threads."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._checked: dict[str, Contract] = {}  # by file: with what others claim
        self._made_of: dict[str, set[str]] = {}  # name -> files of products that name it
        self._final: dict[str, Contract] = {}  # by file: products with what they are made of
        self._usable: dict[str, Contract] = {}  # by name
        self._broken: dict[str, Contract] = {}  # by file

    def change(self, fresh: Mapping[str, Contract], gone: Collection[str] = (), *, places: bool = False) -> set[str]:
        """Take contracts as they were read, by file, instead of what these files said before; `places`: look where all data is now, too.

        The names of all datasets that are another contract than before, or gone.
        """
        touched = self._touched(fresh, gone)
        if places:
            touched |= self._claims.look_again()
        names = {one.name for file in gone if (one := self._checked.get(file))}
        self._forget([file for file in gone if file in self._checked])
        for file in touched:
            names |= self._check(file)
        return names_of(self._publish({*touched, *gone, *self._above(names)}))

    def catalog(self, problems: tuple[Problem, ...] = ()) -> Catalog:
        """All contracts as they are now, with what is wrong with the folder."""
        broken = sorted(self._broken, key=in_order)
        return Catalog(dict(self._usable), tuple(map(self._broken.__getitem__, broken)), problems)

    def as_read(self, file: str) -> Contract:
        """What a file says by itself."""
        return self._claims.contracts[file]

    def _touched(self, fresh: Mapping[str, Contract], gone: Collection[str]) -> set[str]:
        before = self._claims.contracts
        if PART * (len(fresh) + len(gone)) <= len(before):
            return self._claims.replace(fresh, gone)
        left = {file: one for file, one in before.items() if file not in gone and file not in fresh}
        self._claims = Claims((*left.values(), *fresh.values()))
        return set(self._claims.contracts)

    def _check(self, file: str) -> set[str]:
        """Note what others make of a contract; the names that it had and has, when it is another one now."""
        one, before = self._claims.contracts[file], self._checked.get(file)
        if problems := self._claims.problems_of(file):
            one = replace(one, problems=(*one.problems, *problems))
        if one == before:
            return set()
        self._forget([file] if before else [])
        self._checked[file] = one
        for name in one.place["from"] if is_product(one) else ():
            self._made_of.setdefault(name, set()).add(file)
        return {one.name, *([before.name] if before else [])}

    def _forget(self, files: Iterable[str]) -> None:
        for file in files:
            one = self._checked.pop(file)
            for name in one.place["from"] if is_product(one) else ():
                self._made_of[name].discard(file)

    def _above(self, names: Iterable[str]) -> set[str]:
        """The files of all products that are made of what has one of these names, or of a product that is."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            fresh = self._made_of.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += [self._checked[file].name for file in fresh]
        return found

    def _named(self, name: str) -> Contract | None:
        file = self._claims.named(name)
        return self._checked[file] if file is not None else None

    def _publish(self, files: Iterable[str]) -> list[tuple[Contract | None, Contract | None]]:
        """Bring what is offered up to date; each contract that changed as it was and as it is."""
        changed = []
        for file in files:
            one, before = self._checked.get(file), self._final.get(file)
            now = resolved(one, self._named) if one and is_product(one) else one
            if now != before:
                changed.append((before, now))
        for before, _ in changed:
            if before is not None:
                self._withdraw(before)
        for _, now in changed:
            if now is not None:
                self._offer(now)
        return changed

    def _withdraw(self, one: Contract) -> None:
        del self._final[one.file]
        if self._broken.pop(one.file, None) is None:
            del self._usable[one.name]

    def _offer(self, one: Contract) -> None:
        self._final[one.file] = one
        if one.problems:
            self._broken[one.file] = one
        else:
            self._usable[one.name] = one


def names_of(changed: Iterable[tuple[Contract | None, Contract | None]]) -> set[str]:
    """All names among contracts as they were and as they are."""
    return {one.name for pair in changed for one in pair if one is not None}
