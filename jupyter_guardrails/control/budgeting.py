"""How a person's budget stands."""

from __future__ import annotations

from sqlalchemy import Connection

from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.policy import BudgetSpec
from jupyter_guardrails.records import budgets
from jupyter_guardrails.records.budgets import Amount, Standing


async def standing(state: ControlState, principal: str) -> Standing | None:
    """What is used of the budget that this person has or shares; None without one. PolicyError and GroupsUnknown as `state.effective`."""
    limit = state.effective(principal).budget
    return None if limit is None else await state.records.read(_standing, state, principal, limit.value)


def _standing(connection: Connection, state: ControlState, principal: str, spec: BudgetSpec) -> Standing:
    now = state.clock()
    spent = budgets.spent(connection, principal, now=now, per_s=spec.per_s)
    limits = {"cpu_hours": spec.cpu_hours, "memory_gib_hours": spec.memory_gib_hours}
    amounts = tuple(Amount(name, getattr(spent, name), 0.0, limit) for name, limit in limits.items())
    share = max((amount.used / amount.limit for amount in amounts if amount.limit), default=0.0)
    frees = budgets.frees_at(connection, principal, now=now, per_s=spec.per_s, **limits)
    return Standing(principal, amounts, share, spec.per_s, frees)
