"""How values from a file read in a sentence."""

from __future__ import annotations

LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """Text in quotes and cut where it is long, numbers and true or false as YAML writes them, lists and mappings by their kind alone."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        return f"{value[: LONGEST_SHOWN - 10]!r}… ({len(value):,} characters)"
    return "nothing" if value is None else repr(value)


def visible(text: str) -> str:
    """The text with control characters and the like written out: what a file holds can't steer a terminal."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
