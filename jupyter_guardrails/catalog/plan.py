"""What the broker is to do for one read, decided by control: from where, which columns, which rows, which masks. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_guardrails.catalog import filters
from jupyter_guardrails.policy.rowfilter import Filter

Form = Literal["arrow", "csv", "parquet", "preview", "columns", "json", "feather"]
FORMS = ("arrow", "csv")  # those that a reader may ask for as a stream


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """`keep` (policy and contract) sees raw values, `where` (the reader) masked ones only; `known`: the contract's columns, nested ones by path."""

    dataset: str
    version: str
    owner: str
    place: Mapping[str, Any]  # plain data with `kind`; see catalog/sources
    known: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)  # path of a column -> kind
    keep: Filter | None = None
    columns: tuple[str, ...] | None = None  # top-level names in the order to deliver; None: all
    where: Filter | None = None
    limit: int | None = None
    form: Form = "arrow"

    @property
    def needed(self) -> tuple[str, ...] | None:
        """Names to read: what is delivered and what both filters compare; None for all."""
        if self.columns is None:
            return None
        compared = (
            name.split(".")[0] if name not in self.known else name for name in (*filters.columns_of(self.keep), *filters.columns_of(self.where))
        )
        return tuple(dict.fromkeys((*self.columns, *compared)))

    @property
    def pushed(self) -> Filter | None:
        """What a source may use to read less. Never the reader's filter: how long a read takes would tell of masked values and hidden rows."""
        return self.keep

    @property
    def most_rows(self) -> int | None:
        """How many rows are looked at, where that is known: no filter leaves any out."""
        return self.limit if self.keep is None and self.where is None else None

    def to_json(self) -> dict[str, Any]:
        """Plain data for the broker's socket."""
        said = {"place": dict(self.place), "masks": dict(self.masks), "keep": filters.to_json(self.keep), "where": filters.to_json(self.where)}
        rest = {name: getattr(self, name) for name in ("dataset", "version", "owner", "known", "columns", "limit", "form")}
        return rest | said

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScanPlan:
        """The plan that `to_json` wrote."""
        columns = None if data["columns"] is None else tuple(data["columns"])
        trees = {name: filters.from_json(data[name]) for name in ("keep", "where")}
        return cls(**dict(data) | trees | {"known": tuple(data["known"]), "columns": columns})
