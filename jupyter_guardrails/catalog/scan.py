"""One scan in the broker's worker: a source's batches with the policy's rows, masks, the reader's filter, columns and limit, in this order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from jupyter_guardrails.catalog import rows
from jupyter_guardrails.catalog.masks import KINDS, Masker, plain
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.sources import MAX_BATCH_ROWS, Source
from jupyter_guardrails.catalog.spelling import alike, listed
from jupyter_guardrails.errors import BadRequest, Conflict


class Scan:
    """`schema` is what is delivered; Conflict or BadRequest when plan and data don't fit together: then nothing of it is."""

    def __init__(self, plan: ScanPlan, source: Source, salt: bytes) -> None:
        self.plan = plan
        self._source = source
        self._masker = Masker(plan.masks, salt)
        names = list(source.schema.names)
        self._columns = list(plan.columns) if plan.columns is not None else names
        self._check_names(names)
        if plan.masks:
            self._check_masks()
        if plan.keep is not None:
            rows.check(source.schema, plan.keep)
        nothing = pa.RecordBatch.from_pylist([], schema=source.schema)
        masked = self._masked(nothing)
        if plan.where is not None:
            rows.check(masked.schema, plan.where)
        self.schema: pa.Schema = masked.select(self._columns).schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What is delivered, in batches of at most MAX_BATCH_ROWS rows; empty ones are left out."""
        left = self.plan.limit
        for batch in self._source.batches():
            for start in range(0, batch.num_rows, MAX_BATCH_ROWS):
                made = self._one(batch.slice(start, MAX_BATCH_ROWS))
                made = made if left is None else made.slice(0, left)
                left = None if left is None else left - made.num_rows
                if made.num_rows:
                    yield made
                if left == 0:
                    return

    def _one(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.plan.keep is not None:
            batch = rows.passing(batch, self.plan.keep)
        masked = self._masked(batch)
        if self.plan.where is not None:
            masked = rows.passing(masked, self.plan.where)
        return pa.RecordBatch.from_arrays(masked.select(self._columns).columns, schema=self.schema)

    def _masked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Every column that is delivered or compared by the reader, without the metadata of its file."""
        masker = self._masker
        arrays = [masker.column(name, array) if masker.touches(name) else plain(array) for name, array in _pairs(batch)]
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    def _check_names(self, names: list[str]) -> None:
        """Each column once, and each that was asked for."""
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise self._conflict(f"{self.plan.dataset} has the column {twice[0]!r} more than once")
        known = set(names)
        missing = next((name for name in self._columns if name not in known), None)
        if missing is not None:
            raise BadRequest(f"{self.plan.dataset} has no column {missing!r}{alike(missing, names)}", next_step=f"it has {listed(names)}")

    def _check_masks(self) -> None:
        """A renamed column would come out unmasked: data and contract have to agree on every name before anything is delivered."""
        self._check_kinds()
        found = {path: None for field in self._source.schema for path in paths_of(field.name, field.type)}
        described = set(self.plan.known)
        odd = next((path for path in found if path not in described and not _is_inside_undescribed(path, described)), None)
        if odd is not None:
            lacks = f"has a column {odd!r} that its contract lacks{alike(odd, described)}"
            raise self._conflict(f"the data of {self.plan.dataset} {lacks}, and its masks may not fit any more")
        lost = next((path for path in self.plan.masks if path not in found and self._is_read(path)), None)
        if lost is not None:
            raise self._conflict(f"the contract of {self.plan.dataset} masks the column {lost!r}, which the data lacks")

    def _check_kinds(self) -> None:
        unknown = next((kind for kind in self.plan.masks.values() if kind not in KINDS), None)
        if unknown is not None:
            raise self._conflict(f"{self.plan.dataset} asks for the mask {unknown!r}, and there are {', '.join(KINDS)}")

    def _is_read(self, path: str) -> bool:
        """Whether a column, or the one that it is in, is among those that are read."""
        return self.plan.columns is None or _outermost(path) in set(self._source.schema.names)

    def _conflict(self, message: str) -> Conflict:
        return Conflict(message, next_step=f"tell its owner ({self.plan.owner}): contract and data have to have the same columns")


def paths_of(path: str, kind: pa.DataType) -> Iterator[str]:
    """The name of a column and of everything in it, as contracts write them."""
    yield path
    if pa.types.is_struct(kind):
        for field in kind:
            yield from paths_of(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from paths_of(f"{path}[]", kind.value_type)


def _is_inside_undescribed(path: str, described: set[str]) -> bool:
    """Whether the contract describes a column around this one, and nothing that is in it."""
    outer = _around(path)
    while outer:
        if outer in described:
            return not any(name.startswith((f"{outer}.", f"{outer}[]")) for name in described)
        outer = _around(outer)
    return False


def _around(path: str) -> str:
    if path.endswith("[]"):
        return path[:-2]
    return path.rpartition(".")[0]


def _outermost(path: str) -> str:
    return path.split(".")[0].split("[]")[0]


def _pairs(batch: pa.RecordBatch) -> Iterator[tuple[str, Any]]:
    return zip(batch.schema.names, batch.columns, strict=True)
