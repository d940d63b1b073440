"""Budget and lease of a kernel start, checked and made in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.interface.messages import KernelAdmit
from jupyter_guardrails.control.profiles import Chosen
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import LimitReached
from jupyter_guardrails.policy import BudgetSpec, EffectivePolicy, Value
from jupyter_guardrails.records import audit, budgets, leases

NO_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Terms:
    """What a start is checked against; `blocks` is False where the policy only observes or warns."""

    wanted: leases.Wanted
    max_kernels: Value[int]
    budget: Value[BudgetSpec] | None
    blocks: bool
    ttl_s: float
    fields: dict[str, Any]  # of the audit record, should a limit be passed


async def reserve(state: ControlState, policy: EffectivePolicy, request: KernelAdmit, chosen: Chosen) -> dict[str, Any]:
    """The lease, or LimitReached with the rule and when it frees."""
    profile = chosen.profile
    wanted = leases.Wanted(
        id=uuid.uuid4().hex,
        key=request.key,
        principal=state.principal,
        kind=request.kind,
        kernel_id=request.kernel_id,
        kernelspec=request.kernelspec,
        workspace=request.workspace,
        profile=profile.name,
        rule=str(chosen.rule),
        policy_digest=policy.digest,
        memory_limit_bytes=profile.memory_bytes,
        cpus=profile.cpus,
        idle_limit_s=profile.idle_s,
        notebook=request.notebook,
        submission=request.submission,
    )
    said: dict[str, Any] = {"kernel": request.kernel_id, "notebook": request.notebook, "policy_digest": policy.digest}
    fields = state.audit_fields("kernel.start", profile.name, **said, mode=policy.mode.value)
    budget = None if request.kind == "terminal" else policy.budget  # a terminal is how one saves one's work
    terms = Terms(wanted, policy.max_kernels, budget, policy.mode.value == "enforce", state.lease_ttl_s, fields)
    return await state.records.write(_reserve, terms, now=state.clock())


def _reserve(connection: Connection, terms: Terms, *, now: datetime) -> dict[str, Any]:
    refuse_suspended(connection, "user", terms.wanted.principal)
    known = leases.of_key(connection, terms.wanted.principal, terms.wanted.key)
    if terms.budget is not None and known is None:
        _check_budget(connection, terms, terms.budget, now=now)
    row = leases.reserve(connection, terms.wanted, now=now, ttl_s=terms.ttl_s, max_kernels=terms.max_kernels.value)
    if row is not None:
        return row
    _refuse(connection, terms, _too_many(terms.max_kernels))
    row = leases.reserve(connection, terms.wanted, now=now, ttl_s=terms.ttl_s, max_kernels=NO_LIMIT)
    assert row is not None, "no limit, and yet no lease"
    return row


def _check_budget(connection: Connection, terms: Terms, budget: Value[BudgetSpec], *, now: datetime) -> None:
    spec, person = budget.value, terms.wanted.principal
    spent = budgets.spent(connection, person, now=now, per_s=spec.per_s)
    amounts = {"cpu-hours": (spent.cpu_hours, spec.cpu_hours), "memory GiB-hours": (spent.memory_gib_hours, spec.memory_gib_hours)}
    over = [f"{used:.1f} of {limit:g} {name}" for name, (used, limit) in amounts.items() if limit is not None and used >= limit]
    if over:
        limits = {"cpu_hours": spec.cpu_hours, "memory_gib_hours": spec.memory_gib_hours}
        frees = budgets.frees_at(connection, person, now=now, per_s=spec.per_s, **limits)
        _refuse(connection, terms, _used_up(" and ".join(over), budget, frees))


def _used_up(over: str, budget: Value[BudgetSpec], frees: datetime | None) -> LimitReached:
    when = f"a kernel can start again at {frees:%Y-%m-%d %H:%M} UTC if nothing runs until then" if frees else "it never frees: ask your admin"
    return LimitReached(f"the budget of the last {budget.value.per_s // 3600} hours is used up: {over}", next_step=when, rule=str(budget.rule))


def _too_many(limit: Value[int]) -> LimitReached:
    return LimitReached(
        f"{'1 kernel is' if limit.value == 1 else f'{limit.value} kernels are'} running or starting, and no more are allowed at once",
        next_step="shut one down in the Running panel: its place is free at once",
        rule=str(limit.rule),
    )


def _refuse(connection: Connection, terms: Terms, refusal: LimitReached) -> None:
    """Raise where the policy enforces; elsewhere record what would have been refused."""
    if terms.blocks:
        raise refusal
    said = {"allowed": False, "reason": f"not enforced: {refusal.message}", "rule": refusal.rule}
    audit.append(connection, **terms.fields | said)
