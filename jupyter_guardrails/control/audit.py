"""Reading the audit log: own records, everybody's for admins."""

from __future__ import annotations

import os
import stat
from typing import Any

from jupyter_guardrails.control.interface.auditing import AuditExport, AuditFind, AuditNewKey, AuditSinks
from jupyter_guardrails.control.interface.content import is_memory
from jupyter_guardrails.control.interface.messages import Audit
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, GroupsUnknown, PolicyError, Refused
from jupyter_guardrails.records import audit, exports, keys


async def read(state: ControlState, request: Audit, fds: list[int]) -> dict[str, Any]:
    """Records after a sequence number, oldest first, and where to go on."""
    person = None if is_admin(state) else state.principal
    records = await state.records.read(audit.newest, after=request.after, limit=request.limit, principal=person)
    return {"records": records, "next": records[-1]["seq"] if records else request.after}


async def find(state: ControlState, request: AuditFind, fds: list[int]) -> dict[str, Any]:
    """Like `read`, with filters."""
    wanted = _filter(state, request)
    records = await state.records.read(audit.newest, after=request.after, limit=request.limit, wanted=wanted, last=request.last)
    return {"records": records, "next": records[-1]["seq"] if records else request.after}


async def export(state: ControlState, request: AuditExport, fds: list[int]) -> dict[str, Any]:
    """Written by control itself, so that its signature says something; only into a regular file, which keeps nobody waiting."""
    if len(fds) != 1 or not _can_take(state, fds[0]):
        raise BadRequest("an export is written into one regular file", next_step="name a file")
    with os.fdopen(os.dup(fds[0]), "wb") as file:
        return await state.records.read(exports.write, file, _filter(state, request), now=state.clock(), signer=state.records.signer)


async def sinks(state: ControlState, request: AuditSinks, fds: list[int]) -> dict[str, Any]:
    """The file and the witnesses, and how far behind each is."""
    key = state.records.signer.key
    return {"sinks": await state.records.read(state.records.sinks.state), "key": key.public if key else ""}


async def new_key(state: ControlState, request: AuditNewKey, fds: list[int]) -> dict[str, Any]:
    """Exchange the key that signs the log."""
    if not is_admin(state):
        raise Refused("only admins may exchange the key of the audit log", next_step="an admin of the policy does", rule=_admins(state))
    folder = state.settings.state_dir
    public = await state.records.write(keys.exchange, folder, now=state.clock(), principal=state.principal)
    await state.records.write(keys.adopted, folder, now=state.clock())
    return {"key": public}


def is_admin(state: ControlState) -> bool:
    """Whether the policy in force makes this principal an admin; nobody is one without a policy, or while groups can't be told."""
    try:
        return "admin" in state.effective().roles
    except (PolicyError, GroupsUnknown):
        return False


def _can_take(state: ControlState, fd: int) -> bool:
    """Another account's file may be a filesystem of its own making, which lets everybody wait: a service writes into memory only."""
    return is_memory(fd) or (not state.settings.service and stat.S_ISREG(os.fstat(fd).st_mode))


def _filter(state: ControlState, request: AuditFind | AuditExport) -> audit.Filter:
    """What was asked for, and no more than this person may see."""
    person = request.person
    if not is_admin(state):
        if person not in (None, state.principal):
            raise Refused("the records of others are the admins' to see", next_step="leave --principal away to see your own", rule=_admins(state))
        person = state.principal
    return audit.Filter(person, request.since, request.until, tuple(request.actions))


def _admins(state: ControlState) -> str:
    return str(state.policies.current.place("admins")) if state.policies.current else ""


OPERATIONS: Operations = {Audit: read, AuditFind: find, AuditExport: export, AuditSinks: sinks, AuditNewKey: new_key}
