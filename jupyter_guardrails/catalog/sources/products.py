"""A view over several datasets: the rows of all of them, or those with equal keys put together. Memory stays bounded, as of one of them.

Rows that a person may not see of an input are left out before anything is put together. Masks come afterwards, over the product's columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog import filters, rows
from jupyter_guardrails.catalog.masks import is_text, plain
from jupyter_guardrails.catalog.sources import MAX_BATCH_ROWS, Source
from jupyter_guardrails.catalog.sources import open_source as open_place
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.policy.rowfilter import Filter

EVERY = -1  # catalog/products.py
HELD_ROWS = 200_000  # of all inputs of a join but the first: keys of two texts are some 65 MB then
HELD_BYTES = 16 << 20  # of their columns, without the keys
TELL = "tell the product's owner"


def open_source(
    place: Mapping[str, Any],
    *,
    columns: Sequence[str] | None,
    predicate: Filter | None = None,
    most_rows: int | None = None,
    credentials: Mapping[str, Any] | None = None,
    fds: Sequence[int] = (),
) -> Source:
    """The open inputs together; `predicate` is left to the caller. Conflict where they don't fit, or a join's later ones are too large."""
    wanted = list(columns) if columns is not None else list(place["columns"])
    if missing := [name for name in wanted if name not in place["columns"]]:
        raise Conflict(f"the product has no column {missing[0]}", next_step=TELL)
    return (Union if place["how"] == "union" else Join)(place, wanted, credentials or {}, list(fds))


class Input:
    """One input: `columns` of it, of rows that may be used. Its `name` is its place in `from`: readers may not know of the dataset itself."""

    def __init__(self, name: str, said: Mapping[str, Any], columns: Sequence[str], credentials: Mapping[str, Any] | None, fds: Sequence[int]) -> None:
        self.name = name
        self.columns = list(dict.fromkeys(columns))
        self._keep = filters.from_json(said["keep"])
        known = said["known"]
        compared = (name if name in known else name.split(".")[0] for name in filters.columns_of(self._keep))
        needed = list(dict.fromkeys((*self.columns, *compared)))
        self._source = open_place(said["place"], columns=needed, predicate=self._keep, credentials=credentials, fds=fds)
        try:
            nothing = self._plain(pa.RecordBatch.from_pylist([], schema=self._source.schema))
        except BaseException:
            self.close()
            raise
        self.schema: pa.Schema = nothing.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its rows."""
        return (self._plain(batch) for batch in self._source.batches())

    def close(self) -> None:
        """Let go of what it reads."""
        self._source.close()

    def _plain(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = batch if self._keep is None else rows.passing(batch, self._keep)
        return pa.RecordBatch.from_arrays([plain(batch.column(name)) for name in self.columns], names=self.columns)


class _Inputs:
    """What unions and joins have in common."""

    schema: pa.Schema

    def __init__(self, place: Mapping[str, Any], wanted: Sequence[str], credentials: Mapping[str, Any], fds: list[int]) -> None:
        self._place = place
        self._wanted = list(wanted)
        self._inputs: list[Input] = []
        given = credentials.get("inputs") or [None] * len(place["inputs"])
        try:
            for number, (said, own) in enumerate(zip(place["inputs"], given, strict=True)):
                count = files_in(said["place"])
                mine, fds = fds[:count], fds[count:]
                self._inputs.append(Input(f"input {number + 1}", said, self._columns_of(number), own, mine))
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of all inputs."""
        for one in self._inputs:
            one.close()

    def _columns_of(self, number: int) -> list[str]:
        """What is read of an input."""
        chosen = (self._place["columns"][name] for name in self._wanted)
        return [*self._place["on"], *(theirs for source, theirs in chosen if source in (EVERY, number))]

    def _prepare(self) -> None:
        raise NotImplementedError


class Union(_Inputs):
    """All rows of the first input, then of the next, in the first one's types."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows under the product's names."""
        for one in self._inputs:
            for batch in one.batches():
                yield pa.RecordBatch.from_arrays([self._fitting(one, batch, field) for field in self.schema], schema=self.schema)

    def _prepare(self) -> None:
        self._theirs = {name: self._place["columns"][name][1] for name in self._wanted}
        first = self._inputs[0].schema
        self.schema = pa.schema([pa.field(name, first.field(self._theirs[name]).type) for name in self._wanted])
        for one in self._inputs[1:]:
            for field in self.schema:
                theirs = one.schema.field(self._theirs[field.name]).type
                if _family(theirs) != _family(field.type):
                    raise Conflict(f"the column {field.name} is {theirs} in {one.name} and {field.type} in {self._inputs[0].name}", next_step=TELL)

    def _fitting(self, one: Input, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
        array = batch.column(self._theirs[field.name])
        try:
            return array if array.type == field.type else array.cast(field.type)
        except pa.ArrowException:
            message = f"a value of {field.name} in {one.name} does not fit {field.type}, its type in {self._inputs[0].name}"
            raise Conflict(message, next_step=TELL) from None  # Arrow's text quotes the value


class Join(_Inputs):
    """Each row of the first input with every combination of rows of the others that have its key; rows without any are left out."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows under the product's names, at most MAX_BATCH_ROWS at once, however many have the same key."""
        first = self._inputs[0]
        for batch in first.batches():
            columns = {(0, name): batch.column(name) for name in first.columns}
            keys = _keys(batch, self._place["on"])
            yield from self._joined(pa.array(range(batch.num_rows), pa.int64()), keys, columns, self._held)

    def _prepare(self) -> None:
        on, first = self._place["on"], self._inputs[0]
        for one in self._inputs[1:]:
            for key in on:
                mine, theirs = first.schema.field(key).type, one.schema.field(key).type
                if _family(mine) != _family(theirs) or pa.types.is_nested(mine):
                    raise Conflict(f"the key {key} is {theirs} in {one.name} and {mine} in {first.name}: they are never equal", next_step=TELL)
        self._places = {name: self._place["columns"][name] for name in self._wanted}
        self._room = [HELD_ROWS, HELD_BYTES]
        self._held = [_Held(number, one, self._delivered(number), on, self._room) for number, one in enumerate(self._inputs) if number]
        fields = (pa.field(name, self._inputs[max(number, 0)].schema.field(theirs).type) for name, (number, theirs) in self._places.items())
        self.schema = pa.schema(list(fields))

    def _delivered(self, number: int) -> list[str]:
        """The columns of an input that come out; keys are those of the first."""
        return list(dict.fromkeys(theirs for source, theirs in self._places.values() if source == number))

    def _joined(self, mine: pa.Array, keys: list[Any], columns: dict[tuple[int, str], pa.Array], held: Sequence[_Held]) -> Iterator[pa.RecordBatch]:
        if not held:
            taken = [columns[max(number, 0), theirs].take(mine) for number, theirs in self._places.values()]
            yield pa.RecordBatch.from_arrays(taken, schema=self.schema)
            return
        for left, right in held[0].matches(mine.to_pylist(), keys):
            at = pa.array(left, pa.int64())
            theirs = {(held[0].number, name): array.take(pa.array(right, pa.int64())) for name, array in held[0].columns.items()}
            ours = {place: array.take(at) for place, array in columns.items()}
            yield from self._joined(pa.array(range(len(left)), pa.int64()), [keys[place] for place in left], ours | theirs, held[1:])


class _Held:
    """An input in memory: its columns, and the places of its rows by key."""

    def __init__(self, number: int, one: Input, kept: list[str], on: Sequence[str], room: list[int]) -> None:
        self.number = number
        self._rows: dict[Any, int | list[int]] = {}
        batches: list[pa.RecordBatch] = []
        count = 0
        for batch in one.batches():
            room[0] -= batch.num_rows
            room[1] -= batch.select(kept).nbytes
            if min(room) < 0:
                message = f"{one.name} is too large to be joined: of all inputs but the first {HELD_ROWS} rows and {HELD_BYTES >> 20} MiB are held"
                raise Conflict(message, next_step=f"{TELL}: the largest input comes first in `from`, and larger ones are joined beforehand")
            for row, key in enumerate(_keys(batch, on), count):
                self._put(key, row)
            count += batch.num_rows
            batches.append(batch.select(kept))
        one.close()
        self.columns = {name: _single([batch.column(name) for batch in batches], one.schema.field(name).type) for name in kept}

    def matches(self, rows_of: list[int], keys: list[Any]) -> Iterator[tuple[list[int], list[int]]]:
        """Places on both sides of rows with equal keys, at most MAX_BATCH_ROWS at once."""
        left: list[int] = []
        right: list[int] = []
        for row in rows_of:
            found = self._rows.get(keys[row]) if keys[row] is not None else None
            for theirs in (found,) if isinstance(found, int) else found or ():
                left.append(row)
                right.append(theirs)
                if len(left) == MAX_BATCH_ROWS:
                    yield left, right
                    left, right = [], []
        if left:
            yield left, right

    def _put(self, key: Any, row: int) -> None:
        if key is None:
            return
        before = self._rows.setdefault(key, row)
        if isinstance(before, list):
            before.append(row)
        elif before != row:
            self._rows[key] = [before, row]


def files_in(place: Mapping[str, Any]) -> int:
    """How many descriptors a place needs."""
    if place["kind"] == "product":
        return sum(files_in(one["place"]) for one in place["inputs"])
    return 1 if place["kind"] == "files" else 0


def _keys(table: pa.RecordBatch, on: Sequence[str]) -> list[Any]:
    """The key of each row; None where any part of it is null, which equals nothing."""
    if len(on) == 1:
        return list(table.column(on[0]).to_pylist())
    pairs = zip(*(table.column(name).to_pylist() for name in on), strict=True)
    return [None if None in pair else pair for pair in pairs]


def _single(arrays: list[pa.Array], kind: pa.DataType) -> pa.Array:
    return pa.concat_arrays(arrays) if arrays else pa.array([], kind)


def _family(kind: pa.DataType) -> Any:
    """Types whose values Python compares as equal, and Arrow can turn into one another."""
    if is_text(kind):
        return "text"
    return "number" if pa.types.is_integer(kind) else "decimal" if pa.types.is_decimal(kind) else kind
