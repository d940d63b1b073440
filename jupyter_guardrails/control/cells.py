"""Recording the cells that ran, as much of them as the policy's `audit.cells` says; told by the server, never by a kernel.

A cell is over before it could be refused, so a failing sink doesn't hold it back: where the policy enforces, it refuses the next kernel start.
"""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control.interface.auditing import KernelCells
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.records import audit, leases

ACTION = "kernel.cell"
REASON = "sent to the kernel"


async def record(state: ControlState, request: KernelCells, fds: list[int]) -> dict[str, Any]:
    """A record for each cell of this person's live kernels (a worker's: of its clean run)."""
    policy = state.policies.current
    kept = policy.document.audit.cells if policy is not None else "digest"
    if kept == "off":
        return {}
    rows = {row["kernel_id"]: row for row in await state.records.read(leases.live, state.principal)}
    rule = str(policy.place("audit.cells")) if policy is not None else ""
    records = []
    for cell in request.cells:
        row = rows.get(cell.kernel_id)
        if row is not None and row["submission"] == state.worker:
            said = {"kernel": cell.kernel_id, "notebook": row["notebook"], "cell_digest": cell.digest, "code": cell.code if kept == "code" else None}
            records.append(state.audit_fields(ACTION, row["notebook"] or cell.kernel_id, reason=REASON, rule=rule, **said))
    if request.lost:
        reason = f"{request.lost} more cells ran while control could not be told of them"
        records.append(state.audit_fields(ACTION, "(several)", reason=reason, rule=rule))
    if records:
        await state.records.write(audit.append_all, records)
    return {}


OPERATIONS: Operations = {KernelCells: record}
