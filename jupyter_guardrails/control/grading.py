"""The steps between a limit that comes near and the end of what passes it, as a pure function of before, measure and time.

Nothing ends in silence: a warning at 80 %, at 100 % a notice with a countdown, then an interrupt that leaves the variables, and only after a
second, short grace the end. Whenever the limit has room again, the rest is called off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jupyter_guardrails.control.notice_words import Words
from jupyter_guardrails.records.notices import Cause, Notice

WARN_AT = 0.8  # of idle and life time; a budget has its own `warn_at`
LONGEST_COUNTDOWN_S = 300.0  # idle and life time: what is worth hours gets five minutes, what is worth a minute six seconds
SHARE_OF_COUNTDOWN = 0.1
SECOND_GRACE_S = 120.0  # after the interrupt: enough to write variables to a file, too little to go on computing
STAYS_WARNED = 0.9  # of `warn_at`: a use that goes up and down around it is told once
CALLED_OFF_S = 600.0  # for so long it is shown that an end was called off
MOST_OFTEN_S, SELDOM_S = 1.0, 10.0  # between two beats


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of one limit is used; `left_s` until 100 % at the present rate. `ends` False: only told, as with a terminal's budget."""

    cause: Cause
    share: float
    left_s: float | None
    rule: str
    words: Words
    countdown_s: float
    warn_at: float = WARN_AT
    interrupts: bool = True
    ends: bool = True
    enforced: bool = True

    @property
    def second_s(self) -> float:
        """From the interrupt to the end; 0 where there is none."""
        return min(SECOND_GRACE_S, self.countdown_s) if self.interrupts else 0.0

    @property
    def acts(self) -> bool:
        """Whether anything will be done."""
        return self.ends and self.enforced


def countdown_s(limit_s: float) -> float:
    """Between 100 % and the first thing that happens, for idle and life time."""
    return min(LONGEST_COUNTDOWN_S, SHARE_OF_COUNTDOWN * limit_s)


def graded(before: Notice | None, measure: Measure, *, lease: str, principal: str, now: datetime) -> Notice | None:
    """The notice from now on; the same object where nothing is new, None where there is nothing to say."""
    fresh = Notice(lease, measure.cause, principal, "warned", measure.words.nearing, measure.rule, measure.enforced, now)
    if measure.share < 1:
        return _eased(before, measure, fresh)
    if before is None or before.phase in ("warned", "off") or before.enforced != measure.enforced:
        return _noticed(measure, fresh)
    return _next(before, measure, now=now)


def called_off(before: Notice, words: Words, *, now: datetime) -> Notice:
    """What was going to be ended isn't."""
    return replace(before, phase="off", reason=words.called_off, since=now, interrupt_at=None, end_at=None)


def next_beat_s(pairs: list[tuple[Measure, Notice | None]], *, now: datetime) -> float:
    """When control wants to hear again, so that each step comes at its time."""
    times = [time for measure, notice in pairs for time in (_until_said_s(measure, notice), _until_done_s(notice, now=now)) if time is not None]
    return min(SELDOM_S, max(MOST_OFTEN_S, min(times, default=SELDOM_S)))


def _eased(before: Notice | None, measure: Measure, fresh: Notice) -> Notice | None:
    """Below 100 %."""
    if before is not None and before.phase in ("noticed", "interrupted") and before.enforced and measure.cause != "idle":
        return called_off(before, measure.words, now=fresh.since)
    if before is not None and before.phase == "off" and (fresh.since - before.since).total_seconds() < CALLED_OFF_S:
        return before
    if before is not None and before.phase == "warned":
        return before if measure.share >= STAYS_WARNED * measure.warn_at else None
    return fresh if measure.share >= measure.warn_at else None


def _noticed(measure: Measure, fresh: Notice) -> Notice:
    if not measure.acts:
        return replace(fresh, phase="noticed", reason=measure.words.noticed(None, None, enforced=measure.enforced))
    interrupt_at = fresh.since + timedelta(seconds=measure.countdown_s)
    end_at = interrupt_at + timedelta(seconds=measure.second_s)
    reason = measure.words.noticed(interrupt_at, end_at, enforced=True, now=fresh.since)
    return replace(fresh, phase="noticed", reason=reason, interrupt_at=interrupt_at, end_at=end_at)


def _next(before: Notice, measure: Measure, *, now: datetime) -> Notice:
    """At 100 % and told: the next step where its time has come."""
    if before.interrupt_at is None or before.end_at is None or not measure.acts:
        return before
    if before.phase == "noticed" and now >= before.interrupt_at and measure.interrupts:
        end_at = now + timedelta(seconds=measure.second_s)  # counted from the interrupt: it may come late, where control was away
        return replace(before, phase="interrupted", reason=measure.words.interrupted(end_at, now=now), since=now, end_at=end_at)
    if before.phase != "ended" and now >= before.end_at:
        return replace(before, phase="ended", reason=measure.words.ended, since=now)
    return before


def _until_said_s(measure: Measure, notice: Notice | None) -> float | None:
    """Until the warning or the notice is due, at the present rate."""
    if measure.left_s is None or measure.share >= 1:
        return None
    goal = 1.0 if notice is not None or measure.share >= measure.warn_at else measure.warn_at
    return measure.left_s * (goal - measure.share) / (1 - measure.share)


def _until_done_s(notice: Notice | None, *, now: datetime) -> float | None:
    if notice is None or notice.interrupt_at is None or notice.end_at is None or notice.phase not in ("noticed", "interrupted"):
        return None
    due = notice.interrupt_at if notice.phase == "noticed" else notice.end_at
    return (due - now).total_seconds()
