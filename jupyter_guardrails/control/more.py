"""More of a limit for a while: what can be asked for, asking, deciding, and what it makes of a person's policy until it ends by itself."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.notices import MoreAsk, MoreDecide, MoreRevoke
from jupyter_guardrails.control.requests import answer
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import requests

LONGEST = timedelta(days=31)
BUDGET = {
    "cpu_hours": ("Processor time", "cpu-hours"),
    "memory_gib_hours": ("Memory over time", "memory GiB-hours"),
    "gpu_hours": ("GPU time", "GPU-hours"),
}
TIMES = {"idle": ("Idle time of kernels", "idle_s"), "lifetime": ("Life time of kernels", "lifetime_s")}


@dataclass(frozen=True, slots=True)
class Askable:
    """A limit that can be raised: `limit` in `unit` is what holds now; None for a profile, which one has or hasn't."""

    resource: str
    label: str
    unit: str
    limit: float | None
    rule: str


def askable(policy: EffectivePolicy) -> list[Askable]:
    """What this person may ask for more of; what has no limit is left out."""
    found = [Askable("kernels.max", "Kernels at once", "kernels", policy.max_kernels.value, str(policy.max_kernels.rule))]
    if policy.budget is not None:
        spec, rule = policy.budget.value, str(policy.budget.rule)
        amounts = ((name, getattr(spec, name, None), words) for name, words in BUDGET.items())
        found += [Askable(f"budget.{name}", label, unit, limit, rule) for name, limit, (label, unit) in amounts if limit is not None]
    for resource, (label, field) in TIMES.items():
        limited = [value for value in policy.profiles.values() if getattr(value.value, field)]
        if limited:
            lowest = min(limited, key=lambda value: getattr(value.value, field))
            found.append(Askable(resource, label, "seconds", getattr(lowest.value, field), str(lowest.rule)))
    written = {name for name, value in policy.all_profiles.items() if value.rule.line}  # the built-in one is for policies without any
    others = sorted(written - policy.profiles.keys())
    return found + [Askable(f"profile.{name}", f"Profile {name}", "", None, str(policy.all_profiles[name].rule)) for name in others]


async def ask(state: ControlState, request: MoreAsk, fds: list[int]) -> dict[str, Any]:
    """The new request, or the open one for the same limit."""
    wanted = _wanted(state.effective(), request)
    now = state.clock()
    if not now < request.until <= now + LONGEST:
        longer = "for longer than that the policy must change: ask your admin"
        raise BadRequest(f"`until` must be a time in the next {LONGEST.days} days", next_step=longer)
    said: dict[str, Any] = {"id": f"r-{secrets.token_hex(6)}", "principal": state.principal, "dataset": wanted.resource, "kind": "more"}
    said |= {"purpose": request.purpose, "days": max(1, (request.until - now).days), "amount": request.amount, "until": request.until}
    said |= {"now": now, "rule": wanted.rule, "policy_digest": state.policy_digest}
    return answer(await state.records.write(_ask, said, announcing.asked_more(state, said)), state)


async def decide(state: ControlState, request: MoreDecide, fds: list[int]) -> dict[str, Any]:
    """Grant or refuse; takes effect at once, for what runs too."""
    row = await state.records.read(requests.get, request.id)
    may_decide(state, row)
    await authority.refuse_suspended_person(state, "request.grant" if request.grant else "request.refuse", row["dataset"])
    own = row["principal"] == state.principal
    reason = f"self-approved, nobody else was asked: {request.reason}" if own and request.grant else request.reason
    digest = {"rule": row["rule"], "policy_digest": state.policy_digest}
    to = "granted" if request.grant else "refused"
    said: dict[str, Any] = {"now": state.clock(), "actor": state.principal, "reason": reason} | digest
    title = f"{state.principal} {to} {announcing.more_of(row)} to {row['principal']}"
    told = announcing.notice(state, f"request.{to}", title, resource=row["dataset"], reason=reason, rule=row["rule"])
    decided = await state.records.write(_decide, row, to, request.until, said, told)
    state.more.forget()
    return answer(decided, state)


async def revoke(state: ControlState, request: MoreRevoke, fds: list[int]) -> dict[str, Any]:
    """Over when this answers, for what runs too: by an admin, or by whoever has it."""
    row = await state.records.read(requests.get, request.id)
    if row["kind"] != "more":
        raise NotFound(f"{row['id']} gave access to a dataset, not more of a limit", next_step=f"jupyter guardrails data revoke {row['id']}")
    rule = await _may_revoke(state, row)
    said = {"now": state.clock(), "actor": state.principal, "reason": request.reason, "rule": rule, "policy_digest": state.policy_digest}
    title = f"{state.principal} took back {announcing.more_of(row)} of {row['principal']}"
    told = announcing.notice(state, "limit.revoke", title, resource=row["dataset"], person=row["principal"], reason=request.reason, rule=rule)
    taken = await state.records.write(_revoke, row["id"], said, told)
    state.more.forget()
    return answer(taken, state)


def may_decide(state: ControlState, row: dict[str, Any]) -> None:
    """Refused unless an admin decides somebody else's request; with a self-chosen policy one's own, which is labelled everywhere."""
    if row["kind"] != "more":
        raise NotFound(f"{row['id']} asks for access to a dataset, not for more of a limit")
    own = row["principal"] == state.principal
    if own and state.settings.self_chosen:
        return
    if own:
        raise Refused("nobody decides their own request", next_step="ask another admin", rule=row["rule"])
    if not is_admin(state):
        raise Refused(f"{state.principal} may not decide requests for more", next_step="ask an admin: `admins` of the policy", rule=row["rule"])


def _wanted(policy: EffectivePolicy, request: MoreAsk) -> Askable:
    """What is asked for, if that makes sense."""
    known = {item.resource: item for item in askable(policy)}
    wanted = known.get(request.resource)
    if wanted is None:
        raise BadRequest(f"there is no limit {request.resource[:100]!r} that could be raised for you", next_step=f"one of: {', '.join(known)}")
    if (wanted.limit is None) != (request.amount is None):
        raise BadRequest("a profile is asked for without an amount" if wanted.limit is None else f"say how much: `amount`, in {wanted.unit}")
    if wanted.limit is not None and request.amount is not None and request.amount <= wanted.limit:
        less = f"{request.amount:g} {wanted.unit} is no more than you have: {wanted.limit:g}"
        raise Conflict(less, next_step="ask for more than that", rule=wanted.rule)
    if request.resource == "kernels.max" and request.amount != int(request.amount or 0):
        raise BadRequest("kernels are counted in whole numbers")
    return wanted


async def _may_revoke(state: ControlState, row: dict[str, Any]) -> str:
    """The rule that says so, as text; Refused, and recorded, for everybody else."""
    if row["principal"] != state.principal:
        return await authority.require_admin(state, "limit.revoke", f"{row['dataset']} of {row['principal']}")
    await authority.refuse_suspended_person(state, "limit.revoke", row["dataset"])
    return str(authority.ref("one's own"))


def _ask(connection: Connection, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    row = requests.create(connection, **said)
    if row["id"] == said["id"]:  # an open one of before was told when it was made
        told.put(connection)
    return row


def _decide(
    connection: Connection, row: dict[str, Any], to: str, until: datetime | None, said: dict[str, Any], told: announcing.Notice
) -> dict[str, Any]:
    if to == "granted":
        refuse_suspended(connection, "user", row["principal"])
    if to == "granted" and until is not None:
        requests.set_end(connection, row["id"], until=min(until, row["until"]))
    decided = requests.decide(connection, row["id"], to, **said)
    told.put(connection)
    return decided


def _revoke(connection: Connection, id: str, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    taken = requests.take_back(connection, id, **said)
    told.put(connection)
    return taken


OPERATIONS: Operations = {MoreAsk: ask, MoreDecide: decide, MoreRevoke: revoke}
