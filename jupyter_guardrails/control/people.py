"""What a person sees of themselves: who they are here, their limits, kernels, budget and use."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from jupyter_guardrails.control import limits, notices, observing, profiles
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.messages import Budget, Kernels, Me, ProfileSet, Usage
from jupyter_guardrails.control.more import askable
from jupyter_guardrails.control.notice_words import span
from jupyter_guardrails.control.starting import held
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import GroupsUnknown, PolicyError
from jupyter_guardrails.policy import BudgetSpec, Value
from jupyter_guardrails.records import budgets, choices, leases
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.sandbox.guarantees import softened
from jupyter_guardrails.sandbox.probe import probe_host

MEASURED = ("memory_bytes", "memory_peak_bytes", "memory_limit_bytes", "cpus", "cpu_s", "cpu_percent", "idle_s", "idle_limit_s")
SAME_IN_RECORDS = ("kernelspec", "kind", "notebook", "profile", "state", *MEASURED)
USAGE_S = 30 * 24 * 3600
MISTAKES = "The policy file has a mistake; what it said before stays in force. An admin sees where: `jupyter guardrails policy check`."
AT_LIMIT = "At 100% nothing new starts. Running kernels get {grace} to save their work; then they are interrupted, and soon after ended."


async def me(state: ControlState, request: Me, fds: list[int]) -> dict[str, Any]:
    """Also without a valid policy: then without limits, with the mistakes."""
    guarantees = await asyncio.to_thread(probe_host)
    answer: dict[str, Any] = {"person": state.principal, "mode": "own", "boundary": boundary(state)}
    answer["enforced"] = [asdict(item) for item in guarantees]
    path = str(state.policies.path)
    try:
        policy = state.effective()
    except (PolicyError, GroupsUnknown) as error:
        file = {"path": path, "digest": state.policy_digest, "mode": "enforce", "errors": [str(error)]}
        return answer | {"roles": [], "policy": file, "limits": [], "profiles": [], "more": []}
    file = {"path": path, "digest": policy.digest, "mode": policy.mode.value, "errors": _errors(state, policy.roles)}
    answer["enforced"] = [asdict(item) for item in softened(guarantees, (await observing.bounds(state, policy)).observed)]
    chosen = await profiles.preferred(state, policy, None)
    more = [asdict(item) for item in askable(policy)]
    shown = {"limits": limits.shown(policy), "profiles": limits.profiles(policy, chosen), "more": more}
    return answer | {"roles": sorted(policy.roles), "policy": file} | shown


def _errors(state: ControlState, roles: Collection[str]) -> list[str]:
    """The mistakes of the file as it is now. They quote lines of it, so only admins, and whoever chose the policy, see them."""
    found = state.policies.errors
    return found if not found or "admin" in roles or state.settings.self_chosen else [MISTAKES]


def boundary(state: ControlState) -> str:
    """One honest sentence about who stands behind the policy."""
    acting = f" Acting as {state.principal} for a demo: that is no boundary." if state.settings.person else ""
    if state.settings.self_chosen:
        return f"Self-chosen policy on this machine: nobody else approves.{acting}"
    return "The policy is this machine's admin's, but control runs as your own account: it binds what is started here, not other programs of yours."


async def kernels(state: ControlState, request: Kernels, fds: list[int]) -> dict[str, Any]:
    """Own live kernels, terminals, clean runs and `exec`s with their last beat."""
    rows = await state.records.read(leases.live, state.principal)
    answer: dict[str, Any] = {"kernels": [_kernel(row) for row in rows], "ended": await notices.ended(state)}
    try:
        policy = state.effective()
    except (PolicyError, GroupsUnknown):
        return answer | {"max": 0, "rule": ""}
    said = await notices.shown(state, policy)
    for kernel in answer["kernels"]:
        kernel["notices"] = said.get(kernel["id"], [])
    return answer | {"max": policy.max_kernels.value, "rule": str(policy.max_kernels.rule)}


def _kernel(row: dict[str, Any]) -> dict[str, Any]:
    same = (
        "kernelspec",
        "kind",
        "notebook",
        "profile",
        "state",
        "memory_bytes",
        "memory_peak_bytes",
        "memory_limit_bytes",
        "cpus",
        "cpu_s",
        "idle_s",
    )
    shown = {name: row[name] for name in (*same, "idle_limit_s", "cpu_percent")}
    return shown | {
        "id": row["kernel_id"],
        "notices": [],
        "started_at": iso(row["started_at"] or row["created_at"]),
        "enforced": sorted(held(row["report"] or {})),
    }


async def set_profile(state: ControlState, request: ProfileSet, fds: list[int]) -> dict[str, Any]:
    """Remembered for the next start, of one notebook or of all; Refused for a profile that this person may not use."""
    chosen, _ = profiles.permitted(state, state.effective(), request.profile)
    await state.records.write(choices.choose, state.principal, request.notebook, request.profile, now=state.clock())
    await state.audit("profile.set", request.profile, reason="chosen for the next start", rule=chosen.rule, notebook=request.notebook)
    return {"profile": request.profile, "notebook": request.notebook}


async def budget(state: ControlState, request: Budget, fds: list[int]) -> dict[str, Any]:
    """Own budget and its use; without one, the use of the last 30 days."""
    limit = state.effective().budget
    per_s = limit.value.per_s if limit else USAGE_S
    spent = await state.records.read(budgets.spent, state.principal, now=state.clock(), per_s=per_s)
    if limit is None:
        amounts = {"cpu_hours": _amount(spent.cpu_hours, None), "memory_gib_hours": _amount(spent.memory_gib_hours, None)}
        return amounts | {"per_s": None, "time_left_s": None, "at_limit": "There is no budget: nothing happens.", "rule": ""}
    rows = await state.records.read(leases.live, state.principal)
    amounts = {"cpu_hours": _amount(spent.cpu_hours, limit.value.cpu_hours)}
    amounts |= {"memory_gib_hours": _amount(spent.memory_gib_hours, limit.value.memory_gib_hours)}
    return amounts | {
        "per_s": per_s,
        "time_left_s": _time_left_s(limit, spent, rows),
        "at_limit": AT_LIMIT.format(grace=span(limit.value.grace_s)),
        "rule": str(limit.rule),
    }


def _amount(used: float, limit: float | None) -> dict[str, float | None]:
    return {"used": used, "limit": limit}


def _time_left_s(limit: Value[BudgetSpec], spent: budgets.Spent, rows: list[dict[str, Any]]) -> float | None:
    """Seconds until the first amount is used up at the rate of the last beats; None when nothing is being used."""
    cpu_rate = sum(row["cpu_percent"] for row in rows) / 100
    memory_rate = sum(row["memory_bytes"] for row in rows) / leases.GIB
    amounts = ((limit.value.cpu_hours, spent.cpu_hours, cpu_rate), (limit.value.memory_gib_hours, spent.memory_gib_hours, memory_rate))
    return min((max(0.0, most - used) * 3600 / rate for most, used, rate in amounts if most is not None and rate > 0), default=None)


async def usage(state: ControlState, request: Usage, fds: list[int]) -> dict[str, Any]:
    """Use of the last 30 days: one's own, everybody's for admins."""
    person = None if is_admin(state) else state.principal
    found = await state.records.read(budgets.people, person, now=state.clock(), per_s=USAGE_S)
    return {"people": [{"person": name} | asdict(spent) for name, spent in found.items()]}


OPERATIONS: Operations = {Me: me, Kernels: kernels, ProfileSet: set_profile, Budget: budget, Usage: usage}
