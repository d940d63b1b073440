"""What a person does about a notice: keep an idle kernel, or end it themselves after saving."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.interface.notices import KernelKeep, KernelStopping
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit, leases, notices

OTHERWISE = {
    "budget": "the budget is used up: save your work and stop it, or ask for more for a while",
    "lifetime": "its life time is over: save your work and stop it, or ask for more for a while",
}


async def keep(state: ControlState, request: KernelKeep, fds: list[int]) -> dict[str, Any]:
    """Its idle time begins at zero; recorded."""
    row = await state.records.read(_find, state.principal, request.kernel)
    said = await state.records.read(notices.of_leases, [row["id"]])
    others = [notice for notice in said.values() if notice.cause in OTHERWISE and notice.phase in ("noticed", "interrupted")]
    if row["idle_limit_s"] is None or (others and (row["id"], "idle") not in said):
        why = OTHERWISE[others[0].cause] if others else "it may be idle for as long as it likes"
        raise Conflict("keeping this kernel changes nothing: it is not its idle time that ends it", next_step=why, rule=row["rule"])
    fields = state.audit_fields("kernel.keep", row["profile"], None, **_about(row, "kept by its person: its idle time begins again"))
    await state.records.write(_keep, row["id"], fields)
    return {"kernel": row["kernel_id"], "idle_limit_s": row["idle_limit_s"]}


async def stopping(state: ControlState, request: KernelStopping, fds: list[int]) -> dict[str, Any]:
    """Recorded before the server ends it, so that the end has its reason."""
    row = await state.records.read(_find, state.principal, request.kernel)
    await state.audit("kernel.stop", row["profile"], None, **_about(row, "stopped by its person"))
    return {"kernel": row["kernel_id"], "kind": row["kind"], "notebook": row["notebook"]}


def _find(connection: Connection, principal: str, kernel: str) -> dict[str, Any]:
    found = next((row for row in leases.live(connection, principal) if row["kernel_id"] == kernel), None)
    if found is None:
        raise NotFound(f"no kernel {kernel[:100]} of yours is running", next_step="see what runs: `GET guardrails/kernels`, or the panel")
    return found


def _about(row: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"kernel": row["kernel_id"], "notebook": row["notebook"], "rule": row["rule"], "reason": reason}


def _keep(connection: Connection, lease: str, fields: dict[str, Any]) -> None:
    notices.keep(connection, lease, now=fields["now"])
    audit.append(connection, **fields)


OPERATIONS: Operations = {KernelKeep: keep, KernelStopping: stopping}
