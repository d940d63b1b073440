"""A kernel's way through control: admitted with a lease, started with what its sandbox reported, beating, settled."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_guardrails.control import (
    announcing,
    budgeting,
    company_network,
    datasets,
    declared,
    lifetimes,
    notices,
    observing,
    profiles,
    reserving,
    sampling,
    starting,
    submission_work,
    usage,
)
from jupyter_guardrails.control.forwards import forwards_of
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.messages import KernelAdmit, KernelBeat, KernelSettle, KernelStarted
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, BudgetUsedUp, GuardrailsError, Refused
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records import leases

MOST = 1 << 50  # bytes, or seconds: more can't be, and would spoil a budget that people share
OVER = "its lease is over: control had no beats from it, or ended"


async def admit(state: ControlState, request: KernelAdmit, fds: list[int]) -> dict[str, Any]:
    """Profile, decision, budget, lease: everything that the kernel's sandbox is made from, or why not."""
    policy = state.effective()
    try:
        _check_kind(state, request)
        reach = (request.workspace, *policy.read_paths, *policy.write_paths)
        network = company_network.read(state.settings.policy_path, reach)
        state.credentials.keep_from(reach)
        chosen = await profiles.choose(state, policy, request)
        inputs = await _inputs(state, request)
        granted = await _granted(state, policy, request, inputs)
        bounds = await observing.bounds(state, policy, kind=request.kind)

        def admission_of(row: dict[str, Any]) -> Admission:
            return _with_network(_admission(policy, row, chosen, granted, bounds), network).model_copy(update={"declared": inputs})

        admission = await reserving.reserve(state, policy, request, chosen, admission_of)
    except GuardrailsError as error:
        said = {"kernel": request.kernel_id, "notebook": request.notebook, "reason": error.message, "rule": error.rule}
        said["policy_digest"] = policy.digest
        await state.audit("kernel.start", request.profile or request.kind, None, allowed=False, **said)
        if isinstance(error, BudgetUsedUp):
            await announcing.budget_used_up(state, error)
        raise
    state.admitted[admission.lease] = admission
    return admission.model_dump()


async def _inputs(state: ControlState, request: KernelAdmit) -> list[DeclaredInput] | None:
    """What a job declares, for its clean run or for whoever runs it, who may read all of it; None for what is no job."""
    if request.submission is not None:
        return list(await asyncio.to_thread(submission_work.declared_inputs, state, request.submission))
    if request.inputs is not None:
        if request.kind != "exec":
            raise BadRequest(f"a {request.kind} declares no inputs")
        await declared.check_job(state, request.inputs)
    return request.inputs


async def _granted(state: ControlState, policy: EffectivePolicy, request: KernelAdmit, inputs: list[DeclaredInput] | None) -> dict[str, str]:
    """Data that the kernel may read from its start on: no more than it asks for, and a job only what it declares."""
    granted = await datasets.grants_at_start(state, policy, state.clock())
    if request.datasets is not None:
        granted = {name: path for name, path in granted.items() if name in request.datasets}
    named = {entry.name for entry in inputs} if inputs is not None else granted.keys()
    return {name: path for name, path in granted.items() if name in named}


async def started(state: ControlState, request: KernelStarted, fds: list[int]) -> dict[str, Any]:
    """The kernel runs inside what was reported: its channel and proxy are served from now on; without a required guarantee it may not."""
    if len(request.listeners) != len(fds):
        raise BadRequest(f"{len(request.listeners)} listeners were named and {len(fds)} came")
    await starting.start(state, request, fds)
    return {}


async def beat(state: ControlState, request: KernelBeat, fds: list[int]) -> dict[str, Any]:
    """Charges and extends leases; `end` names those that are over, so that their kernels stop; `tell` and `notices` what is to be said and done."""
    uses = {}
    for item in request.beats:
        numbers = (item.cpu_s, item.memory_bytes, item.memory_peak_bytes, item.idle_s)
        if not all(0 <= number <= MOST for number in numbers):  # false for NaN too
            raise BadRequest(f"the beat of lease {item.lease} has a number that can't be")
        uses[item.lease] = leases.Use(item.cpu_s, item.memory_bytes, item.memory_peak_bytes, item.idle_s)
    said: dict[str, Any] = {"now": state.clock(), "ttl_s": state.lease_ttl_s, "holder": budgeting.holder_now(state)}
    uses = await sampling.charged(state.sampler, uses)
    ended = await state.records.write(usage.beat, uses, state.principal, **said)
    reasons = await state.records.read(leases.reasons, ended, state.principal) if ended else {}
    end = [{"lease": lease, "reason": reasons.get(lease) or OVER} for lease in ended]
    tell = [{"lease": lease, "text": state.untold.pop(lease)} for lease in uses if lease in state.untold and lease not in ended]
    return {"end": end} | ({"tell": tell} if tell else {}) | await notices.review(state, uses.keys() - ended)


async def settle(state: ControlState, request: KernelSettle, fds: list[int]) -> dict[str, Any]:
    """The kernel is over, or never was: the lease is charged and closed."""
    if not (0 <= request.cpu_s <= MOST and 0 <= request.memory_peak_bytes <= MOST):
        raise BadRequest("a kernel's processor time or memory can't be negative or infinite")
    row = await state.records.read(leases.get, request.lease, state.principal)
    await lifetimes.end(state, row, reason=request.reason, cpu_s=request.cpu_s, memory_peak_bytes=request.memory_peak_bytes)
    return {}


def _check_kind(state: ControlState, request: KernelAdmit) -> None:
    """Clean runs are for a submission's own worker, and a worker starts nothing else: they count towards no limit of kernels."""
    if (request.kind == "clean_run") != (state.worker is not None) or request.submission != state.worker:
        raise Refused(f"a {request.kind} of submission {request.submission or '(none)'} can't be started from here", next_step="submit the notebook")


def _admission(policy: EffectivePolicy, row: dict[str, Any], chosen: profiles.Chosen, granted: dict[str, str], bounds: observing.Bounds) -> Admission:
    profile = chosen.profile
    return Admission(
        lease=row["id"],
        principal=row["principal"],
        policy_digest=policy.digest,
        profile=profile.name,
        rule=str(chosen.rule),
        mode=policy.mode.value,
        memory_bytes=profile.memory_bytes,
        cpus=profile.cpus,
        tasks=profile.tasks,
        shm_bytes=profile.shm_bytes,
        file_size_bytes=profile.file_size_bytes,
        idle_s=profile.idle_s,
        lifetime_s=profile.lifetime_s,
        devices=profiles.devices(profile),
        read_paths=list(policy.read_paths),
        write_paths=list(policy.write_paths),
        datasets=granted,
        env_pass=list(policy.environment_pass),
        env_set=dict(policy.environment_set),
        network_allow=[entry.value.text for entry in policy.network_allow],
        forwards=forwards_of([entry.value for entry in policy.network_allow]),
        require=list(policy.require),
        observed=list(bounds.observed),
        shut=list(bounds.shut),
        softly=[name for name in granted if name in bounds.softly],
    )


def _with_network(admission: Admission, network: company_network.CompanyNetwork) -> Admission:
    """The company's certificates for its programs, where there are any; the policy's own variables count more."""
    changes = {"env_set": network.variables() | admission.env_set, "read_paths": [*admission.read_paths, *network.paths()]}
    return admission.model_copy(update=changes)


OPERATIONS: Operations = {KernelAdmit: admit, KernelStarted: started, KernelBeat: beat, KernelSettle: settle}
