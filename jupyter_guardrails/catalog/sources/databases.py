"""A table or view of a database: streamed by a server-side cursor in a read-only transaction; every name quoted, every value a bound parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from jupyter_guardrails.catalog.servers import shown
from jupyter_guardrails.catalog.sources.connecting import STATEMENT_S, connect, in_our_words
from jupyter_guardrails.catalog.sources.deadline import Deadline
from jupyter_guardrails.catalog.sources.pushdown import condition
from jupyter_guardrails.catalog.sources.shape import MAX_ROWS, TARGET_BYTES, Names, bounded
from jupyter_guardrails.catalog.sources.sqltypes import arrow_type
from jupyter_guardrails.errors import Conflict, GuardrailsError
from jupyter_guardrails.policy.rowfilter import Filter

T = TypeVar("T")
FIRST_ROWS = 64  # before it is known how wide a row is
GRACE_S = 10  # beyond what the database itself allows a statement
TEXT = sa.Text()
Opening = tuple[Mapping[str, Any] | None, Sequence[int]]  # credentials and descriptors


def open_source(
    place: Mapping[str, Any],
    *,
    columns: Sequence[str] | None = None,
    predicate: Filter | None = None,
    most_rows: int | None = None,
    credentials: Mapping[str, Any] | None = None,
    fds: Sequence[int] = (),
) -> Table:
    """Called by `sources.open_source`. `fds`: of a SQLite file, its descriptor, by which it is known again."""
    return Table(place, columns, predicate, (credentials, fds))


class Table:
    """A Source. All calls of the driver run in one thread, each with a bounded time."""

    def __init__(self, place: Mapping[str, Any], columns: Sequence[str] | None, predicate: Filter | None, opening: Opening) -> None:
        self._place = place
        self._connection: sa.Connection | None = None
        self._deadline = Deadline(shown(place), STATEMENT_S + GRACE_S)
        try:
            self._told(lambda: self._connect(*opening))
            described = self._told(lambda: _describe(self._connection, place))
            names = Names(place, [name for name, _ in described], columns)
            self._statement, self.schema = _select(place, described, names, predicate)
        except BaseException:
            self.close()
            raise

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows; as many at a time as make some 2 MiB."""
        result: Any = self._told(self._execute)
        count = FIRST_ROWS
        while rows := self._told(partial(result.fetchmany, count)):
            batch = self._batch(rows)
            yield from bounded([batch])
            width = max(batch.nbytes // len(rows), len(self.schema), 1)
            count = max(1, min(MAX_ROWS, count * 4, TARGET_BYTES // width))

    def _execute(self) -> Any:
        assert self._connection is not None
        return self._connection.execute(self._statement)

    def close(self) -> None:
        """The database sees the connection end, also in the middle of a statement."""
        self._deadline.end(self._disconnect)

    def _connect(self, credentials: Mapping[str, Any] | None, fds: Sequence[int]) -> None:
        self._connection = connect(self._place, credentials, fds)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # without reading what is left of a result
            connection.close()

    def _batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True) if self.schema.names else ()
        arrays = [_array(values, field, self._place) for values, field in zip(columns, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _told(self, function: Callable[[], T]) -> T:
        """The driver's answer, or what went wrong in our own words."""
        try:
            return self._deadline.call(function)
        except GuardrailsError:
            raise
        except Exception as error:  # noqa: BLE001  # broad: every driver has errors of its own, and their texts quote values
            raise in_our_words(error, self._place) from None


def _array(values: Sequence[Any], field: pa.Field, place: Mapping[str, Any]) -> pa.Array:
    """Exactly these values: one that the column's type can't hold is an error, which doesn't repeat it."""
    if place["dialect"] == "sqlite" and pa.types.is_boolean(field.type):
        values = [{0: False, 1: True}.get(value, value) for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        message = f"column {field.name} of {shown(place)} holds a value that is no {field.type}"
        raise Conflict(message, next_step="tell the dataset's owner: the column's type in the database has to fit what it holds") from None


def _describe(connection: sa.Connection | None, place: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and SQL types of the columns of a table or view."""
    assert connection is not None
    name, schema = _quoted(place)
    found = sa.inspect(connection).get_columns(name, schema=schema)
    return [(str(column["name"]), column["type"]) for column in found]


def _quoted(place: Mapping[str, Any]) -> tuple[quoted_name, quoted_name | None]:
    """Names of the table and of its schema, as they are written."""
    schema = place.get("schema")
    return quoted_name(place["table"], True), quoted_name(schema, True) if schema else None


def _select(
    place: Mapping[str, Any], described: Sequence[tuple[str, Any]], names: Names, predicate: Filter | None
) -> tuple[sa.Select[Any], pa.Schema]:
    """The statement and the schema of what it gives."""
    types = [arrow_type(kind, place["dialect"]) for _, kind in described]
    plain: list[Any] = [sa.column(quoted_name(name, True)) for name, _ in described]
    read = [column if kind is not None else sa.cast(column, TEXT) for column, kind in zip(plain, types, strict=True)]
    fields = [pa.field(name, types[index] or pa.string()) for name, index in zip(names.ours, names.indices, strict=True)]
    name, schema = _quoted(place)
    table = sa.table(name, *plain, schema=schema)
    chosen = [read[index].label(f"c{number}") for number, index in enumerate(names.indices)]
    known = {name: (plain[names.indices[i]], types[names.indices[i]]) for i, name in enumerate(names.ours) if types[names.indices[i]] is not None}
    where = condition(predicate, known)
    statement = sa.select(*chosen).select_from(table).execution_options(stream_results=True, max_row_buffer=FIRST_ROWS)
    return statement if where is None else statement.where(where), pa.schema(fields)
