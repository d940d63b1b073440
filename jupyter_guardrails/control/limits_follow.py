"""What a policy that was changed means for kernels that run: asked every second by whoever watches them, answered in full only after a change."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import limits_groups, stops
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelLimits, LiveLimits
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import GroupsUnknown, PolicyError
from jupyter_guardrails.policy import EffectivePolicy, Profile
from jupyter_guardrails.records import audit, leases

CHOSEN_BY_PERSON = ("kernel", "exec")  # what terminals and clean runs get is for the policy alone to say
NUMBERS = ("memory_bytes", "cpus", "tasks", "shm_bytes", "file_size_bytes", "idle_s", "lifetime_s")


async def follow(state: ControlState, request: KernelLimits, fds: list[int]) -> dict[str, Any]:
    """Limits of the asked leases as the policy has them now; nothing when `version` is the one of before, or while nobody can tell."""
    try:
        policy = state.effective()
    except (PolicyError, GroupsUnknown):  # running kernels go on under the last valid policy
        return {"version": request.version, "limits": []}
    size = policy.workspace_size
    stop = await stops.notice_for(state)
    answer: dict[str, Any] = {"version": version_of(policy) + ("-stop" if stop else ""), "limits": []}
    answer |= {"workspace_bytes": size.value, "workspace_rule": str(size.rule)}
    if answer["version"] == request.version:
        return answer
    rows = {row["id"]: row for row in await state.records.read(leases.live, state.principal)}
    found = [_limits(state, policy, rows[lease]) for lease in request.leases if lease in rows]
    found = [limits.model_copy(update={"notice": stop}) for limits in found] if stop else found
    for limits in found:
        await _take_over(state, policy, rows[limits.lease], limits)
    return answer | {"limits": [limits.model_dump() for limits in found]}


def version_of(policy: EffectivePolicy) -> str:
    """Changes whenever a person's limits can: with the files, with the person's groups, and with what is raised for a while."""
    raised = [str(value.rule) for value in (policy.max_kernels, *policy.all_profiles.values(), *policy.profiles.values())]
    return hashlib.sha256("\0".join((policy.digest, policy.person, *policy.groups, *raised)).encode()).hexdigest()[:16]


def _limits(state: ControlState, policy: EffectivePolicy, row: dict[str, Any]) -> LiveLimits:
    """The numbers of the kernel's own profile, or why it keeps those that it has."""
    name, rule = row["profile"], row["rule"]
    known = policy.all_profiles.get(name)
    if known is None:
        return LiveLimits(lease=row["id"], rule=rule, stays=f"the profile {name} is no longer in the policy")
    if row["kind"] in CHOSEN_BY_PERSON:
        decision = allowed(policy, "kernel.start", name, state.clock())
        if decision.blocks:
            return LiveLimits(lease=row["id"], rule=str(decision.rule), stays=f"you may no longer use the profile {name}")
        rule = str(decision.rule)
    return LiveLimits(lease=row["id"], rule=rule, **_numbers(known.value))


def _numbers(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in NUMBERS}


async def _take_over(state: ControlState, policy: EffectivePolicy, row: dict[str, Any], limits: LiveLimits) -> None:
    """What control itself keeps: the lease's numbers, the admission, the control group; an audit record where something is new."""
    before = (row["memory_limit_bytes"], row["cpus"], row["idle_limit_s"])
    if limits.stays or limits.notice or before == (limits.memory_bytes, limits.cpus, limits.idle_s):
        return
    live = state.kernels.get(row["id"])
    admission = state.admitted.get(row["id"])
    if admission:
        state.admitted[row["id"]] = renewed(admission, limits, digest=policy.digest)
        if live:
            live.admission = state.admitted[row["id"]]
            limits_groups.follow(live)
    reason = f"limits follow the policy while it runs: {limits.memory_bytes} bytes of memory, {limits.cpus:g} processors"
    said = {"kernel": row["kernel_id"], "notebook": row["notebook"], "rule": limits.rule, "reason": reason}
    fields = state.audit_fields("kernel.limits", row["profile"], **said)
    await state.records.write(_adjust, row, limits, fields, state.admitted.get(row["id"]))


def renewed(admission: Admission, limits: LiveLimits, *, digest: str) -> Admission:
    """The admission under the new numbers."""
    return admission.model_copy(update={name: getattr(limits, name) for name in NUMBERS} | {"rule": limits.rule, "policy_digest": digest})


def _adjust(connection: Connection, row: dict[str, Any], limits: LiveLimits, fields: dict[str, Any], admission: Admission | None) -> None:
    numbers: dict[str, Any] = {"memory_limit_bytes": limits.memory_bytes, "cpus": limits.cpus, "idle_limit_s": limits.idle_s}
    numbers |= {"admission": admission.model_dump()} if admission else {}
    leases.adjust(connection, row["id"], row["principal"], **numbers, rule=limits.rule, policy_digest=fields["policy_digest"])
    audit.append(connection, **fields)


OPERATIONS: Operations = {KernelLimits: follow}
