"""Deciding what people ask for: by the dataset's owner or the policy's reviewers, never by who asked; and taking a grant back.

`DECIDERS` says for each kind of request what a decision is; another concern adds its own kind there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, select

from jupyter_guardrails.control import announcing, authority, live_grants
from jupyter_guardrails.control import requests as asking
from jupyter_guardrails.control.interface.decisions import GrantRevoke, GrantsList, RequestDecide
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound
from jupyter_guardrails.policy import Decision, decide
from jupyter_guardrails.records import requests
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.tables import grants

STATES = {"grant": "granted", "refuse": "refused"}
Decider = Callable[[ControlState, dict[str, Any], RequestDecide], Awaitable[dict[str, Any]]]


async def decide_request(state: ControlState, request: RequestDecide, fds: list[int]) -> dict[str, Any]:
    """The request as it is after the decision; NotFound for one that this person may not know of."""
    row = await state.records.read(requests.get, request.id)
    decider = DECIDERS.get(row["kind"])
    if decider is None:
        raise Conflict(f"requests of the kind {row['kind']} are not decided here")
    if request.decision == "refuse" and not request.reason.strip():
        raise BadRequest("a refusal needs a reason: whoever asked reads it", next_step="--reason '…'")
    answer = asking.answer(await decider(state, row, request), state)
    await live_grants.follow(state)
    return answer


async def _access(state: ControlState, row: dict[str, Any], request: RequestDecide) -> dict[str, Any]:
    """Access to a dataset: judged once more by the policy of today, for the person who asked."""
    contract = state.catalogs.current.by_name.get(row["dataset"])
    verdict = authority.on_request(state.effective(), contract, asked_by=row["principal"], dataset=row["dataset"])
    if not verdict.allowed:
        await authority.refuse(state, f"request.{request.decision}", row["dataset"], verdict)
    await authority.refuse_suspended_person(state, f"request.{request.decision}", row["dataset"])
    if request.decision == "grant":
        await _still_allowed(state, row)
    if request.days is not None and request.days > row["days"]:
        raise BadRequest(f"{row['principal']} asked for {row['days']} days, not for {request.days}", next_step="grant as many, or fewer")
    said = {"now": state.clock(), "actor": state.principal, "reason": request.reason, "rule": str(verdict.rule)}
    said |= {"policy_digest": state.policy_digest, "days": request.days or row["days"]}
    return await state.records.write(_decide, row, STATES[request.decision], said, _told(state, row, request))


async def _still_allowed(state: ControlState, row: dict[str, Any]) -> None:
    """A grant is worth nothing where the policy does not let that person ask: then it is not given."""
    contract = state.catalogs.current.by_name.get(row["dataset"])
    if contract is None:
        raise NotFound(f"there is no dataset {row['dataset']!r} any more", next_step="refuse the request")
    await state.groups.refresh(row["principal"])
    decision = decide(state.effective(row["principal"]), "data.request", contract.resource, state.clock())
    if not decision.allowed:
        await authority.refuse(state, "request.grant", row["dataset"], decision)


def _told(state: ControlState, row: dict[str, Any], request: RequestDecide) -> announcing.Notice:
    words = STATES[request.decision]
    title = f"{state.principal} {words} {row['dataset']} to {row['principal']}"
    return announcing.notice(state, f"request.{words}", title, resource=row["dataset"], reason=request.reason)


def _decide(connection: Connection, row: dict[str, Any], to_state: str, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    """In one transaction with the look at suspensions: what is suspended is granted to nobody."""
    if to_state == "granted":
        refuse_suspended(connection, "dataset", row["dataset"])
        refuse_suspended(connection, "user", row["principal"])
    decided = requests.decide(connection, row["id"], to_state, **said)
    told.put(connection)
    return decided


async def revoke(state: ControlState, request: GrantRevoke, fds: list[int]) -> dict[str, Any]:
    """The grant, over now: by who decides requests for the dataset, by an admin, or by who has it."""
    row = await _grant(state, request.id)
    verdict = _may_revoke(state, row)
    if not verdict.allowed:
        await authority.refuse(state, "grant.revoke", row["dataset"], verdict)
    await authority.refuse_suspended_person(state, "grant.revoke", row["dataset"])
    said = {"now": state.clock(), "actor": state.principal, "reason": request.reason, "policy_digest": state.policy_digest}
    title = f"{state.principal} revoked the grant of {row['dataset']} to {row['principal']}"
    told = announcing.notice(state, "grant.revoke", title, resource=row["dataset"], person=row["principal"], reason=request.reason)
    gone = shape(await state.records.write(_revoke, row["id"], said, told))
    await live_grants.follow(state)
    return gone


async def live(state: ControlState, request: GrantsList, fds: list[int]) -> dict[str, Any]:
    """Live grants: one's own, and those that one may revoke."""
    now = state.clock()
    rows = await state.records.read(_live)
    seen = [row for row in rows if row["expires_at"] > now and (row["principal"] == state.principal or _may_revoke(state, row).allowed)]
    return {"grants": [shape(row) for row in seen]}


def shape(row: dict[str, Any]) -> dict[str, Any]:
    """A grant as it is shown."""
    times = {key: iso(row[key]) if row[key] else None for key in ("granted_at", "expires_at", "revoked_at")}
    return {key: row[key] for key in ("id", "dataset", "granted_by", "rule")} | times | {"person": row["principal"]}


async def _grant(state: ControlState, id: str) -> dict[str, Any]:
    """By its own id or that of its request; one that this person may not know of does not exist."""
    rows = await state.records.read(_live)
    row = next((row for row in rows if id in (row["id"], row["request"])), None)
    if row is None:
        raise NotFound(f"there is no live grant {id}", next_step="`jupyter guardrails data requests` shows requests and grants")
    return row


def _may_revoke(state: ControlState, row: dict[str, Any]) -> Decision:
    policy = state.effective()
    if "admin" in policy.roles:
        return Decision(True, f"{state.principal} is an admin", policy.place("admins"))
    if row["principal"] == state.principal:
        return Decision(True, f"{state.principal} gives it back", authority.ref("one's own grant"))
    return authority.on_request(policy, state.catalogs.current.by_name.get(row["dataset"]), asked_by=row["principal"], dataset=row["dataset"])


def _live(connection: Connection) -> list[dict[str, Any]]:
    query = select(grants).where(grants.c.revoked_at.is_(None)).order_by(grants.c.granted_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def _revoke(connection: Connection, id: str, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    row = requests.revoke(connection, id, **said)
    told.put(connection)
    return row


DECIDERS: dict[str, Decider] = {"access": _access}
OPERATIONS: Operations = {RequestDecide: decide_request, GrantRevoke: revoke, GrantsList: live}
