"""From lease to live kernel: the report must hold what the policy requires, then channel and proxy are served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import channel, egress, lifetimes, limits_groups
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelStarted
from jupyter_guardrails.control.state import Closable, ControlState, LiveKernel
from jupyter_guardrails.errors import Conflict, HostCannotEnforce
from jupyter_guardrails.records import audit, leases, notices

SERVE: dict[str, Callable[[ControlState, LiveKernel, int], Awaitable[Closable]]] = {
    "channel": channel.serve,
    "proxy": egress.serve,
    "forward": egress.serve_forward,
}


async def start(state: ControlState, request: KernelStarted, fds: list[int]) -> None:
    """Make the kernel live, or release its lease and raise; a restart replaces the channel and proxy of before."""
    row = await state.records.read(leases.get, request.lease, state.principal)
    admission = state.admitted.get(request.lease)
    if admission is None:
        await lifetimes.end(state, row, reason="control was started again before the kernel was")
        raise Conflict("control was started again between admission and start", next_step="start the kernel again")
    try:
        require(admission, request.report)
        await lifetimes.close_servers(state, request.lease)
        await _serve(state, request, row, admission, fds)
        fields = _fields(state, row, allowed=True, reason=_what_holds(admission, request.report))
        await state.records.write(_start, row, request, fields, ttl_s=state.lease_ttl_s)
    except BaseException as error:
        await lifetimes.close_servers(state, request.lease)
        await state.audit(**_fields(state, row, allowed=False, reason=str(error)))
        await lifetimes.end(state, row, reason=f"did not start: {error}")
        raise


def require(admission: Admission, report: dict[str, Any]) -> None:
    """HostCannotEnforce unless the sandbox's report holds every guarantee that the policy requires."""
    missing = sorted(set(admission.required) - held(report))
    if missing:
        found = {item.get("name"): item for item in _guarantees(report)}
        why = "; ".join(f"{name}: {found.get(name, {}).get('how') or 'not reported'}" for name in missing)
        steps = [str(found[name]["next_step"]) for name in missing if found.get(name, {}).get("next_step")]
        raise HostCannotEnforce(f"the policy requires what this host did not give ({why})", next_step="; ".join(steps), rule=admission.rule)


def _what_holds(admission: Admission, report: dict[str, Any]) -> str:
    """For the record of a start; where the policy only observes, with what enforcement would have refused it for."""
    found = ", ".join(sorted(held(report))) + " held"
    lacking = sorted(set(admission.require) - held(report) - set(admission.observed))
    found += f"; {', '.join(admission.observed)} only observed" if admission.observed else ""
    return found + (f"; enforced, it would not start without: {', '.join(lacking)}" if lacking else "")


def held(report: dict[str, Any]) -> set[str]:
    """Names of the guarantees that a report says hold."""
    return {str(item.get("name")) for item in _guarantees(report) if item.get("held") is True}


def _guarantees(report: dict[str, Any]) -> list[dict[str, Any]]:
    items = report.get("guarantees", ())
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


async def _serve(state: ControlState, request: KernelStarted, row: dict[str, Any], admission: Admission, fds: list[int]) -> None:
    live = LiveKernel(request.lease, row["kernel_id"], row["kind"], request.pid, request.report, admission)
    state.kernels[request.lease] = live
    live.servers += await limits_groups.hold(live)
    for name in request.listeners:
        live.servers.append(await SERVE[name](state, live, fds.pop(0)))


def _fields(state: ControlState, row: dict[str, Any], *, allowed: bool, reason: str) -> dict[str, Any]:
    said = {"allowed": allowed, "reason": reason, "rule": row["rule"], "policy_digest": row["policy_digest"]}
    return state.audit_fields("kernel.start", row["profile"], kernel=row["kernel_id"], notebook=row["notebook"], **said)


def _start(connection: Connection, row: dict[str, Any], request: KernelStarted, fields: dict[str, Any], *, ttl_s: float) -> None:
    notices.begin_run(connection, row["id"], now=fields["now"])
    leases.start(connection, row["id"], row["principal"], now=fields["now"], ttl_s=ttl_s, pid=request.pid, report=request.report)
    audit.append(connection, **fields)
