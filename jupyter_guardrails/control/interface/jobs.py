"""What a job reads, as control says it: the datasets that are declared, and what each was bound to when its notebook ran clean."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Mask = Literal["partial", "hash", "constant", "blank"]


class DeclaredInput(BaseModel):
    """One dataset. `masks`: column -> kind; `rows`: the digest of the row filter, empty where all rows were delivered. Never a value.

    `counts`: sha256 of the file that its contract says counts, empty where it says none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(max_length=200)
    version: str = Field(default="", max_length=200)
    masks: dict[str, Mask] = Field(default_factory=dict)
    rows: str = Field(default="", max_length=128)
    counts: str = Field(default="", max_length=64)


DECLARED = set(DeclaredInput.model_fields)  # of what job.json says of an input
