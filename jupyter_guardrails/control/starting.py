"""From lease to live kernel: the report must hold what the policy requires, then channel and proxy are served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.labels import Input
from jupyter_guardrails.control import channel, egress, frames, labels, lifetimes, limits_groups, listeners, live_grants, sampling, written
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelStarted, ListenerKind
from jupyter_guardrails.control.state import Closable, ControlState, LiveKernel
from jupyter_guardrails.errors import Conflict, HostCannotEnforce, Refused
from jupyter_guardrails.records import audit, leases, notices
from jupyter_guardrails.sandbox import meter

SERVE: dict[str, Callable[[ControlState, LiveKernel, int], Awaitable[Closable]]] = {
    "channel": channel.serve,
    "proxy": egress.serve,
    "forward": egress.serve_forward,
}


async def start(state: ControlState, request: KernelStarted, fds: list[int]) -> None:
    """Make the kernel live, or release its lease and raise; a restart replaces the channel and proxy of before. The same once more does nothing."""
    row = await state.records.glance(leases.get, request.lease, state.principal)
    admission = state.admitted.get(request.lease)
    if admission is None:
        await lifetimes.end(state, row, reason="control was started again before the kernel was")
        raise Conflict("control was started again between admission and start", next_step="start the kernel again")
    before = state.kernels.get(request.lease)
    if before is not None and before.pid == request.pid and before.sockets == listeners.inodes(fds):
        return  # its answer was lost with the control that gave it
    try:
        pid_started = sampling.start_of(request.pid, uid=state.peer_uid, person=state.principal)
        request = written.noted(state, _with_place(state, request))
        require(admission, request.report)
        await lifetimes.close_servers(state, request.lease)
        await asyncio.to_thread(_put_aside, state, request, fds)
        live = LiveKernel(request.lease, row["kernel_id"], row["kind"], request.pid, request.report, admission, workspace=row["workspace"])
        fields = _fields(state, row, allowed=True, reason=_what_holds(admission, request.report))
        said = [fields, *await live_grants.given_at_start(state, admission, row)]
        given = await labels.at_start(state, admission)
        await state.records.write(_start, live, row, request, said, given, ttl_s=state.lease_ttl_s, pid_started=pid_started)
        await serve(state, live, [(kind, fds.pop(0)) for kind in request.listeners])  # its program runs already: asks what it carries
        _follow(state, row, request.pid, pid_started)
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


async def serve(state: ControlState, live: LiveKernel, found: Sequence[tuple[ListenerKind, int]]) -> None:
    """Answer on a kernel's listeners from now on, and hold its control group; all descriptors are this function's from here on."""
    state.kernels[live.lease] = live
    live.sockets = listeners.inodes([fd for _, fd in found])
    waiting = list(found)
    try:
        live.servers += await limits_groups.hold(live)
        while waiting:
            kind, fd = waiting.pop(0)
            live.servers.append(await SERVE[kind](state, live, fd))
    finally:
        frames.close_all([fd for _, fd in waiting])


def _with_place(state: ControlState, request: KernelStarted) -> KernelStarted:
    """The report with where its data can be changed, which is kept with it; a later process of its program's number is not taken for it."""
    if request.live is None:
        return request
    try:
        started = sampling.start_of(request.live.pid, uid=state.peer_uid, person=state.principal)
    except Refused:
        if meter.start_time(request.live.pid) is None:  # it has ended already: its warden will say so
            return request
        raise
    return request.model_copy(update={"report": request.report | {"live": request.live.model_dump() | {"started": started}}})


def _put_aside(state: ControlState, request: KernelStarted, fds: list[int]) -> None:
    for kind in dict.fromkeys(request.listeners):
        state.store.put(listeners.name_of(request.lease, kind), [fd for other, fd in zip(request.listeners, fds, strict=True) if other == kind])


def _fields(state: ControlState, row: dict[str, Any], *, allowed: bool, reason: str) -> dict[str, Any]:
    said = {"allowed": allowed, "reason": reason, "rule": row["rule"], "policy_digest": row["policy_digest"]}
    return state.audit_fields("kernel.start", row["profile"], kernel=row["kernel_id"], notebook=row["notebook"], **said)


def _follow(state: ControlState, row: dict[str, Any], pid: int, started: int | None) -> None:
    if started is not None:
        state.sampler.follow(row["id"], pid=pid, started=started, charged_s=row["cpu_s"], most_bytes=row["memory_limit_bytes"])


def _start(
    connection: Connection,
    live: LiveKernel,
    row: dict[str, Any],
    request: KernelStarted,
    said: list[dict[str, Any]],
    given: list[Input],
    *,
    ttl_s: float,
    pid_started: int | None,
) -> None:
    """Lease, record, and the marks of what it is given from its start on: one transaction."""
    now = said[0]["now"]
    labels.mark(connection, live, given, now=now)
    notices.begin_run(connection, row["id"], now=now)
    run: dict[str, Any] = {"pid": request.pid, "pid_started": pid_started, "report": request.report, "listeners": request.listeners}
    leases.start(connection, row["id"], row["principal"], now=now, ttl_s=ttl_s, **run)
    for fields in said:
        audit.append(connection, **fields)
