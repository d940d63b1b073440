"""Names of columns and files in sentences: one line whatever they hold, and a word where two look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from jupyter_guardrails.policy.wording import visible

MOST_LISTED = 8


def listed(names: Sequence[str]) -> str:
    """`a, b, c …`: the first ones, with control characters and the like written out."""
    return visible(", ".join(names[:MOST_LISTED])) + (" …" if len(names) > MOST_LISTED else "")


def alike(name: str, known: Iterable[str]) -> str:
    r"""` (there is '\xe9', and this is 'e\u0301')` where another name differs only in how its letters are written; else nothing."""
    folded = _folded(name)
    other = next((one for one in known if one != name and _folded(one) == folded), None)
    return "" if other is None else f" (there is {other!a}, and this is {name!a})"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()
