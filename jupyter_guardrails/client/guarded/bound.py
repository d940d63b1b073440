"""A file that is bound to a dataset's name where a job runs without a broker: read with the same calls, masked by whoever made the file.

Columns, `limit` and filters that are lists of [column, operator, value] work as with the broker; text filters are the broker's alone.
"""

from __future__ import annotations

import csv
import functools
import importlib
import io
import itertools
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from guarded.errors import GuardedError
from guarded.opened import Opened

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, values: column.isin(list(values)),
}


class Bound(Opened):
    """As what the broker gives: `.scan()`, `.to_arrow()`, `.to_pandas()`, `.to_polars()`, `.rows()`, `.to_csv_file()`; and `.file()`, `.path`."""

    def scan(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pyarrow RecordBatchReader over the file or folder."""
        dataset = self._library("pyarrow.dataset").dataset(self.path, format=self.format)
        names = None if columns is None else list(columns)
        expression = _expression(self.name, self._library("pyarrow.compute"), filter)
        if limit is None:
            return dataset.scanner(columns=names, filter=expression).to_reader()
        return dataset.head(limit, columns=names, filter=expression).to_reader()

    def to_arrow(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pyarrow Table."""
        return super().to_arrow(columns) if filter is None and limit is None else self.scan(columns, filter, limit).read_all()

    def to_pandas(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A pandas DataFrame."""
        return super().to_pandas(columns) if filter is None and limit is None else self.to_arrow(columns, filter, limit).to_pandas()

    def to_polars(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Any:
        """A polars DataFrame."""
        plain = filter is None and limit is None
        return super().to_polars(columns) if plain else self._library("polars").from_arrow(self.to_arrow(columns, filter, limit))

    def rows(self, columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> Iterator[dict[str, str]]:
        """Row after row as a dict of texts; of CSV without any library."""
        if filter is not None or self.format != "csv" or os.path.isdir(self.path):
            for batch in self.scan(columns, filter, limit):
                yield from ({name: "" if value is None else str(value) for name, value in row.items()} for row in batch.to_pylist())
            return
        yield from self._csv_rows(columns, limit)

    def _csv_rows(self, columns: Sequence[str] | None, limit: int | None) -> Iterator[dict[str, str]]:
        with io.TextIOWrapper(self.file(), encoding="utf-8", newline="") as text:
            for row in itertools.islice(csv.DictReader(text), limit):
                yield {name: row[name] for name in columns} if columns is not None else row

    def to_csv_file(self, path: str | os.PathLike[str], columns: Sequence[str] | None = None, filter: Any = None, limit: int | None = None) -> str:
        """Write it as CSV, and give the path."""
        importlib.import_module("pyarrow.csv").write_csv(self.to_arrow(columns, filter, limit), os.fspath(path))
        return os.fspath(path)


def _expression(name: str, compute: Any, filter: Any) -> Any:
    """pyarrow's form of a filter; GuardedError for one that only the broker understands."""
    if filter is None or filter == []:
        return None
    if not isinstance(filter, (list, tuple)) or not filter or not all(map(_is_term, filter)):
        raise GuardedError(
            f"{name} is bound to a file here, and only the broker understands this filter",
            next_step="write it as a list of [column, operator, value], or filter in your own code",
        )
    return functools.reduce(operator.and_, (OPERATORS[word](compute.field(column), value) for column, word, value in filter))


def _is_term(term: Any) -> bool:
    return isinstance(term, (list, tuple)) and len(term) == 3 and term[1] in OPERATORS
