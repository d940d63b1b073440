"""What a traced kernel named, judged by the same rules as if they were enforced: each would-be refusal is recorded, with its mode."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import addresses
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelWouldRefuse, Seen
from jupyter_guardrails.control.rights import rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.policy import Decision, EffectivePolicy, Mode, Resource, RuleRef, decide
from jupyter_guardrails.policy.hosts import split_port
from jupyter_guardrails.records import audit, leases

FILES = RuleRef("", 0, "files: only the workspace, the system, listed paths and granted data")
SHUT = RuleRef("", 0, "secrets: control's and the server's own, and data that is refused in every mode")
RESOLVE_S = 2.0
Refusal = tuple[str, str, Decision]


async def would_refuse(state: ControlState, request: KernelWouldRefuse, fds: list[int]) -> dict[str, Any]:
    """Record what the rules refuse, each thing once for a running kernel; what they allow (an approved host by its address) is left out."""
    live = state.kernels.get(request.lease)
    row = await state.records.read(leases.get, request.lease, state.principal)
    if live is None:
        raise Conflict("that kernel does not run any more, as far as this control knows", next_step="start the kernel again")
    policy = state.effective()
    found = [refusal for seen in request.seen if (refusal := await _refusal(state, policy, live.admission, seen))]
    new = {(action, resource): decision for action, resource, decision in found if (action, resource) not in live.observed}
    live.observed.update(new)
    if request.lost:
        new["file.uncounted", "(several)"] = _lost(request.lost, live.admission)
    said = {"kernel": row["kernel_id"], "notebook": row["notebook"], "policy_digest": policy.digest}
    await state.records.write(_append, [state.audit_fields(*key, decision, **said) for key, decision in new.items()])
    return {"refused": [_answer(*key, decision) for key, decision in new.items()]}


async def _refusal(state: ControlState, policy: EffectivePolicy, admission: Admission, seen: Seen) -> Refusal | None:
    """The mode is that of the kernel as it was started, whatever the policy says by now."""
    if seen.kind == "connect":
        return await _connection(state, policy, admission, seen.what)
    mode: Mode = "enforce" if seen.stopped else admission.mode
    contract = state.catalogs.current.by_path(seen.what)
    if contract is not None and seen.kind == "read":
        access = (await rights(state)).access(contract, policy, state.clock())
        if access.decision.allowed:
            return None
        if access.listed:  # else this person may not know of it: then it is a file like any other
            return "data.read", contract.name, replace(access.decision, mode=mode)
    return f"file.{seen.kind}", seen.what, _outside(seen, admission, mode)


async def _connection(state: ControlState, policy: EffectivePolicy, admission: Admission, place: str) -> Refusal | None:
    """Where the network isn't observed, the proxy decides and records."""
    if "network" not in admission.observed:
        return None
    decision = decide(policy, "network.connect", Resource(place), state.clock())
    if decision.allowed or await _is_approved(policy, place):
        return None
    return "network.connect", place, replace(decision, mode=admission.mode)


async def _is_approved(policy: EffectivePolicy, place: str) -> bool:
    """A kernel with the machine's network shows addresses, not names: one to which an approved name leads now is approved."""
    host, port = split_port(place)
    entries = (value.value for value in policy.network_allow)
    names = [entry.host for entry in entries if "*" not in entry.host and entry.port in (None, int(port))]
    found = await asyncio.gather(*(_addresses(name, int(port)) for name in names))
    return any(host in one for one in found)


async def _addresses(name: str, port: int) -> set[str]:
    try:
        return {str(addresses.unwrapped(address)) for address in await addresses.resolve(name, port, timeout_s=RESOLVE_S)}
    except (OSError, TimeoutError):
        return set()


def _outside(seen: Seen, admission: Admission, mode: Mode) -> Decision:
    if seen.stopped:
        return Decision(False, f"{seen.what} is shut to kernels in every mode", SHUT, mode=mode)
    reason = f"{seen.what} lies outside of what {admission.principal}'s kernels may {seen.kind}"
    next_step = f"put it into the workspace, or an admin lists it: paths: {{{seen.kind}: [{seen.what}]}}"
    return Decision(False, reason, FILES, next_step, mode=mode)


def _lost(count: int, admission: Admission) -> Decision:
    reason = f"{count} more files or connections of this kernel would be refused, too many to record one by one"
    return Decision(False, reason, FILES, "", mode=admission.mode)


def _append(connection: Connection, records: Iterable[dict[str, Any]]) -> None:
    for fields in records:
        audit.append(connection, **fields)


def _answer(action: str, resource: str, decision: Decision) -> dict[str, str]:
    said = {"reason": decision.reason, "rule": str(decision.rule), "next_step": decision.next_step, "mode": decision.mode}
    return {"action": action, "resource": resource} | said


OPERATIONS: Operations = {KernelWouldRefuse: would_refuse}
