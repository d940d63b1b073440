"""Limits that were raised for a while, as part of the policy of whom they were raised for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection

from jupyter_guardrails.control.lasting import ENDED_BY, OVER, Kind, Lasting, until_and_by
from jupyter_guardrails.policy import EffectivePolicy, Profile, RuleRef, Value
from jupyter_guardrails.records import allowances, audit, requests
from jupyter_guardrails.records.allowances import Allowance

FIELDS = {"idle": "idle_s", "lifetime": "lifetime_s"}


def more_for_a_while() -> Lasting[Allowance]:
    """Who has more at present."""
    return Lasting(Kind(allowances.active, _end, lambda item: ("person", item.principal), with_more))


def with_more(policy: EffectivePolicy, more: Sequence[Allowance]) -> EffectivePolicy:
    """Each limit raised to what was granted, with the rule that it comes from and who raised it; nothing is ever lowered. Pure."""
    for item in more:
        kind, _, name = item.resource.partition(".")
        policy = replace(policy, **APPLY[kind](policy, item, name)) if kind in APPLY else policy
    return policy


def _kernels(policy: EffectivePolicy, item: Allowance, name: str) -> dict[str, Any]:
    now, amount = policy.max_kernels, int(item.amount or 0)
    return {"max_kernels": Value(amount, _raised(now.rule, item))} if amount > now.value else {}


def _budget(policy: EffectivePolicy, item: Allowance, name: str) -> dict[str, Any]:
    budget, amount = policy.budget, item.amount
    now = getattr(budget.value, name, None) if budget else None
    if budget is None or now is None or amount is None or amount <= now:
        return {}
    changed: Any = {name: amount}
    return {"budget": Value(replace(budget.value, **changed), _raised(budget.rule, item))}


def _profile(policy: EffectivePolicy, item: Allowance, name: str) -> dict[str, Any]:
    known = policy.all_profiles.get(name)
    if known is None or name in policy.profiles:
        return {}
    return {"profiles": policy.profiles | {name: Value(known.value, _raised(known.rule, item))}}


def _time(policy: EffectivePolicy, item: Allowance, name: str) -> dict[str, Any]:
    field = FIELDS[item.resource]

    def longer(value: Value[Profile]) -> Value[Profile]:
        limit, changed = getattr(value.value, field), {field: int(item.amount or 0)}
        if limit is None or changed[field] <= limit:
            return value
        return Value(replace(value.value, **cast(Any, changed)), _raised(value.rule, item))

    groups = ("profiles", "all_profiles")
    return {group: {name: longer(value) for name, value in getattr(policy, group).items()} for group in groups}


APPLY = {"kernels": _kernels, "budget": _budget, "profile": _profile, "idle": _time, "lifetime": _time}


def _raised(rule: RuleRef, item: Allowance) -> RuleRef:
    return replace(rule, name=f"{rule.name}, raised {until_and_by(item)}")


def _end(connection: Connection, item: Allowance, now: datetime) -> None:
    """With its request and an audit record; once, whoever ends it."""
    if allowances.end(connection, item.id, now=now):
        requests.decide(connection, item.request, "expired", now=now, actor=ENDED_BY, reason=OVER)
        said: dict[str, Any] = {"reason": f"{OVER}: the policy's own limit holds again", "rule": "", "policy_digest": "", "allowed": True}
        audit.append(connection, now=now, principal=item.principal, action="limit.restored", resource=item.resource, **said)
