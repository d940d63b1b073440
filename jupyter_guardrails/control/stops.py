"""Suspensions: an admin stops a person, a dataset, a Python package or a job, at once and until it is lifted."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority, lifetimes
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.stops import Suspend, SuspensionLift, SuspensionsList
from jupyter_guardrails.control.repeating import repeat
from jupyter_guardrails.control.rights import rights, stopped
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import Decision, RuleRef
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.policy.person import package_name
from jupyter_guardrails.policy.verdict import is_dataset_name, is_name
from jupyter_guardrails.records import exemptions, leases, revocations, suspensions
from jupyter_guardrails.records.columns import iso

EVERY_S = 1.0
RETIRED = RuleRef("", 0, "a revocation that control signed")


async def suspend(state: ControlState, request: Suspend, fds: list[int]) -> dict[str, Any]:
    """In force when this answers: nothing new starts or is read. What runs of a person ends after the notice."""
    name = _name(request.kind, request.name)
    rule = await authority.require_admin(state, f"suspend.{request.kind}", name)
    ends = request.kind == "user" or (request.kind == "dataset" and request.end_kernels)
    ends_at = state.clock() + timedelta(seconds=request.grace_s) if ends else None
    fields = state.audit_fields(f"suspend.{request.kind}", name, reason=request.reason, rule=rule)
    title = f"{state.principal} suspended {request.kind} {name}"
    told = announcing.notice(state, "suspend", title, resource=name, reason=request.reason, rule=rule)
    said = {"id": f"s-{secrets.token_hex(6)}", "kind": request.kind, "name": name, "reason": request.reason, "ends_kernels_at": ends_at}
    row = await state.records.write(_suspend, said, fields, told)
    return shape(row) | {"kernels": len(await _concerned(state, row))}


async def lift(state: ControlState, request: SuspensionLift, fds: list[int]) -> dict[str, Any]:
    """Over when this answers; kernels that were ended stay ended."""
    name = _name(request.kind, request.name)
    own = (request.kind, name) == ("user", state.principal)
    rule = await authority.require_admin(state, f"lift.{request.kind}", name, lifts_own=own)
    fields = state.audit_fields(f"lift.{request.kind}", name, reason=request.reason, rule=rule)
    title = f"{state.principal} lifted the suspension of {request.kind} {name}"
    told = announcing.notice(state, "lift", title, resource=name, reason=request.reason, rule=rule)
    return shape(await state.records.write(_lift, request, name, fields, told))


async def listed(state: ControlState, request: SuspensionsList, fds: list[int]) -> dict[str, Any]:
    """Everything for admins; for others what concerns their own account."""
    rows = await state.records.read(suspensions.history) if request.all else [*(await state.records.read(suspensions.active)).values()]
    everything = is_admin(state)
    return {"suspensions": [shape(row) for row in rows if everything or (row["kind"], row["name"]) == ("user", state.principal)]}


async def mine(state: ControlState) -> dict[str, Any]:
    """What a person is told of themselves: their suspension (or null), and what break-glass opens for them."""
    row = (await rights(state)).person
    open_now = (await state.records.read(exemptions.active, state.principal, now=state.clock())).values()
    opened = [_opened(exemption) for exemption in open_now]
    if row is None:
        return {"suspended": None, "break_glass": opened}
    decision, ends_at = stopped(row), row["ends_kernels_at"]
    times = {"since": iso(row["since"]), "ends_kernels_at": iso(ends_at) if ends_at else None}
    return {"suspended": times | {"reason": decision.reason, "next_step": decision.next_step}, "break_glass": opened}


def _opened(row: Mapping[str, Any]) -> dict[str, Any]:
    """An exemption as whom it is for sees it."""
    return {key: row[key] for key in ("id", "kind", "name", "unmasked", "reason")} | {"by": row["given_by"], "until": iso(row["ends_at"])}


async def packages_of(state: ControlState, names: Iterable[str]) -> list[Decision]:
    """The decisions against Python packages that are suspended."""
    wanted = {package_name(name) for name in names}
    found = await state.records.read(suspensions.active, "package", wanted)
    return [stopped(row) for row in found.values()]


async def objections(state: ControlState, jobs: Collection[str], packages: Iterable[str]) -> list[Decision]:
    """Why a job may not be approved or run: it is suspended or was retired, or a Python package in it is suspended."""
    found = await state.records.read(suspensions.active, "job", jobs)
    over = [retired(row) for row in await state.records.read(revocations.of, jobs)]
    return [*over, *(stopped(row) for row in found.values()), *await packages_of(state, packages)]


def job_names(row: Mapping[str, Any]) -> set[str]:
    """What a job can be suspended by: its name (all versions), name and version, a digest, or the submission."""
    return {row["name"], f"{row['name']}-{row['version']}", row["content_digest"], row["evidence_digest"], row.get("id", "")} - {""}


def retired(row: Mapping[str, Any]) -> Decision:
    """That a package was retired for good, by whom and why."""
    reason = f"{row['job']} was retired by {row['retired_by']} on {row['retired_at']:%Y-%m-%d}: {row['reason']}"
    return Decision(False, reason, RETIRED, "submit the notebook again: a new version is reviewed anew")


async def notice_for(state: ControlState) -> str:
    """What is told in what a suspended person has running, while it still runs; empty for everybody else."""
    row = (await rights(state)).person
    if row is None or row["ends_kernels_at"] is None:
        return ""
    return f"{stopped(row).reason}. This ends at {row['ends_kernels_at']:%H:%M:%S} UTC: save your work"


async def follow_forever(state: ControlState) -> None:
    """End what runs of suspended people when their notice is over; also after control was started again."""
    await repeat(functools.partial(follow, state), every_s=EVERY_S, name="suspensions")


async def follow(state: ControlState) -> None:
    """End the leases whose time is up, each with the reason."""
    now = state.clock()
    for row in (await state.records.read(suspensions.active)).values():
        if row["ends_kernels_at"] is not None and row["ends_kernels_at"] <= now:
            for lease in await _concerned(state, row):
                await lifetimes.end(state, lease, reason=f"ended: {stopped(row).reason}")


async def _concerned(state: ControlState, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Leases of what runs of a person, or that was started with a dataset."""
    if row["kind"] == "user":
        return await state.records.read(leases.live, row["name"])
    if row["kind"] != "dataset":
        return []
    held = {lease for lease, admission in state.admitted.items() if row["name"] in admission.datasets}
    return [lease for lease in await state.records.read(leases.live, None) if lease["id"] in held]


def shape(row: Mapping[str, Any]) -> dict[str, Any]:
    """A suspension as it is shown."""
    times = {key: iso(row[key]) if row[key] else None for key in ("since", "ends_kernels_at", "lifted_at")}
    same = {key: row[key] for key in ("kind", "name", "reason", "rule", "lifted_by", "lifted_reason")}
    return same | times | {"by": row["suspended_by"]}


def _name(kind: str, name: str) -> str:
    """The name as it is compared; BadRequest for what nothing of the kind can be called."""
    fine = is_principal(name) if kind == "user" else is_name(name) and (kind != "dataset" or is_dataset_name(name))
    if not fine:
        raise BadRequest(f"{name[:100]!r} can't be the name of a {kind}", next_step="use the name as it is listed")
    return package_name(name) if kind == "package" else name


def _suspend(connection: Connection, said: dict[str, Any], fields: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    row = suspensions.suspend(connection, **said, fields=fields)
    told.put(connection)
    return row


def _lift(connection: Connection, request: SuspensionLift, name: str, fields: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    row = suspensions.lift(connection, request.kind, name, reason=request.reason, fields=fields)
    told.put(connection)
    return row


OPERATIONS: Operations = {Suspend: suspend, SuspensionLift: lift, SuspensionsList: listed}
