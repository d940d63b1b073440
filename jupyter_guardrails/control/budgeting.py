"""A person's budget: which limit the policy means, how it stands, and why a start does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.limits import in_time
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import BudgetUsedUp, GroupsUnknown, LimitReached, PolicyError
from jupyter_guardrails.policy import BudgetSpec, EffectivePolicy, Value
from jupyter_guardrails.records import budgets
from jupyter_guardrails.records.budgets import Standing
from jupyter_guardrails.records.windows import GIB, HOUR_S, NAMES, SHARED, Amounts, Limit, Window

WORDS = {"cpu": "cpu-hours", "memory_gib": "memory GiB-hours", "gpu": "GPU-hours"}


async def standing(state: ControlState, principal: str) -> Standing | None:
    """How a person's budget stands now; None: they have none. Raises as `state.effective` does."""
    limit = limit_of(state.effective(principal))
    return None if limit is None else await state.records.read(budgets.standing, limit, now=state.clock())


def limit_of(policy: EffectivePolicy) -> Limit | None:
    """The person's budget as the records know it; None: there is none."""
    if policy.budget is None:
        return None
    spec = policy.budget.value
    return Limit(holder_of(policy), Window(spec.per_s), spec.cpu_hours, spec.memory_gib_hours, spec.gpu_hours)


def holder_of(policy: EffectivePolicy) -> str:
    """Whose budget a person's use counts in: their own, or that of the people of a rule together."""
    sharers = policy.budget.value.sharers if policy.budget else ""
    return f"{SHARED}{sharers}" if sharers else policy.person


def holder_now(state: ControlState) -> str:
    """The same for this connection's principal; empty while nobody can tell what the policy means for them: then it stays as it was."""
    try:
        return holder_of(state.effective())
    except (PolicyError, GroupsUnknown):
        return ""


def rates(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """How fast live leases use each amount by their last beats, in hours an hour."""
    sums = dict.fromkeys((f"{name}_hours" for name in NAMES), 0.0)
    for row in rows:
        sums["cpu_hours"] += row["cpu_percent"] / 100
        sums["memory_gib_hours"] += row["memory_bytes"] / GIB
        sums["gpu_hours"] += row["gpus"] if row["state"] != "starting" else 0
    return sums


def window_in_words(per_s: int | None) -> str:
    """`last 7 d`, or `calendar month`."""
    return "calendar month" if per_s is None else f"last {in_time(per_s)}"


@dataclass(frozen=True, slots=True)
class Lack:
    """One amount that a start needs more of than is left; all in seconds."""

    name: str
    used: float
    reserved: float
    needed: float
    limit: float

    def __str__(self) -> str:
        """`39.8 of 40 cpu-hours used, 0.1 promised to what runs; a start needs 0.3`."""
        promised = f", {self.reserved / HOUR_S:.2g} promised to what runs" if self.reserved > 0 else ""
        used = f"{self.used / HOUR_S:.1f}" if self.used >= HOUR_S or not self.used else f"{self.used / HOUR_S:.2g}"
        return f"{used} of {self.limit / HOUR_S:g} {WORDS[self.name]} used{promised}; a start needs {self.needed / HOUR_S:.2g}"


def does_not_fit(connection: Connection, limit: Limit, budget: Value[BudgetSpec], wanted: Amounts, *, profile: str, now: datetime) -> LimitReached:
    """Why there is no start: what is used and promised of how much, what this profile needs, and when or how that is free."""
    lacks = _lacks(connection, limit, limit.at_most(wanted), now=now)
    used_up = any(lack.used >= lack.limit for lack in lacks)
    state = "is used up" if used_up else f"has no room for a start with profile {profile}"
    whose = f" of everyone of {budget.value.sharers} together" if budget.value.sharers else ""
    message = f"the budget of the {window_in_words(limit.window.per_s)}{whose} {state}: {' and '.join(map(str, lacks))}"
    refusal = BudgetUsedUp if used_up else LimitReached
    return refusal(message, next_step=_way_on(connection, limit, limit.at_most(wanted), lacks, now=now), rule=str(budget.rule))


def _lacks(connection: Connection, limit: Limit, needed: Amounts, *, now: datetime) -> list[Lack]:
    sums = budgets.sums(connection, limit.holder, limit.window, now=now)
    limits = limit.seconds()
    each = zip(NAMES, *(amounts.each() for amounts in (*sums, needed)), strict=True)
    found = [Lack(name, used, reserved, need, limits[name]) for name, used, reserved, need in each if name in limits and need > 0]
    return [lack for lack in found if lack.used + lack.reserved + lack.needed > lack.limit + budgets.HAIR_S]


def _way_on(connection: Connection, limit: Limit, needed: Amounts, lacks: list[Lack], *, now: datetime) -> str:
    """Ending what runs, where that makes room at once; else the time when old use has left the window."""
    if all(lack.used + lack.needed <= lack.limit for lack in lacks):
        return "shut down a kernel or terminal that runs: what is promised to it is free at once"
    frees = budgets.frees_at(connection, limit, needed, now=now)
    if frees is None:
        return "ask your admin for a larger budget"
    return f"a kernel can start again at {frees:%Y-%m-%d %H:%M} UTC if nothing runs until then"
