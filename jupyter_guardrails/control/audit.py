"""Reading the audit log: own records, everybody's for admins."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control.interface.messages import Audit
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import GroupsUnknown, PolicyError
from jupyter_guardrails.records import audit


async def read(state: ControlState, request: Audit, fds: list[int]) -> dict[str, Any]:
    """Records after a sequence number, oldest first, and where to go on."""
    person = None if is_admin(state) else state.principal
    records = await state.records.read(audit.newest, after=request.after, limit=request.limit, principal=person)
    return {"records": records, "next": records[-1]["seq"] if records else request.after}


def is_admin(state: ControlState) -> bool:
    """Whether the policy in force makes this principal an admin; nobody is one without a policy, or while groups can't be told."""
    try:
        return "admin" in state.effective().roles
    except (PolicyError, GroupsUnknown):
        return False


OPERATIONS: Operations = {Audit: read}
