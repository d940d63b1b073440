"""What is granted for a while, as part of a person's policy: read anew each second, ended at its time, whoever asks or doesn't."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection

from jupyter_guardrails.policy import EffectivePolicy, Profile, RuleRef, Value
from jupyter_guardrails.records import Records, allowances, audit, requests
from jupyter_guardrails.records.allowances import Allowance

READ_S = 1.0
FIELDS = {"idle": "idle_s", "lifetime": "lifetime_s"}
ENDED_BY = "control"


class MoreForAWhile:
    """Who has more at present. One for a control process; another process's grants are seen within a second."""

    def __init__(self) -> None:
        self._people: dict[str, tuple[Allowance, ...]] = {}
        self._read_at = -READ_S
        self._applied: dict[str, tuple[EffectivePolicy, tuple[Allowance, ...], EffectivePolicy]] = {}

    def forget(self) -> None:
        """Read again at the next question: something was decided."""
        self._read_at = -READ_S

    async def refresh(self, records: Records, *, now: datetime) -> None:
        """Read what is granted; end what is over, with its record."""
        if time.monotonic() - self._read_at < READ_S:
            return
        self._read_at = time.monotonic()
        found = await records.read(allowances.active)
        if any(item.expires_at <= now for item in found):
            found = await records.write(_end_due, now=now)
        people: dict[str, tuple[Allowance, ...]] = {}
        for item in found:
            people[item.principal] = (*people.get(item.principal, ()), item)
        self._people = people

    def of(self, principal: str, *, now: datetime) -> tuple[Allowance, ...]:
        """What this person has more of now."""
        return tuple(item for item in self._people.get(principal, ()) if item.expires_at > now)

    def applied(self, policy: EffectivePolicy, *, now: datetime) -> EffectivePolicy:
        """The policy with what this person has more of; the same object where that is nothing."""
        more = self.of(policy.person, now=now)
        if not more:
            return policy
        known = self._applied.get(policy.person)
        if known is None or known[0] is not policy or known[1] != more:
            known = self._applied[policy.person] = (policy, more, with_more(policy, more))
        return known[2]


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
    by = f"by {item.granted_by}" + (f", {item.label}" if item.label else "")
    return replace(rule, name=f"{rule.name}, raised until {item.expires_at:%Y-%m-%d %H:%M} UTC {by}")


def _end_due(connection: Connection, *, now: datetime) -> list[Allowance]:
    """End what is over, with its request and an audit record each; what still lasts."""
    for item in allowances.active(connection):
        if item.expires_at <= now and allowances.end(connection, item.id, now=now):
            requests.decide(connection, item.request, "expired", now=now, actor=ENDED_BY, reason="its time is over")
            said: dict[str, Any] = {
                "reason": "its time is over: the policy's own limit holds again",
                "rule": "",
                "policy_digest": "",
                "allowed": True,
            }
            audit.append(connection, now=now, principal=item.principal, action="limit.restored", resource=item.resource, **said)
    return allowances.active(connection)
