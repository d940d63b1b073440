"""What derived data inherits from what it was made of: the highest classification, every limit on purposes, the earliest end of a grant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

LADDER = ("public", "internal", "confidential", "restricted")


@dataclass(frozen=True, slots=True)
class Input:
    """A dataset that was given to a kernel, with what bound it then. Without `purposes` it may be used for any."""

    name: str
    version: str
    classification: str
    purposes: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What a workspace carries, or what was made in it. `classification` is empty, and all else too, where nothing was given to it."""

    classification: str = ""
    purposes: tuple[str, ...] = ()
    exhausted: bool = False  # its inputs have no purpose in common: it may be used for none
    expires_at: datetime | None = None
    inputs: tuple[Input, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing was given."""
        return not self.inputs


def rank(classification: str) -> int:
    """Higher is stricter. A classification of an admin's own has no place on the ladder and counts as higher than all of it."""
    folded = classification.casefold()
    return LADDER.index(folded) if folded in LADDER else len(LADDER) if folded else -1


def highest(classifications: Iterable[str]) -> str:
    """The strictest of some classifications, of equal ones the first by name; empty for none."""
    return max(sorted(classifications), key=rank, default="")


def label_of(inputs: Iterable[Input]) -> Label:
    """What is made of these inputs. Each limit on purposes holds, so what is left are the purposes that all of them allow."""
    found = tuple(sorted(inputs, key=lambda item: (item.name, item.version, item.classification)))
    limits = [set(item.purposes) for item in found if item.purposes]
    common: set[str] = reduce(set.__and__, limits) if limits else set()
    ends = [item.expires_at for item in found if item.expires_at is not None]
    return Label(highest(item.classification for item in found), tuple(sorted(common)), bool(limits and not common), min(ends, default=None), found)


def in_words(label: Label) -> str:
    """`confidential, from hr/headcount 1.2.0 and nyc/flights 2.0.0; until 2031-05-11; for churn only`, or that there is none."""
    if label.empty:
        return "none: no dataset was given to this workspace"
    names = list(dict.fromkeys(f"{item.name} {item.version}".strip() for item in label.inputs))
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    until = f"; until {label.expires_at:%Y-%m-%d}" if label.expires_at else ""
    purposes = "; for no purpose, since its inputs have none in common" if label.exhausted else f"; for {', '.join(label.purposes)} only"
    return f"{label.classification}, from {shown}{until}{purposes if label.purposes or label.exhausted else ''}"


def to_json(item: Input) -> dict[str, Any]:
    """An input as it is kept and shown."""
    expires = item.expires_at.isoformat() if item.expires_at else None
    return {"name": item.name, "version": item.version, "classification": item.classification} | {
        "purposes": list(item.purposes),
        "expires_at": expires,
    }


def from_json(said: dict[str, Any]) -> Input:
    """What `to_json` made."""
    expires = datetime.fromisoformat(said["expires_at"]) if said["expires_at"] else None
    return Input(said["name"], said["version"], said["classification"], tuple(said["purposes"]), expires)
