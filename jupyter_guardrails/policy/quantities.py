"""Quantities as an admin writes them: `2GiB`, `500MB`, `1.5`, `12h`, `7d`, `80%`. Strict: what could mean two things is refused."""

from __future__ import annotations

import math
import re

BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "B": 1}
SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"  # ASCII digits only: no signs, exponents, underscores, other scripts' digits
BYTES_PATTERN = rf"^{NUMBER} ?({'|'.join(BYTES)})$"
SECONDS_PATTERN = rf"^{NUMBER}({'|'.join(SECONDS)})$"
SHARE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"
LARGEST_BYTES = 2**60
LONGEST_S = 100 * 366 * 86400


def parse_bytes(text: object) -> int:
    """`2GiB` -> 2147483648. ValueError, as a sentence, for anything else."""
    return _whole(text, units=BYTES, pattern=BYTES_PATTERN, what="a size with its unit, like 2GiB or 500MB", largest=LARGEST_BYTES)


def parse_duration(text: object) -> int:
    """`12h` -> 43200 seconds. ValueError, as a sentence, for anything else."""
    return _whole(text, units=SECONDS, pattern=SECONDS_PATTERN, what="a time with its unit, like 15m, 12h or 7d", largest=LONGEST_S)


def parse_share(text: object) -> float:
    """`80%` -> 0.8. ValueError, as a sentence, for anything else or above 100%."""
    if not isinstance(text, str) or not re.match(SHARE_PATTERN, text, re.ASCII) or text.endswith("\n"):
        raise ValueError(f"must be a percentage, like 80%, not {text!r}")
    share = float(text.removesuffix("%")) / 100
    if not 0 < share <= 1:
        raise ValueError(f"must be above 0% and at most 100%, not {text!r}")
    return share


def parse_amount(number: object) -> float:
    """`1.5` -> 1.5: a positive, finite number that is not a bool and not text. ValueError, as a sentence, for anything else."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1e9 or not math.isfinite(number):
        raise ValueError(f"must be a number above 0, like 1.5, not {number!r}")
    return float(number)


def format_bytes(size: int) -> str:
    """The shortest exact spelling: 2147483648 -> `2GiB`, 1500 -> `1500B`."""
    return next(f"{size // factor}{unit}" for unit, factor in sorted(BYTES.items(), key=lambda item: -item[1]) if size % factor == 0)


def format_duration(seconds: int) -> str:
    """The shortest exact spelling: 43200 -> `12h`; weeks are written as days."""
    return next(f"{seconds // factor}{unit}" for unit, factor in SECONDS.items() if unit != "w" and seconds % factor == 0)


def _whole(text: object, *, units: dict[str, int], pattern: str, what: str, largest: int) -> int:
    """A positive whole amount of the base unit."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"must be {what}; {text!r} has no unit")
    match = re.match(pattern, text, re.ASCII) if isinstance(text, str) else None
    if match is None or str(text).endswith("\n"):
        raise ValueError(f"must be {what}, not {text!r}")
    amount = float(str(text)[: match.start(1)]) * units[match.group(1)]
    if not 1 <= amount <= largest:
        raise ValueError(f"must be {what}; {text!r} is {'too little' if amount < 1 else 'more than makes sense'}")
    return round(amount)
