"""How leases end: by their kernel, by silence, or because control itself ends."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import recovery
from jupyter_guardrails.control.egress import Egress
from jupyter_guardrails.control.listeners import name_of
from jupyter_guardrails.control.state import ControlState, log
from jupyter_guardrails.errors import RecordsUnwritable
from jupyter_guardrails.records import audit, leases


async def end(state: ControlState, row: dict[str, Any], *, reason: str, cpu_s: float = 0.0, memory_peak_bytes: int = 0) -> None:
    """Close a lease's channel and proxy, charge the rest, settle it and audit `kernel.end`; ending twice does nothing more."""
    try:
        await state.records.write(leases.close, row["id"], row["principal"])
    finally:  # also where that can't be recorded: nothing answers a kernel that is over
        state.forget(row["id"])
        await close_servers(state, row["id"])
    fields = ended_fields(state, row, reason)
    use = {"cpu_s": cpu_s, "memory_peak_bytes": memory_peak_bytes, "seen_cpu_s": state.sampler.seen(row["id"]).cpu_s}
    state.sampler.forget(row["id"])
    state.lineage.ended(row["id"], state.clock(), state.spawn)
    await state.records.write(_settle, row, fields, ttl_s=state.lease_ttl_s, use=use)


async def close_servers(state: ControlState, lease: str) -> None:
    """Nothing answers this kernel any more, and nothing of it is kept for another control."""
    state.untold.pop(lease, None)
    await asyncio.to_thread(state.store.remove_all, name_of(lease))
    kernel = state.kernels.pop(lease, None)
    for server in kernel.servers if kernel else ():
        closing = server.close()
        if inspect.isawaitable(closing):
            await closing


async def sweep_forever(state: ControlState) -> None:
    """Expire leases without beats; after a pause of the whole machine, or of the disk, everyone first gets the time to beat again."""
    every_s = state.lease_ttl_s / 12
    last, disk = state.clock(), recovery.Disk(state.clock())
    while True:
        await asyncio.sleep(every_s)
        now = state.clock()
        paused = not 0 <= (now - last).total_seconds() < state.lease_ttl_s / 2
        if paused:
            log.warning("the clock went from %s to %s: leases get their time again", last, now)
        last = now
        try:
            if not await recovery.recover(state, disk) and paused:
                await state.records.write(leases.reprieve, now=now, ttl_s=state.lease_ttl_s)
            await sweep(state)
        except RecordsUnwritable as error:
            disk.tell(error, now)


async def sweep(state: ControlState) -> None:
    """Expire and audit what is late now."""
    for row in await state.records.write(_sweep, state):
        log.warning("lease %s of %s expired: no beats", row["id"], row["principal"])
        state.forget(row["id"])
        state.sampler.forget(row["id"])
        state.lineage.ended(row["id"], state.clock(), state.spawn, failed=True)
        await close_servers(state, row["id"])


async def end_all(state: ControlState) -> None:
    """Control ends in good order: every live lease is settled, and the chain's head is anchored."""
    for row in await state.records.read(leases.live, None):
        await end(state, row, reason="control ended")
    await state.records.write(audit.anchor, now=state.clock())


async def leave_all(state: ControlState) -> None:
    """Control ends and another one goes on: leases, listeners and mounters stay; what is known of connections until now is recorded."""
    for kernel in state.kernels.values():
        for server in kernel.servers:
            if isinstance(server, Egress):
                await server.leave()
    await state.records.write(audit.anchor, now=state.clock())


def ended_fields(state: ControlState, row: dict[str, Any], reason: str) -> dict[str, Any]:
    """The audit record of a kernel's end."""
    said = {"principal": row["principal"], "kernel": row["kernel_id"], "notebook": row["notebook"], "rule": row["rule"], "reason": reason}
    return state.audit_fields("kernel.end", row["profile"], **said)


def _settle(connection: Connection, row: dict[str, Any], fields: dict[str, Any], *, ttl_s: float, use: dict[str, Any]) -> None:
    settled = leases.settle(connection, row["id"], row["principal"], now=fields["now"], ttl_s=ttl_s, reason=fields["reason"], **use)
    if settled is not None:
        audit.append(connection, **fields)


def _sweep(connection: Connection, state: ControlState) -> list[dict[str, Any]]:
    expired = leases.sweep(connection, now=state.clock())
    for row in expired:
        audit.append(connection, **ended_fields(state, row, "expired: no beats from its server"))
    return expired
