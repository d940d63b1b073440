"""Batches of bounded size, and columns under the names of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog.spelling import alike, listed
from jupyter_guardrails.errors import Conflict

MAX_ROWS = 1 << 16
TARGET_BYTES = 2 << 20


def bounded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most 64 Ki rows and some 2 MiB; no empty ones."""
    for batch in batches:
        step = max(1, min(MAX_ROWS, TARGET_BYTES * batch.num_rows // max(batch.nbytes, 1))) if batch.nbytes > TARGET_BYTES else MAX_ROWS
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


class Names:
    """Which columns of a place are read, and what the contract calls them."""

    def __init__(self, place: Mapping[str, Any], there: Sequence[str], columns: Sequence[str] | None) -> None:
        """Conflict when a column is missing, or a name stands for two."""
        physical: Mapping[str, str] = place.get("physical", {})
        ours = {theirs: name for name, theirs in physical.items()}
        known = [ours.get(name, name) for name in there]
        position = _positions(known, columns or ())
        self.there = list(there)
        self.ours = list(dict.fromkeys(columns)) if columns is not None else known
        self.indices = [position[name] for name in self.ours]
        self.theirs = [there[index] for index in self.indices]


def _positions(known: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Where each column is; Conflict when one that is wanted is missing, or a name stands for two."""
    position = {name: index for index, name in enumerate(known)}
    if len(position) != len(known):
        raise Conflict("two columns of the data have one name", next_step="tell its owner: `physicalName` in the contract tells them apart")
    missing = [name for name in wanted if name not in position]
    if missing:
        shown = f"{listed(missing)}{alike(missing[0], known)}"
        raise Conflict(f"the data has no column {shown}", next_step="tell the dataset's owner: it was renamed, or the contract names it wrongly")
    return position
