"""What a workspace carries, to look at and to use in code."""

from __future__ import annotations

from typing import Any


class Labels:
    """`classification` (empty: none), `purposes`, `expires_at`, `inputs`; printed, one sentence."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.classification = str(said.get("classification", ""))
        self.purposes = tuple(said.get("purposes", ()))
        self.expires_at = said.get("expires_at")
        self.inputs = [dict(item) for item in said.get("inputs", ())]
        self.text = str(said.get("text", ""))

    def __repr__(self) -> str:
        return self.text
