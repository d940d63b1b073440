"""Break-glass: an admin opens a dataset or a profile for one person and a bounded time, with a reason that everybody who should hears.

First it is recorded, in the table and in the audit file; only when both are durable is it in force (an audit record that can't be written
fails it, with nothing open). It lifts denies, missing allowances and, by name, masks. It never lifts a suspension, the sandbox, what a host
must hold, the limits of a kernel, package checks, or that nobody reviews their own work.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.stops import BreakGlass, BreakGlassEnd, BreakGlassList
from jupyter_guardrails.control.repeating import repeat
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, NotFound, Refused
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.records import exemptions
from jupyter_guardrails.records.columns import iso

EVERY_S = 1.0
BY_TIME = "control"  # who ended an exemption whose time was up


async def begin(state: ControlState, request: BreakGlass, fds: list[int]) -> dict[str, Any]:
    """The exemption, in force when this answers; Refused for who is no admin, or when something suspended is in the way."""
    person = request.person or state.principal
    resource = f"{request.kind} {request.name} for {person}"
    rule = await authority.require_admin(state, "break_glass.begin", resource)
    _check(state, request, person)
    now = state.clock()
    wanted = exemptions.Exemption(
        id=f"b-{secrets.token_hex(6)}",
        kind=request.kind,
        person=person,
        name=request.name,
        unmasked=request.unmasked,
        reason=request.reason,
        given_by=state.principal,
        rule=rule,
        begins_at=now,
        ends_at=now + timedelta(seconds=request.for_s),
    )
    what = f"{request.reason} (until {iso(wanted.ends_at)}{', without masks and row filters' if request.unmasked else ''})"
    fields = state.audit_fields("break_glass.begin", resource, reason=what, rule=rule)
    title = f"{state.principal} broke the glass: {resource} until {wanted.ends_at:%Y-%m-%d %H:%M} UTC"
    told = announcing.notice(state, "break_glass.begin", title, resource=resource, person=person, reason=request.reason, rule=rule)
    await state.records.write(_record, wanted, fields, told)
    return shape(await state.records.write(exemptions.begin, wanted.id), state)


async def end(state: ControlState, request: BreakGlassEnd, fds: list[int]) -> dict[str, Any]:
    """Over when this answers: by an admin, or by who has it."""
    row = await state.records.read(exemptions.get, request.id)
    if row["person"] != state.principal:
        await authority.require_admin(state, "break_glass.end", f"{row['kind']} {row['name']} for {row['person']}")
    return shape(await _end(state, row, by=state.principal, reason="ended before its time"), state)


async def listed(state: ControlState, request: BreakGlassList, fds: list[int]) -> dict[str, Any]:
    """All of them for admins, one's own for others; newest first."""
    everything = is_admin(state)
    rows = await state.records.read(exemptions.newest)
    return {"exemptions": [shape(row, state) for row in rows if everything or row["person"] == state.principal]}


async def follow_forever(state: ControlState) -> None:
    """Record the ends of exemptions whose time is up; they count for nothing already."""
    await repeat(functools.partial(follow, state), every_s=EVERY_S, name="break-glass")


async def follow(state: ControlState) -> None:
    """One look."""
    for row in await state.records.read(exemptions.over, now=state.clock()):
        await _end(state, row, by=BY_TIME, reason="its time is up")


def shape(row: Mapping[str, Any], state: ControlState) -> dict[str, Any]:
    """An exemption as it is shown."""
    over = row["state"] == "active" and row["ends_at"] <= state.clock()
    same = {key: row[key] for key in ("id", "kind", "person", "name", "unmasked", "reason", "rule", "ended_by")}
    times = {"begins_at": iso(row["begins_at"]), "ends_at": iso(row["ends_at"]), "ended_at": iso(row["ended_at"]) if row["ended_at"] else None}
    return same | times | {"by": row["given_by"], "state": "ended" if over else row["state"], "label": "" if state.service else authority.SELF_TEST}


def _check(state: ControlState, request: BreakGlass, person: str) -> None:
    """What it is for must exist, so that a typing error opens nothing later."""
    if not is_principal(person):
        raise BadRequest(f"{person[:100]!r} can't be the name of a person")
    if not request.reason.strip() or len(set(request.reason)) < 4:
        raise BadRequest("the reason says nothing", next_step="say what happened and what it is needed for: it is recorded and told")
    if request.kind == "dataset" and request.name not in state.catalogs.current.by_name:
        raise NotFound(f"there is no dataset {request.name!r}", next_step="jupyter guardrails data list")
    if request.kind == "profile":
        _check_profile(state, request)


def _check_profile(state: ControlState, request: BreakGlass) -> None:
    if request.unmasked:
        raise BadRequest("--unmasked is for datasets")
    known = state.effective().all_profiles
    if request.name not in known:
        raise NotFound(f"the policy defines no profile {request.name!r}", next_step=f"profiles: {', '.join(known)}")


def _record(connection: Connection, wanted: exemptions.Exemption, fields: dict[str, Any], told: announcing.Notice) -> None:
    """In one transaction with the look at suspensions, which break-glass never lifts."""
    try:
        refuse_suspended(connection, "user", wanted.person)
        refuse_suspended(connection, wanted.kind, *([wanted.name] if wanted.kind == "dataset" else []))
    except Refused as refusal:
        raise Refused(f"break-glass never lifts a suspension: {refusal.message}", rule=refusal.rule, next_step=refusal.next_step) from refusal
    exemptions.record(connection, wanted, fields)
    told.put(connection)


async def _end(state: ControlState, row: Mapping[str, Any], *, by: str, reason: str) -> dict[str, Any]:
    resource = f"{row['kind']} {row['name']} for {row['person']}"
    fields = state.audit_fields("break_glass.end", resource, reason=f"{reason}; it was for: {row['reason']}", rule=row["rule"], principal=by)
    told = announcing.notice(state, "break_glass.end", f"{resource} is over: {reason}", resource=resource, person=row["person"])
    return await state.records.write(_end_row, row["id"], fields, told)


def _end_row(connection: Connection, id: str, fields: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    row = exemptions.end(connection, id, fields=fields)
    told.put(connection)
    return row


OPERATIONS: Operations = {BreakGlass: begin, BreakGlassEnd: end, BreakGlassList: listed}
