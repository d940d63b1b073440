"""Full-text search over contracts (SQLite FTS5, in memory), with the visibility filter inside the query.

Filtering afterwards would starve people who see little: their few datasets would fall out of the first results. No text that a person
types reaches FTS5's query language: only its letters and digits do, each word as a quoted prefix.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Collection, Iterable

from jupyter_guardrails.catalog.model import Contract

MAX_WORDS = 16
MAX_WORD = 64
WORD = re.compile(r"[^\W_]+")
VISIBLE = "key in (select value from json_each(:visible))"


class SearchIndex:
    """An index over contracts; safe to use from several threads."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        columns = "key unindexed, name, description, columns, tags, owner"
        self._database.execute(f"create virtual table datasets using fts5({columns}, tokenize='unicode61', prefix='2 3')")
        self._database.executemany("insert into datasets values (?, ?, ?, ?, ?, ?)", map(_row, contracts))
        self._database.commit()

    def search(self, query: str, visible: Collection[str]) -> list[str]:
        """Names of the visible datasets that have all words of the query, best first; all of them, by name, for an empty query."""
        words = WORD.findall(query)[:MAX_WORDS]
        if query.strip() and not words:
            return []
        match = " AND ".join(f'"{word[:MAX_WORD]}"*' for word in words)
        condition = f"datasets match :match and {VISIBLE} order by bm25(datasets, 0, 8, 2, 2, 4, 1), key" if match else f"{VISIBLE} order by key"
        with self._lock:
            rows = self._database.execute(f"select key from datasets where {condition}", {"match": match, "visible": json.dumps(sorted(visible))})
            return [key for (key,) in rows]


def _row(contract: Contract) -> tuple[str, ...]:
    columns = " ".join(f"{column.name} {column.description}" for column in contract.columns)
    texts = (contract.name, contract.name, contract.description, columns, " ".join(contract.tags), contract.owner)
    return tuple(text.encode("utf-8", "replace").decode() for text in texts)
