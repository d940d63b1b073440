"""What a budget is counted in and over which time: amounts, rolling windows and calendar months, and who has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

HOUR_S = 3600
GIB = 1 << 30
RESERVE_S = 300  # what a start is promised: so long at all that its profile gives
NAMES = ("cpu", "memory_gib", "gpu")
SHARED = "rule/"  # no person's name has a slash
MONTH = "month"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Processor-seconds, GiB-seconds of memory and GPU-seconds."""

    cpu_s: float = 0.0
    memory_gib_s: float = 0.0
    gpu_s: float = 0.0

    def __add__(self, other: Amounts) -> Amounts:
        """The sum, amount by amount."""
        return Amounts(self.cpu_s + other.cpu_s, self.memory_gib_s + other.memory_gib_s, self.gpu_s + other.gpu_s)

    def __sub__(self, other: Amounts) -> Amounts:
        """The difference, amount by amount."""
        return Amounts(self.cpu_s - other.cpu_s, self.memory_gib_s - other.memory_gib_s, self.gpu_s - other.gpu_s)

    def __bool__(self) -> bool:
        """False if all of it is nothing."""
        return bool(self.cpu_s or self.memory_gib_s or self.gpu_s)

    def grows(self) -> bool:
        """Whether any amount is above nothing."""
        return self.cpu_s > 0 or self.memory_gib_s > 0 or self.gpu_s > 0

    def each(self) -> tuple[float, float, float]:
        """The three of them, in the order of `NAMES`."""
        return (self.cpu_s, self.memory_gib_s, self.gpu_s)


def amounts_of(row: Mapping[str, Any], prefix: str = "") -> Amounts:
    """The amounts in a row's columns `{prefix}cpu_s`, `{prefix}memory_gib_s` and `{prefix}gpu_s`."""
    return Amounts(*(float(row[f"{prefix}{name}_s"]) for name in NAMES))


@dataclass(frozen=True, slots=True)
class Window:
    """The last `per_s` seconds, by whole hours; None = the calendar month in UTC."""

    per_s: int | None

    @property
    def key(self) -> str:
        """How it is named in the records."""
        return MONTH if self.per_s is None else str(self.per_s)

    def first_hour(self, now: datetime) -> int:
        """The oldest hour of which a part lies in the window."""
        if self.per_s is None:
            return hour_of(now.astimezone(UTC).replace(day=1, hour=0))
        return int((now.timestamp() - self.per_s) // HOUR_S)

    def leaves_at(self, hour: int) -> datetime:
        """When that hour is no longer in the window."""
        if self.per_s is not None:
            return datetime.fromtimestamp((hour + 1) * HOUR_S + self.per_s, UTC)
        month = datetime.fromtimestamp(hour * HOUR_S, UTC)
        following = (month.year + month.month // 12, month.month % 12 + 1)
        return datetime(*following, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limit:
    """Hours that a holder (a person, or `rule/NAME`: the people of that rule together) has in a window; None = that amount isn't limited."""

    holder: str
    window: Window
    cpu_hours: float | None = None
    memory_gib_hours: float | None = None
    gpu_hours: float | None = None

    def seconds(self) -> dict[str, float]:
        """Amount's name -> limit in its seconds, of those that are limited."""
        hours = zip(NAMES, (self.cpu_hours, self.memory_gib_hours, self.gpu_hours), strict=True)
        return {name: limit * HOUR_S for name, limit in hours if limit is not None}

    def at_most(self, wanted: Amounts) -> Amounts:
        """What a start asks of this budget: of a budget that is smaller than what its profile gives, all."""
        limits = self.seconds()
        return Amounts(*(min(amount, limits.get(name, amount)) for name, amount in zip(NAMES, wanted.each(), strict=True)))


def hour_of(moment: datetime) -> int:
    """Hours since 1970."""
    return int(moment.timestamp() // HOUR_S)
