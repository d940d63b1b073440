"""How a dataset gets to a person: as it is, as a masked copy (a view), or as a stream of the broker; and what cannot be delivered at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.policy.decision import Obligations
from jupyter_guardrails.policy.rowfilter import Filter, all_of, fill, parse_filter, unknown

Attributes = Mapping[str, str | tuple[str, ...]]  # what is known about the person
Delivery = Literal["direct", "view", "brokered"]
OFFERED = ("active", "deprecated")
STRICTNESS = ("partial", "hash", "constant", "blank")  # from loose to strict, as the policy's grammar has it
TABLES = ("parquet", "csv", "json", "arrow", "directory", "table")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What every read of a dataset by one person is bound to."""

    delivery: Delivery = "direct"
    masks: Mapping[str, str] = field(default_factory=dict)  # path of a column -> kind
    keep: Filter | None = None  # rows, with the person's attributes filled in
    purposes: tuple[str, ...] = ()
    inputs: tuple[Bounds, ...] = ()  # of a product: what binds the datasets that it is made of

    @property
    def hides_rows(self) -> bool:
        """Whether there may be rows that this person does not see."""
        return self.keep is not None or any(one.hides_rows for one in self.inputs)

    @property
    def raw(self) -> bool:
        """Whether the files themselves may be given out, by path too."""
        return self.delivery == "direct" and not self.purposes


def bounds_of(contract: Contract, obligations: Obligations, attributes: Attributes) -> Bounds:
    """The policy's and the contract's together, the strictest of each; call it where `obstacle` finds nothing."""
    masks = dict(obligations.masks)
    for column in contract.columns:
        if column.mask:
            masks[column.name] = max(column.mask, masks.get(column.name, column.mask), key=STRICTNESS.index)
    texts = [text for text in (obligations.row_filter, contract.row_filter) if text]
    keep = all_of([fill(parse_filter(text), attributes) for text in texts]) if texts else None
    return Bounds(_delivery(contract, bool(masks or texts)), masks, keep, contract.purposes)


def _delivery(contract: Contract, bound: bool) -> Delivery:
    if place_of(contract)["kind"] != "files" or contract.delivery == "brokered":
        return "brokered"
    return "view" if bound or contract.delivery == "view" else "direct"


def place_of(contract: Contract) -> dict[str, Any]:
    """Where the data is, with the contract's types for formats that carry none: plain data for the broker."""
    place = dict(contract.place or {"kind": "files", "path": contract.path, "format": contract.format})
    types = {column.name: column.type for column in contract.columns if column.type}
    return place | {"types": types} if place["kind"] == "files" else place


def obstacle(contract: Contract, obligations: Obligations, attributes: Attributes) -> str:
    """Why a dataset cannot be given out at all, in one sentence; empty when it can."""
    if contract.problems:
        return f"the contract of {contract.name} has mistakes, and offers nothing until they are corrected"
    if contract.status not in OFFERED:
        return f"{contract.name} is {contract.status}, and is given out while it is {' or '.join(OFFERED)}"
    odd = next((column for column in contract.columns if column.mask and column.mask not in STRICTNESS), None)
    if odd is not None:
        return f"{contract.name} asks for the mask {odd.mask!r} on {odd.name}, and there are {', '.join(STRICTNESS)}"
    return _filter_obstacle(contract, obligations, attributes) or _table_obstacle(contract, obligations)


def _filter_obstacle(contract: Contract, obligations: Obligations, attributes: Attributes) -> str:
    """A filter that isn't understood, or whose attributes nobody knows, lets no row through: it shuts the dataset."""
    for text in filter(None, (obligations.row_filter, contract.row_filter)):
        try:
            missing = unknown(fill(parse_filter(text), attributes))
        except ValueError as error:
            return f"{contract.name} has a row filter that is not understood: {error}"
        if missing:
            return f"{contract.name} is filtered by {{user.{missing[0]}}}, and nothing is known about that for you"
    return ""


def _table_obstacle(contract: Contract, obligations: Obligations) -> str:
    bound = obligations.masks or obligations.row_filter or contract.row_filter or any(column.mask for column in contract.columns)
    if bound and contract.format not in TABLES:
        return f"{contract.name} would have to be masked or filtered, and its format {contract.format} has no columns"
    return ""
