"""Asking for access to a dataset: recorded, granted at once inside the bounds that the policy sets, open until somebody decides otherwise."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.delivery import obstacle
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import announcing, authority
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.datasets import find
from jupyter_guardrails.control.interface.messages import RequestCreate, RequestsList
from jupyter_guardrails.control.lasting import ENDED_BY
from jupyter_guardrails.control.rights import refuse_suspended, rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import Conflict, Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, decide
from jupyter_guardrails.records import package_allowances, requests
from jupyter_guardrails.records.columns import iso
from jupyter_guardrails.records.package_allowances import KIND, PREFIX

BY_POLICY = "policy"  # who decided a request that was granted at once


async def create(state: ControlState, request: RequestCreate, fds: list[int]) -> dict[str, Any]:
    """The new request, or the open one that this person has for the dataset already."""
    contract, access = await find(state, request.dataset)
    if access.granted:
        already = access.decision.reason if access.decision.allowed else "the policy does not enforce yet that it must be asked for"
        raise Conflict(f"you may read {contract.name} already: {already}", next_step=f'guarded.path("{contract.name}")')
    policy, held = state.effective(), await rights(state)
    if held.person or contract.name in held.datasets:
        await authority.refuse(state, "data.request", contract.name, access.decision)
    decision = _decision(contract, policy, state)
    if not decision.allowed:
        await state.audit("data.request", contract.name, decision)
        raise Refused(decision.reason, rule=str(decision.rule), next_step=decision.next_step)
    at_once = _at_once(contract, policy, request.days)
    said = {
        "id": f"r-{secrets.token_hex(6)}",
        "principal": state.principal,
        "dataset": contract.name,
        "purpose": request.purpose,
        "days": request.days,
    }
    said |= {"now": state.clock(), "rule": str(decision.rule), "policy_digest": state.policy_digest}
    return answer(await state.records.write(_create, said, at_once, announcing.asked(state, said)), state)


async def newest(state: ControlState, request: RequestsList, fds: list[int]) -> dict[str, Any]:
    """Own requests, those for datasets that one owns, everybody's for admins; newest first."""
    rows = await state.records.read(requests.newest, None, limit=1000)
    decided = await state.records.read(package_allowances.decided)
    return {"requests": [answer(row, state, decided=decided.get(row["id"])) for row in rows if seen(state, row)]}


async def waiting(state: ControlState) -> list[dict[str, Any]]:
    """Open requests of others that this person may see, as the desk shows them."""
    rows = await state.records.read(requests.opened, but_of=state.principal)
    return [row for row in rows if seen(state, row)]


def seen(state: ControlState, row: dict[str, Any]) -> bool:
    """Whether this person may see a request: one's own, one for a dataset that one owns, for admins each."""
    contract = state.catalogs.current.by_name.get(row["dataset"])
    return is_admin(state) or row["principal"] == state.principal or (row["kind"] == "access" and _decides(state.effective(), row, contract))


def answer(row: dict[str, Any], state: ControlState, *, decided: package_allowances.Decided | None = None) -> dict[str, Any]:
    """A request as the `AccessRequest` of the HTTP API; one whose days are over reads expired, swept or not.

    `decided`: of a package that was allowed, for whom and with what.
    """
    access = row["kind"] == "access"
    until = row["updated_at"] + timedelta(days=row["days"]) if access else row["until"]
    over = row["state"] == "granted" and until <= state.clock()
    return {
        "id": row["id"],
        "kind": row["kind"],
        "dataset": row["dataset"] if access else "",
        "resource": row["dataset"] if row["kind"] == "more" else None,
        "package": row["dataset"].removeprefix(PREFIX) if row["kind"] == KIND else None,
        "group": (decided.group or None) if decided else None,
        "also": list(decided.also) if decided else [],
        "amount": row["amount"],
        "until": None if access or row["until"] is None else iso(row["until"]),
        "decided_by": row["decided_by"],
        "person": row["principal"],
        "purpose": row["purpose"],
        "days": row["days"],
        "state": "expired" if over else "revoked" if _taken_back(row) else row["state"],
        "reason": row["reason"],
        "created_at": iso(row["created_at"]),
    }


def _taken_back(row: dict[str, Any]) -> bool:
    """Ended by a person before its time, and not by the time."""
    return row["kind"] != "access" and row["state"] == "expired" and row["decided_by"] not in ("", ENDED_BY)


def _decision(contract: Contract, policy: EffectivePolicy, state: ControlState) -> Decision:
    """The policy's decision; a dataset that could not be delivered after a grant cannot be asked for either."""
    decision = decide(policy, "data.request", contract.resource, state.clock())
    blocked = obstacle(contract, policy.obligations(contract.resource), policy.attributes)
    if decision.allowed and blocked:
        return Decision(False, blocked, decision.rule, f"talk to its owner ({contract.owner})")
    return decision


def _at_once(contract: Contract, policy: EffectivePolicy, days: int) -> str:
    """The rule that grants this without a reviewer, as text; empty when somebody has to decide."""
    bounds = policy.auto_grant
    if bounds is None or days > bounds.value.max_days:
        return ""
    classes = {text.casefold() for text in bounds.value.classification}
    return str(bounds.rule) if contract.classification.casefold() in classes else ""


def _create(connection: Connection, said: dict[str, Any], at_once: str, notice: announcing.Notice) -> dict[str, Any]:
    """Request and, inside the bounds, its grant in one transaction. An open request of before is given back as it is."""
    refuse_suspended(connection, "user", said["principal"])
    row = requests.create(connection, **said)
    if row["id"] != said["id"]:
        return row
    if not at_once:
        notice.put(connection)
        return row
    reason = "granted at once, inside the bounds that the policy sets"
    digest = {"rule": at_once, "policy_digest": said["policy_digest"]}
    return requests.decide(connection, row["id"], "granted", now=said["now"], actor=BY_POLICY, reason=reason, **digest)


def _decides(policy: EffectivePolicy, row: dict[str, Any], contract: Contract | None) -> bool:
    return authority.on_request(policy, contract, asked_by=row["principal"], dataset=row["dataset"]).allowed


OPERATIONS: Operations = {RequestsList: newest, RequestCreate: create}
