"""Full-text search over contracts (SQLite FTS5, in memory), with the visibility filter inside the query.

Filtering afterwards would starve people who see little: their few datasets would fall out of the first results. Results are in the order of
where the words stand and of their names, and of nothing that other datasets say: a score by how common a word is, as bm25's, would tell
people something of datasets that they may not know of. No text that a person types reaches FTS5's query language: only its letters and digits
do, each word as a quoted prefix.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.numbered import Bits, Numbered, members

MAX_WORDS = 16
MAX_WORD = 64
WORD = re.compile(r"[^\W_]+")
FIELDS = "name, description, columns, tags, owner"
FIND = "select rowid from datasets where datasets match ? and seen(rowid)"
AT_ONCE = 500
VALUES = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(6))
ADD = f"insert into datasets(rowid, {FIELDS}) select {VALUES} from json_each(?)"
TIERS = ("{name}", "{name tags}")  # all words there come first


@dataclass(frozen=True, slots=True)
class Found:
    """`numbers`: of the datasets of one page, best first; `total`: how many there are on all pages."""

    numbers: tuple[int, ...]
    total: int


class SearchIndex:
    """An index over numbered contracts; safe to use from several threads."""

    def __init__(self, numbered: Numbered | None = None) -> None:
        self._lock = threading.Lock()
        self._seen = b""
        self._numbered = Numbered()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.create_function("seen", 1, self._is_seen)
        # without the texts themselves: a number whose contract is gone stays in the index, and is nowhere visible
        options = "tokenize='unicode61 remove_diacritics 2', prefix='2 3', content=''"
        self._database.execute(f"create virtual table datasets using fts5({FIELDS}, {options})")
        self.add(numbered or Numbered())

    def add(self, numbered: Numbered) -> None:
        """Take over the contracts that came since; `numbered` continues what is here. Searches go on meanwhile."""
        fresh = numbered.items(len(self._numbered.contracts))
        while rows := [(number, *_texts(contract)) for number, contract in islice(fresh, AT_ONCE)]:
            with self._lock:  # one statement for many rows: nobody waits for this thread, nor this one for others, between them
                self._database.execute(ADD, (json.dumps(rows),))
        with self._lock:
            self._database.commit()
            self._numbered = numbered

    def search(self, query: str, visible: Bits, numbered: Numbered, *, limit: int = 200, offset: int = 0) -> Found:
        """The visible datasets that have all words of the query; all of them, by name, for an empty query."""
        words = WORD.findall(unicodedata.normalize("NFC", query))[:MAX_WORDS]
        if not words:
            return Found((), 0) if query.strip() else _by_name(visible, numbered, limit=limit, offset=offset)
        with self._lock:
            self._seen = visible.to_bytes(max(len(self._numbered.contracts), visible.bit_length()) // 8 + 1, "little")
            every = self._matching(words, "")
            tiers = [set(self._matching(words, field)) for field in TIERS] if every else []
        ranked = ((sum(number not in tier for tier in tiers), contract.name, number) for number, contract in _known(every, numbered))
        best = nsmallest(offset + limit, ranked)[offset:]
        return Found(tuple(number for *_, number in best), len(every))

    def _matching(self, words: Sequence[str], field: str) -> list[int]:
        match = " AND ".join(f'{field}{":" if field else ""}"{word[:MAX_WORD]}"*' for word in words)
        return [number for (number,) in self._database.execute(FIND, (match,))]

    def _is_seen(self, number: int) -> int:
        place = number >> 3  # beyond what is known, where more is being added
        return self._seen[place] >> (number & 7) & 1 if place < len(self._seen) else 0


def _known(found: Sequence[int], numbered: Numbered) -> Iterator[tuple[int, Contract]]:
    return ((number, contract) for number in found if (contract := numbered.contracts[number]) is not None)


def _by_name(visible: Bits, numbered: Numbered, *, limit: int, offset: int) -> Found:
    """One page of everything visible."""
    octets = visible.to_bytes(len(numbered.contracts) // 8 + 1, "little")
    wanted = offset + limit
    if visible.bit_count() * 8 < len(numbered.contracts):  # few are sorted faster than all are looked through
        ordered: Sequence[int] = [number for number, _ in sorted(_known(list(members(visible, len(numbered.contracts))), numbered), key=_name)]
        return Found(tuple(ordered[offset:wanted]), len(ordered))
    page: list[int] = []
    for number in numbered.ordered:
        if octets[number >> 3] >> (number & 7) & 1:
            page.append(number)
            if len(page) == wanted:
                break
    return Found(tuple(page[offset:]), visible.bit_count())


def _name(item: tuple[int, Contract]) -> str:
    return item[1].name


def _texts(contract: Contract) -> tuple[str, ...]:
    """In the order of FIELDS; never anything of the data itself."""
    columns = " ".join(f"{column.name} {column.description}" for column in contract.columns)
    texts = (contract.name, contract.description, columns, " ".join(contract.tags), contract.owner)
    return tuple(unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode().replace("\0", " ")) for text in texts)
