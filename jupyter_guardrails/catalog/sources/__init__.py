"""Where the broker reads data from: one module a kind of place, loaded when it is first used, and only in the broker's worker.

A module has `open_source(place, *, columns, predicate, most_rows, credentials, fds) -> Source`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.rowfilter import Filter

MAX_BATCH_ROWS = 1 << 16


class Source(Protocol):
    """An open place: its columns, and its rows in batches of at most MAX_BATCH_ROWS and a few MiB."""

    schema: Any  # pyarrow.Schema

    def batches(self) -> Iterator[Any]:
        """pyarrow.RecordBatch after RecordBatch, a few in memory at a time; raises a GuardrailsError that quotes no values."""

    def close(self) -> None:
        """Let go of files and connections; may be called in the middle, and again."""


SOURCES: dict[str, str] = {
    "files": "jupyter_guardrails.catalog.sources.files",
    "objects": "jupyter_guardrails.catalog.sources.objects",
    "database": "jupyter_guardrails.catalog.sources.databases",
    "product": "jupyter_guardrails.catalog.sources.products",
}


def open_source(
    place: Mapping[str, Any],
    *,
    columns: Sequence[str] | None,
    predicate: Filter | None = None,
    most_rows: int | None = None,
    credentials: Mapping[str, Any] | None = None,
    fds: Sequence[int] = (),
) -> Source:
    """The open source of a place; BadRequest when nothing here reads its kind. `fds` are the caller's to close, after the source.

    `columns`: top-level names, None for all. `predicate` may be used to read less, as may `most_rows` (so many are
    wanted); who calls applies both in any case.
    """
    module = SOURCES.get(str(place.get("kind")))
    if module is None:
        raise BadRequest(f"nothing here reads from a place of kind {place.get('kind')!r}", next_step=f"there are: {', '.join(SOURCES)}")
    less: dict[str, Any] = {"columns": columns, "predicate": predicate, "most_rows": most_rows}
    source: Source = importlib.import_module(module).open_source(place, credentials=credentials, fds=fds, **less)
    return source
