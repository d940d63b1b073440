"""Quantities as an admin writes them: `2GiB`, `500MB`, `1.5`, `12h`, `7d`, `80%`. Strict: what could mean two things is refused."""

from __future__ import annotations

import re

from jupyter_guardrails.policy.wording import shown

BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "B": 1}
SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"  # ASCII digits only: no signs, exponents, underscores, other scripts' digits
BYTES_PATTERN = rf"^{NUMBER} ?({'|'.join(BYTES)})$"
SECONDS_PATTERN = rf"^{NUMBER}({'|'.join(SECONDS)})$"
SHARE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"
LARGEST_BYTES = 2**60
LONGEST_S = 100 * 366 * 86400
SMALLEST_AMOUNT, LARGEST_AMOUNT = 1e-6, 1e9
# What people write for a unit, in lower case -> the unit that they may mean.
OTHER_BYTES = {unit.lower(): unit for unit in BYTES} | {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "bytes": "B"}
OTHER_SECONDS = {
    spelling: unit
    for unit, spellings in {
        "s": ("s", "sec", "secs", "second", "seconds"),
        "m": ("m", "min", "mins", "minute", "minutes"),
        "h": ("h", "hr", "hrs", "hour", "hours"),
        "d": ("d", "day", "days"),
        "w": ("w", "wk", "week", "weeks"),
    }.items()
    for spelling in spellings
}


def parse_bytes(text: object) -> int:
    """`2GiB` -> 2147483648. ValueError, as a sentence, for anything else."""
    return _whole(text, units=BYTES, pattern=BYTES_PATTERN, what="a size with its unit, like 2GiB or 500MB", largest=LARGEST_BYTES, other=OTHER_BYTES)


def parse_duration(text: object) -> int:
    """`12h` -> 43200 seconds. ValueError, as a sentence, for anything else."""
    what = "a time with one unit, like 15m, 12h or 7d"
    return _whole(text, units=SECONDS, pattern=SECONDS_PATTERN, what=what, largest=LONGEST_S, other=OTHER_SECONDS)


def parse_share(text: object) -> float:
    """`80%` -> 0.8. ValueError, as a sentence, for anything else or above 100%."""
    if not isinstance(text, str) or not re.match(SHARE_PATTERN, text, re.ASCII) or text.endswith("\n"):
        raise ValueError(f"must be a percentage, like 80%, not {shown(text)}")
    share = float(text.removesuffix("%")) / 100
    if not 0 < share <= 1:
        raise ValueError(f"must be above 0% and at most 100%, not {text!r}")
    return share


def parse_amount(number: object) -> float:
    """`1.5` -> 1.5: a positive, finite number that is not a bool and not text. ValueError, as a sentence, for anything else."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not SMALLEST_AMOUNT <= number <= LARGEST_AMOUNT:
        advice = f": {advice}" if isinstance(number, str) and (advice := number_advice(number)) else ""
        raise ValueError(f"must be a number above 0, like 1.5, not {shown(number)}{advice}")
    return float(number)


def number_advice(text: str) -> str:
    """What to do about text in the place of a number: it is quoted, or spelt as YAML doesn't spell numbers."""
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?", text, re.ASCII):
        return "write it without quotes"
    if re.fullmatch(r"[-+]?[0-9]{17,}", text, re.ASCII):
        return "it is too large"
    return "write plain decimal digits, like 10" if re.match(r"[-+]?\.?\d", text) else ""


def format_bytes(size: int) -> str:
    """The shortest exact spelling: 2147483648 -> `2GiB`, 1500 -> `1500B`."""
    return next(f"{size // factor}{unit}" for unit, factor in sorted(BYTES.items(), key=lambda item: -item[1]) if size % factor == 0)


def format_duration(seconds: int) -> str:
    """The shortest exact spelling: 43200 -> `12h`; weeks are written as days."""
    return next(f"{seconds // factor}{unit}" for unit, factor in SECONDS.items() if unit != "w" and seconds % factor == 0)


def _whole(text: object, *, units: dict[str, int], pattern: str, what: str, largest: int, other: dict[str, str]) -> int:
    """A positive whole amount of the base unit."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"must be {what}; {text!r} {'is below 0' if text < 0 else 'has no unit'}")
    match = re.match(pattern, text, re.ASCII) if isinstance(text, str) else None
    if match is None or str(text).endswith("\n"):
        raise ValueError(f"must be {what}{_instead(text, pattern, other) if isinstance(text, str) else f', not {shown(text)}'}")
    amount = float(str(text)[: match.start(1)]) * units[match.group(1)]
    if not 1 <= amount <= largest:
        raise ValueError(f"must be {what}; {shown(text)} is {'too little' if amount < 1 else 'more than makes sense'}")
    return round(amount)


def _instead(text: str, pattern: str, other: dict[str, str]) -> str:
    """How the sentence about wrong text ends: with the spelling that somebody may mean by `2gb`, `1,5 GiB` or `90 min`, as a question."""
    if text.startswith("-") and re.match(pattern, text[1:], re.ASCII):
        return f"; {shown(text)} is below 0"
    found = re.fullmatch(rf"({NUMBER}) *([a-z]+)", text.strip().lower().replace(",", "."), re.ASCII)
    meant = f"{found.group(1)}{other.get(found.group(2), '')}" if found else ""
    return f", not {shown(text)}" + (f": did you mean {meant}?" if meant and re.match(pattern, meant, re.ASCII) else "")
