"""What a person sees of themselves: who they are here, their limits, kernels, budget and use."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from jupyter_guardrails.control import budgeting, limits, notices, observing, profiles, refusals, stops
from jupyter_guardrails.control.interface.messages import Budget, Kernels, Me, ProfileSet
from jupyter_guardrails.control.interface.notebooks import NotebookMoved
from jupyter_guardrails.control.more import askable
from jupyter_guardrails.control.notice_words import span
from jupyter_guardrails.control.starting import held
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import GroupsUnknown, PolicyError
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import budgets, choices, leases
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.windows import HOUR_S, NAMES, Amounts, Limit, Window
from jupyter_guardrails.sandbox.guarantees import softened
from jupyter_guardrails.sandbox.probe import probe_host

MEASURED = ("memory_bytes", "memory_peak_bytes", "memory_limit_bytes", "cpus", "cpu_s", "cpu_percent", "idle_s", "idle_limit_s")
SAME_IN_RECORDS = ("kernelspec", "kind", "notebook", "profile", "state", *MEASURED)
USAGE_S = 30 * 24 * 3600
MISTAKES = "The policy file has a mistake; what it said before stays in force. An admin sees where: `jupyter guardrails policy check`."
SERVICE = (
    "The policy is this machine's admin's; control runs as an account of its own: its records, keys and packages are out of your reach. "
    "It binds what is started here, not other programs of yours."
)
AT_LIMIT = "At 100% nothing new starts. Running kernels get {grace} to save their work; then they are interrupted, and soon after ended."


async def me(state: ControlState, request: Me, fds: list[int]) -> dict[str, Any]:
    """Also without a valid policy: then without limits, with the mistakes."""
    guarantees = await asyncio.to_thread(probe_host)
    answer: dict[str, Any] = {"person": state.principal, "mode": "service" if state.settings.service else "own", "boundary": boundary(state)}
    answer["enforced"] = [asdict(item) for item in guarantees]
    answer |= await stops.mine(state)
    path = str(state.policies.path)
    try:
        policy = state.effective()
    except (PolicyError, GroupsUnknown) as error:
        file = {"path": path, "digest": state.policy_digest, "mode": "enforce", "errors": [str(error)]}
        return answer | {"roles": [], "policy": file, "limits": [], "profiles": [], "more": []}
    file = {"path": path, "digest": policy.digest, "mode": policy.mode.value, "errors": _errors(state, policy.roles)}
    if "admin" in policy.roles:
        answer["audit"] = await state.records.read(state.records.sinks.state)
    answer["enforced"] = [asdict(item) for item in softened(guarantees, (await observing.bounds(state, policy)).observed)]
    chosen = await profiles.preferred(state, policy, None)
    more = [asdict(item) for item in askable(policy)]
    own = await profiles.kept(state, policy, request.notebook) if request.notebook else None
    answer["own"] = {"notebook": request.notebook, "profile": own} if own else None
    shown = {"limits": limits.shown(policy), "profiles": limits.profiles(policy, chosen), "more": more}
    return answer | {"roles": sorted(policy.roles), "policy": file} | shown


def _errors(state: ControlState, roles: Collection[str]) -> list[str]:
    """The mistakes of the file as it is now. They quote lines of it, so only admins, and whoever chose the policy, see them."""
    found = state.policies.errors
    return found if not found or "admin" in roles or state.settings.self_chosen else [MISTAKES]


def boundary(state: ControlState) -> str:
    """One honest sentence about who stands behind the policy."""
    if state.settings.service:
        return SERVICE
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
    said, refused = await notices.shown(state, policy), await refusals.shown(state, policy)
    for kernel in answer["kernels"]:
        kernel["notices"] = said.get(kernel["id"], [])
        kernel["refused_reads"] = refused.get(kernel["id"], [])
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
        "refused_reads": [],
        "started_at": iso(row["started_at"] or row["created_at"]),
        "enforced": sorted(held(row["report"] or {})),
    }


async def set_profile(state: ControlState, request: ProfileSet, fds: list[int]) -> dict[str, Any]:
    """Remembered (or forgotten) for the next start, of one notebook or of all; Refused for a profile that this person may not use."""
    policy = state.effective()
    if request.profile is None:
        return await _forget_profile(state, policy, request.notebook)
    chosen, _ = await profiles.opened(state, policy, request.profile) or profiles.permitted(state, policy, request.profile)
    await state.records.write(choices.choose, state.principal, request.notebook, request.profile, now=state.clock())
    await state.audit("profile.set", request.profile, reason="chosen for the next start", rule=chosen.rule, notebook=request.notebook)
    return {"profile": request.profile, "notebook": request.notebook}


async def _forget_profile(state: ControlState, policy: EffectivePolicy, notebook: str | None) -> dict[str, Any]:
    """The answer names the profile that holds instead."""
    await state.records.write(choices.forget, state.principal, notebook)
    name = await profiles.preferred(state, policy, notebook)
    await state.audit("profile.set", name, reason="what was chosen is forgotten: this is next", notebook=notebook)
    return {"profile": name, "notebook": notebook}


async def notebook_moved(state: ControlState, request: NotebookMoved, fds: list[int]) -> dict[str, Any]:
    """Its own choices alone: what a server says of paths changes nothing for others."""
    moved = await state.records.write(choices.move, state.principal, request.old, request.new)
    for notebook, profile in moved:
        await state.audit("profile.set", profile, reason=f"its notebook has moved: it was {request.old}", notebook=notebook)
    return {"moved": [{"notebook": notebook, "profile": profile} for notebook, profile in moved]}


async def budget(state: ControlState, request: Budget, fds: list[int]) -> dict[str, Any]:
    """Own budget and its use (of a shared one: everybody's); without one, the own use of the last 30 days."""
    policy = state.effective()
    limit = budgeting.limit_of(policy)
    if limit is None or policy.budget is None:
        none = Limit(state.principal, Window(USAGE_S))
        used, reserved = await state.records.read(budgets.sums, none.holder, none.window, now=state.clock())
        said: dict[str, Any] = {"per_s": None, "window": "", "shared_by": "", "time_left_s": None, "frees_at": None}
        return _amounts(none, used, reserved) | said | {"at_limit": "There is no budget: nothing happens.", "rule": ""}
    used, reserved = await state.records.read(budgets.sums, limit.holder, limit.window, now=state.clock())
    found = await state.records.read(budgets.standing, limit, now=state.clock())
    rows = await state.records.read(leases.live, None)
    rows = [row for row in rows if row["holder"] == limit.holder]
    said = {"per_s": limit.window.per_s, "window": budgeting.window_in_words(limit.window.per_s), "shared_by": policy.budget.value.sharers}
    said |= {"time_left_s": _time_left_s(limit, used, rows), "frees_at": iso(found.frees_at) if found.frees_at else None}
    at_limit = AT_LIMIT.format(grace=span(policy.budget.value.grace_s))
    return _amounts(limit, used, reserved) | said | {"at_limit": at_limit, "rule": str(policy.budget.rule)}


def _amounts(limit: Limit, used: Amounts, reserved: Amounts) -> dict[str, Any]:
    """`{cpu_hours: {used, reserved, limit}, …}`, in hours."""
    limits = limit.seconds()
    each = zip(NAMES, used.each(), reserved.each(), strict=True)
    return {
        f"{name}_hours": {"used": spent / HOUR_S, "reserved": max(0.0, held) / HOUR_S, "limit": limits[name] / HOUR_S if name in limits else None}
        for name, spent, held in each
    }


def _time_left_s(limit: Limit, used: Amounts, rows: list[dict[str, Any]]) -> float | None:
    """Seconds until the first amount is used up at the rate of the last beats; None when nothing is being used."""
    rates = budgeting.rates(rows)
    left = {name: max(0.0, limit.seconds()[name] - spent) for name, spent in zip(NAMES, used.each(), strict=True) if name in limit.seconds()}
    return min((seconds / rates[f"{name}_hours"] for name, seconds in left.items() if rates[f"{name}_hours"] > 0), default=None)


OPERATIONS: Operations = {Me: me, Kernels: kernels, ProfileSet: set_profile, NotebookMoved: notebook_moved, Budget: budget}
