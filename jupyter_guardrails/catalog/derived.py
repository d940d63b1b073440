"""What a read of a dataset is bound to, where it may be a product: the bounds, versions and places of all that it is made of.

Who may read a product need not be allowed to read its inputs. Their masks and row filters hold in it all the same, as they would for that person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jupyter_guardrails.catalog import filters
from jupyter_guardrails.catalog.delivery import STRICTNESS, Attributes, Bounds, bounds_of, obstacle, place_of
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import EVERY, inner
from jupyter_guardrails.policy.decision import Obligations

Obliged = Callable[[Contract], Obligations]
UNAVAILABLE = "is made of other datasets, and one of them can't be given out to you now"


def bounds_for(contract: Contract, obliged: Obliged, attributes: Attributes) -> Bounds:
    """What a read is bound to; a product's columns by the strictest of its own masks and those of what they are made of."""
    own = bounds_of(contract, obliged(contract), attributes)
    if not contract.made_from:
        return own
    inputs = tuple(bounds_for(one, obliged, attributes) for one in contract.made_from)
    masks = dict(own.masks)
    for ours, (number, theirs) in contract.place["columns"].items():
        for index, bounds in enumerate(inputs):
            for path, kind in bounds.masks.items() if number in (EVERY, index) else ():
                _tighten(masks, ours, inner(path, theirs), kind)
    return replace(own, masks=masks, inputs=inputs)


def _tighten(masks: dict[str, str], column: str, rest: str | None, kind: str) -> None:
    if rest is not None:
        path = column + rest
        masks[path] = max(kind, masks.get(path, kind), key=STRICTNESS.index)


def obstacle_for(contract: Contract, obliged: Obliged, attributes: Attributes) -> str:
    """Why it can't be given out, empty when it can. Of a product's inputs it tells nothing: one may not know of them."""
    own = obstacle(contract, obliged(contract), attributes)
    if own or not contract.made_from:
        return own
    shut = any(obstacle_for(one, obliged, attributes) for one in contract.made_from)
    return f"{contract.name} {UNAVAILABLE}" if shut else ""


def place_for(contract: Contract, bounds: Bounds | None) -> dict[str, Any]:
    """Where the broker reads it, of a product with its inputs and the rows that it may use of them; None for all rows."""
    if not contract.made_from:
        return place_of(contract)
    limits = bounds.inputs if bounds is not None else (None,) * len(contract.made_from)
    inputs = [_input(one, limit) for one, limit in zip(contract.made_from, limits, strict=True)]
    return {key: contract.place[key] for key in ("kind", "how", "on", "columns")} | {"inputs": inputs}


def _input(contract: Contract, bounds: Bounds | None) -> dict[str, Any]:
    keep = filters.to_json(bounds.keep if bounds is not None else None)
    known = [column.name for column in contract.columns]
    return {"place": place_for(contract, bounds), "keep": keep, "known": known}
