"""How old a dataset's files may be by its contract (`slaProperties`): the time between two updates, and what an update may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from open_data_contract_standard.model import ServiceLevelAgreementProperty

COUNTED = ("frequency", "interval", "latency")  # the standard's names, in any case of letters
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 31 * 86400, "y": 366 * 86400}
WORDS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": "mo", "year": "y"}
Mistake = tuple[int, str, str]  # index in the list, what is wrong, what to write instead


def allowed_age_s(properties: Sequence[ServiceLevelAgreementProperty]) -> tuple[float, list[Mistake]]:
    """Seconds that may pass since the newest file changed, 0 for no limit; and what could not be understood."""
    found, mistakes = 0.0, []
    for index, item in enumerate(properties):
        if (item.property or "").lower() not in COUNTED:
            continue
        unit = _unit(item.unit or "")
        if not isinstance(item.value, (int, float)) or isinstance(item.value, bool) or item.value <= 0 or item.value > 1e6:
            mistakes.append(
                (index, f"{item.property}: {item.value!r} is not a number above 0", "write the number as value, and what it counts as unit")
            )
        elif not unit:
            mistakes.append((index, f"{item.property}: the unit {item.unit!r} is not known", f"one of {', '.join(SECONDS)}, or {', '.join(WORDS)}"))
        else:
            found += item.value * SECONDS[unit]
    return found, mistakes


def _unit(text: str) -> str:
    """`d` for d, D, day, days."""
    word = text.strip().lower()
    return word if word in SECONDS else next((short for short in _named(word)), "")


def _named(word: str) -> Iterator[str]:
    return (short for name, short in WORDS.items() if word in (name, f"{name}s"))
