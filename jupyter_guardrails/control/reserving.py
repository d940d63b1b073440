"""Budget and lease of a kernel start, checked and made in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import budgeting
from jupyter_guardrails.control.interface.messages import Admission, KernelAdmit
from jupyter_guardrails.control.profiles import Chosen
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import LimitReached
from jupyter_guardrails.policy import BudgetSpec, EffectivePolicy, Value
from jupyter_guardrails.records import audit, leases
from jupyter_guardrails.records.budgets import DoesNotFit
from jupyter_guardrails.records.windows import Limit

NO_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Terms:
    """What a start is checked against; `blocks` is False where the policy only observes or warns."""

    wanted: leases.Wanted
    max_kernels: Value[int]
    budget: Value[BudgetSpec] | None
    limit: Limit | None
    blocks: bool
    ttl_s: float
    fields: dict[str, Any]  # of the audit record, should a limit be passed


async def reserve(
    state: ControlState, policy: EffectivePolicy, request: KernelAdmit, chosen: Chosen, admission_of: Callable[[dict[str, Any]], Admission]
) -> Admission:
    """What the new lease admits, kept with it for a control that is started again; or LimitReached with the rule and when it frees."""
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
        gpus=profile.gpus,
        holder=budgeting.holder_of(policy),
    )
    said: dict[str, Any] = {"kernel": request.kernel_id, "notebook": request.notebook, "policy_digest": policy.digest}
    fields = state.audit_fields("kernel.start", profile.name, **said, mode=policy.mode.value)
    limit = None if request.kind == "terminal" else budgeting.limit_of(policy)  # a terminal is how one saves one's work
    terms = Terms(wanted, policy.max_kernels, policy.budget, limit, policy.mode.value == "enforce", state.lease_ttl_s, fields)
    return await state.records.write(_reserve_and_keep, terms, admission_of, now=state.clock())


def _reserve_and_keep(connection: Connection, terms: Terms, admission_of: Callable[[dict[str, Any]], Admission], *, now: datetime) -> Admission:
    """One transaction, and so one wait for the disk."""
    row = _reserve(connection, terms, now=now)
    admission = admission_of(row)
    leases.keep(connection, row["id"], admission.model_dump())
    return admission


def _reserve(connection: Connection, terms: Terms, *, now: datetime) -> dict[str, Any]:
    """Where the policy only observes, what does not fit is recorded and booked all the same: the sums stay right."""
    refuse_suspended(connection, "user", terms.wanted.principal)
    more: dict[str, Any] = {"now": now, "ttl_s": terms.ttl_s}
    limit = terms.limit
    try:
        row = leases.reserve(connection, terms.wanted, max_kernels=terms.max_kernels.value, limit=limit, **more)
    except DoesNotFit:
        assert limit is not None, "no budget, and yet it is used up"
        assert terms.budget is not None
        wanted = terms.wanted.reservation()
        _refuse(connection, terms, budgeting.does_not_fit(connection, limit, terms.budget, wanted, profile=terms.wanted.profile, now=now))
        limit = None
        row = leases.reserve(connection, terms.wanted, max_kernels=terms.max_kernels.value, **more)
    if row is not None:
        return row
    _refuse(connection, terms, _too_many(terms.max_kernels))
    row = leases.reserve(connection, terms.wanted, max_kernels=NO_LIMIT, limit=limit, **more)
    assert row is not None, "no limit, and yet no lease"
    return row


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
