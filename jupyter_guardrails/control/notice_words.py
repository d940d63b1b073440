"""What a notice says, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jupyter_guardrails.records.budgets import Standing

NOUNS = {"kernel": "this kernel", "terminal": "this terminal", "clean_run": "this clean run", "exec": "this command"}
AMOUNTS = {"cpu_hours": "cpu-hours", "memory_gib_hours": "memory GiB-hours", "gpu_hours": "GPU-hours"}
SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
SAVE = "Save your work, or ask for more for a while"


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences about one limit of one kernel, terminal, clean run or command (`noun`)."""

    noun: str
    nearing: str  # at 80 %
    reached: str  # why, at 100 %
    called_off: str
    consequence: str = ""  # what else happens at 100 %
    unless: str = ""  # what the person can do about it

    def noticed(self, interrupt_at: datetime | None, end_at: datetime | None, *, enforced: bool, now: datetime | None = None) -> str:
        """At 100 %: what will be done and when; without times, that nothing will."""
        if not enforced:
            return f"not enforced, only said: {self.noun} would be ended: {self.reached}"
        if interrupt_at is None or end_at is None or now is None:
            return f"{self.reached}. {self.consequence}"
        told = [f"{self.noun} is going to be ended: {self.reached}", self.consequence, _plan(self.noun, interrupt_at, end_at, now=now), self.unless]
        return ". ".join(part for part in told if part)

    def interrupted(self, end_at: datetime, *, now: datetime) -> str:
        """After the interrupt: the variables are still there."""
        kept = " Your variables are still there: save them now." if self.noun == NOUNS["kernel"] else ""
        return f"interrupted: {self.reached}.{kept} {self.noun.capitalize()} is ended {_when(end_at, now=now)}"

    @property
    def ended(self) -> str:
        """The reason that stays."""
        return f"{self.noun} was ended: {self.reached}"


def of_idle(kind: str, *, limit_s: float, idle_s: float) -> Words:
    """Not used for some time."""
    noun = NOUNS[kind]
    reached = f"it was not used for {span(limit_s)}, as its profile says"
    nearing = f"{noun} was not used for {span(idle_s)}; after {span(limit_s)} it is ended, as its profile says"
    return Words(noun, nearing, reached, "it is used again", unless="Using it, or Keep in the panel, keeps it")


def of_lifetime(kind: str, *, limit_s: float, age_s: float) -> Words:
    """Running for some time."""
    noun, left_s = NOUNS[kind], max(0.0, limit_s - age_s)
    reached = f"its profile lets it run for {span(limit_s)}"
    nearing = f"{noun} may run for {span(limit_s)}, as its profile says: {span(left_s)} are left"
    return Words(noun, nearing, reached, f"it may run for {span(limit_s)} now", unless=SAVE)


def of_budget(kind: str, standing: Standing, *, principal: str, left_s: float | None, grace_s: float) -> Words:
    """A budget that is one's own, or shared."""
    whose = "your budget" if standing.holder == principal else "the budget that your group shares"
    used = used_of(standing)
    lasts = f"; at the present rate the rest lasts {span(left_s)}" if left_s is not None else ""
    then = f"At 100% nothing new starts, and what runs has {span(grace_s)} to save its work"
    nearing = f"{whose} is used up to {standing.share:.0%}: {used}{lasts}. {then}"
    over = standing.frees_at is not None and standing.share >= 1
    frees = f"; it has room again at {standing.frees_at:%Y-%m-%d %H:%M} UTC if nothing runs until then" if over else ""
    consequence = "Nothing new starts" + (f"; {NOUNS[kind]} stays, so that you can save your work" if kind == "terminal" else "")
    return Words(NOUNS[kind], nearing, f"{whose} is used up: {used}{frees}", f"{whose} has room again: {used}", consequence, SAVE)


def used_of(standing: Standing) -> str:
    """`1.7 of 2 cpu-hours`: the amounts that come nearest to their limits."""
    near = [amount for amount in standing.amounts if amount.limit and amount.used / amount.limit >= 0.9 * standing.share]
    return " and ".join(f"{amount.used:.3g} of {amount.limit:g} {AMOUNTS.get(amount.name, amount.name)}" for amount in near)


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `1.5 h`, `3 d`."""
    seconds = max(1.0, seconds)
    size, unit = next(((size, unit) for size, unit in SPANS if seconds >= 2 * size or (seconds >= size and seconds % size == 0)), (1, "s"))
    return f"{round(seconds / size, 1 if size >= 3600 else 0):g} {unit}"


def _plan(noun: str, interrupt_at: datetime, end_at: datetime, *, now: datetime) -> str:
    if interrupt_at == end_at:
        return f"It ends {_when(end_at, now=now)}"
    later = span((end_at - interrupt_at).total_seconds())
    return f"What it is doing is interrupted {_when(interrupt_at, now=now)}, and {noun} ends {later} later"


def _when(moment: datetime, *, now: datetime) -> str:
    return f"in {span((moment - now).total_seconds())}, at {moment:%H:%M:%S} UTC"
