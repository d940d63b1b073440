"""A grant that nobody asked for: by who would decide the request, to somebody whom the policy lets ask."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.delivery import obstacle
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import announcing, authority, decisions, live_grants
from jupyter_guardrails.control.interface.grants import GrantGive
from jupyter_guardrails.control.rights import refuse_suspended, rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound
from jupyter_guardrails.policy import Decision, decide
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.records import requests

ACTION = "grant.give"


async def give(state: ControlState, request: GrantGive, fds: list[int]) -> dict[str, Any]:
    """The grant, in force when this answers; an open request of that person for the dataset is granted with it."""
    if not is_principal(request.person):
        raise BadRequest(f"{request.person[:100]!r} can't be the name of a person")
    contract = state.catalogs.current.by_name.get(request.dataset)
    verdict = authority.on_request(state.effective(), contract, asked_by=request.person, dataset=request.dataset)
    if request.person == state.principal:
        verdict = Decision(False, f"nobody grants {request.dataset} to themselves", verdict.rule, verdict.next_step)
    if not verdict.allowed:
        await authority.refuse(state, ACTION, request.dataset, verdict)
    await authority.refuse_suspended_person(state, ACTION, request.dataset)
    if contract is None:
        raise NotFound(f"there is no dataset {request.dataset!r}", next_step="jupyter guardrails data list")
    await _may_have(state, request.person, contract)
    said = {"id": f"g-{secrets.token_hex(6)}", "now": state.clock(), "actor": state.principal, "rule": str(verdict.rule)}
    said |= {"reason": request.reason, "days": request.days, "policy_digest": state.policy_digest}
    title = f"{state.principal} granted {request.dataset} to {request.person} for {request.days} days"
    told = announcing.notice(state, "request.granted", title, resource=request.dataset, person=request.person, reason=request.reason)
    row = await state.records.write(_give, request.person, request.dataset, said, told)
    await live_grants.follow(state)
    return decisions.shape(row)


async def _may_have(state: ControlState, person: str, contract: Contract) -> None:
    """A grant is worth nothing where the policy does not let that person ask, or the dataset can't be given out: then it is not given."""
    await state.groups.refresh(person)
    policy, held = state.effective(person), await rights(state, person)
    asking = decide(policy, "data.request", contract.resource, state.clock())
    if not asking.allowed:
        await authority.refuse(state, ACTION, contract.name, asking)
    blocked = obstacle(contract, policy.obligations(contract.resource), policy.attributes)
    if blocked:
        await authority.refuse(state, ACTION, contract.name, Decision(False, blocked, asking.rule, f"talk to its owner ({contract.owner})"))
    access = held.access(contract, policy, state.clock())
    if access.granted:
        raise Conflict(f"{person} may read {contract.name} already: {access.decision.reason}", next_step="`data requests` shows live grants")


def _give(connection: Connection, person: str, dataset: str, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    """In one transaction with the look at suspensions: what is suspended is granted to nobody."""
    refuse_suspended(connection, "dataset", dataset)
    refuse_suspended(connection, "user", person)
    row = requests.give(connection, principal=person, dataset=dataset, **said)
    told.put(connection)
    return row


OPERATIONS: Operations = {GrantGive: give}
