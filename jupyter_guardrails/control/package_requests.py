"""Packages that the policy's list doesn't name: asked for, decided by an admin for a person or a group until a date, and taken back."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing, authority, stops
from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.package_requests import PackageAsk, PackageDecide, PackageRevoke, PackageSeen, RequestShow
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.control.requests import answer, seen
from jupyter_guardrails.control.rights import refuse_suspended
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached, NotFound
from jupyter_guardrails.policy import Decision
from jupyter_guardrails.policy.person import package_name
from jupyter_guardrails.policy.verdict import NOT_ONES_OWN
from jupyter_guardrails.records import audit, package_allowances, package_facts, requests
from jupyter_guardrails.records.package_allowances import KIND, PREFIX

ASK = "package.request"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # as PEP 508 writes names
LONGEST = timedelta(days=366)
MOST_OPEN = 50  # of one account


class Granted(NamedTuple):
    """For whom, until when, and with what else."""

    group: str
    until: datetime
    also: tuple[str, ...]


async def ask(state: ControlState, request: PackageAsk, fds: list[int]) -> dict[str, Any]:
    """The new request, or the open one that this person has for the package already."""
    if not NAME.fullmatch(request.package):
        raise BadRequest(f"{request.package[:100]!r} is no name of a package", next_step="name it alone, like polars: no version, no extra")
    name, policy = package_name(request.package), state.effective()
    decision = allowed(policy, "package.use", name, state.clock())
    if decision.allowed:
        raise Conflict(f"jobs may hold {name} already: {decision.reason}", next_step="install it, use it, submit", rule=str(decision.rule))
    await authority.refuse_suspended_person(state, ASK, name)
    for against in await _never(state, name, state.principal):
        await authority.refuse(state, ASK, name, against)
    said: dict[str, Any] = {"id": f"r-{secrets.token_hex(6)}", "principal": state.principal, "dataset": f"{PREFIX}{name}", "kind": KIND}
    said |= {"purpose": request.purpose, "days": request.days, "now": state.clock()}
    said |= {"rule": str(decision.rule), "policy_digest": state.policy_digest}
    return answer(await state.records.write(_ask, said, announcing.asked_package(state, said)), state)


async def show(state: ControlState, request: RequestShow, fds: list[int]) -> dict[str, Any]:
    """One request; for an admin with the groups of whoever asked, and what of some packages their jobs may not hold."""
    row = await state.records.read(requests.get, request.id)
    if not seen(state, row):
        raise NotFound(f"there is no request {request.id}", next_step="`jupyter guardrails requests list` shows those that you may see")
    own = row["principal"] == state.principal
    said: dict[str, Any] = {"request": await _answer(state, row), "seen": await state.records.read(package_facts.seen, row["id"])}
    said["decides"] = state.settings.self_chosen if own else is_admin(state)
    if not is_admin(state):
        return said | {"groups": [], "refused": {}}
    groups = await _groups(state, row["principal"])
    judged = {name: await _judged(state, name, row["principal"]) for name in request.packages}
    refused = {name: decision.reason for name, decision in judged.items() if not decision.allowed}
    return said | {"groups": groups, "refused": refused}


async def keep_seen(state: ControlState, request: PackageSeen, fds: list[int]) -> dict[str, Any]:
    """What whoever may decide was told of the package, kept for their decision."""
    row = await _package_request(state, request.id)
    await _may_decide(state, row, "request.grant")
    facts = [fact.model_dump(mode="json") for fact in request.facts]
    if package_name(facts[0]["name"]) != _name(row):
        raise BadRequest(f"request {row['id']} is for {_name(row)}, not for {facts[0]['name']}", next_step="say first what is known of that package")
    return await state.records.write(package_facts.keep, row["id"], facts, now=state.clock(), actor=state.principal)


async def _judged(state: ControlState, name: str, person: str) -> Decision:
    never = await _never(state, name, person)
    return never[0] if never else allowed(state.effective(person), "package.use", name, state.clock())


async def decide(state: ControlState, request: PackageDecide, fds: list[int]) -> dict[str, Any]:
    """Grant or refuse; a grant is part of the policy of whom it is for when this answers."""
    row = await _package_request(state, request.id)
    rule = await _may_decide(state, row, "request.grant" if request.grant else "request.refuse")
    own = row["principal"] == state.principal
    granted = await _granted(state, row, request) if request.grant else None
    reason = f"self-approved, nobody else was asked: {request.reason}" if own and granted else request.reason
    reason += f" (with {', '.join(granted.also)})" if granted and granted.also else ""
    to = "granted" if granted else "refused"
    title = f"{state.principal} {to} the package {_name(row)} to {f'group {granted.group}' if granted and granted.group else row['principal']}"
    told = announcing.notice(state, f"request.{to}", title, resource=row["dataset"], person=row["principal"], reason=reason, rule=rule)
    said = {"now": state.clock(), "actor": state.principal, "reason": reason, "rule": rule, "policy_digest": state.policy_digest}
    decided = await state.records.write(_decide, row, granted, said, told)
    state.package_grants.forget()
    return await _answer(state, decided)


async def revoke(state: ControlState, request: PackageRevoke, fds: list[int]) -> dict[str, Any]:
    """Over when this answers: by an admin, or by whoever asked for themselves alone."""
    row = await _package_request(state, request.id)
    rule = await _may_revoke(state, row)
    title = f"{state.principal} took the package {_name(row)} back, which {row['principal']} had asked for"
    told = announcing.notice(state, "package.revoke", title, resource=row["dataset"], person=row["principal"], reason=request.reason, rule=rule)
    said = {"now": state.clock(), "actor": state.principal, "reason": request.reason, "rule": rule, "policy_digest": state.policy_digest}
    taken = await state.records.write(_revoke, row, said, told)
    state.package_grants.forget()
    return await _answer(state, taken)


async def _answer(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    decided = await state.records.read(package_allowances.decided) if row["kind"] == KIND else {}
    return answer(row, state, decided=decided.get(row["id"]))


async def _never(state: ControlState, name: str, person: str) -> list[Decision]:
    """What no approval of a request can open: a deny of the policy, and a suspension."""
    policy = state.effective(person)
    denied = [allowed(policy, "package.use", name, state.clock())] if policy.package_deny_index.first(name) is not None else []
    return [*denied, *await stops.packages_of(state, [name])]


async def _groups(state: ControlState, person: str) -> list[str]:
    await state.groups.refresh(person)
    return list(state.effective(person).groups)


async def _package_request(state: ControlState, id: str) -> dict[str, Any]:
    row = await state.records.read(requests.get, id)
    if row["kind"] != KIND:
        raise NotFound(f"{row['id']} asks for no package", next_step="`jupyter guardrails requests list` shows what it asks for")
    return row


async def _may_decide(state: ControlState, row: dict[str, Any], action: str) -> str:
    """The rule that says so, as text; an admin, who never decides their own request but with a self-chosen policy, where that is labelled."""
    own = row["principal"] == state.principal
    if own and not state.settings.self_chosen:
        decision = Decision(
            False, f"{state.principal} asked for {_name(row)}, and nobody decides their own request", NOT_ONES_OWN, "ask another admin"
        )
        await authority.refuse(state, action, row["dataset"], decision)
    if own:
        await authority.refuse_suspended_person(state, action, row["dataset"])
        return str(authority.ref("self-chosen policy"))
    return await authority.require_admin(state, action, row["dataset"])


async def _granted(state: ControlState, row: dict[str, Any], request: PackageDecide) -> Granted:
    """For whom and until when, if that makes sense and could open anything."""
    groups, now = await _groups(state, row["principal"]), state.clock()
    if request.group and request.group not in groups:
        known = f"their groups: {', '.join(groups)}" if groups else "leave --group out: they are in no group"
        raise BadRequest(f"{row['principal']} is not in the group {request.group!r}, and would have nothing of it", next_step=known)
    until = request.until or now + timedelta(days=row["days"])
    if not now < until <= now + LONGEST:
        raise BadRequest(f"`until` must be a time in the next {LONGEST.days} days", next_step="for longer than that write it into the policy's list")
    also = tuple(name for name in dict.fromkeys(map(package_name, request.also)) if name != _name(row))
    for name in (_name(row), *also):
        for against in await _never(state, name, row["principal"]):
            await authority.refuse(state, "request.grant", row["dataset"], against)
    return Granted(request.group, until, also)


async def _may_revoke(state: ControlState, row: dict[str, Any]) -> str:
    decided = (await state.records.read(package_allowances.decided)).get(row["id"])
    if row["principal"] != state.principal or (decided and decided.group):
        return await authority.require_admin(state, "package.revoke", row["dataset"])
    await authority.refuse_suspended_person(state, "package.revoke", row["dataset"])
    return str(authority.ref("one's own"))


def _name(row: dict[str, Any]) -> str:
    return str(row["dataset"]).removeprefix(PREFIX)


def _ask(connection: Connection, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    refuse_suspended(connection, "user", said["principal"])
    row = requests.create(connection, **said)
    if requests.count_open(connection, said["principal"], KIND) > MOST_OPEN:
        raise LimitReached(f"{MOST_OPEN} requests of yours for packages wait for a decision", next_step="wait for that, or talk to your admin")
    if row["id"] == said["id"]:  # an open one of before was told when it was made
        told.put(connection)
    return row


def _decide(connection: Connection, row: dict[str, Any], granted: Granted | None, said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    """Decision, allowance and notice in one transaction, with a last look at suspensions; the record names what was known of the package."""
    noted = package_facts.settle(connection, row["id"], actor=said["actor"])
    if granted is None:
        decided = requests.decide(connection, row["id"], "refused", noted=noted, **said)
        told.put(connection)
        return decided
    refuse_suspended(connection, "user", row["principal"])
    refuse_suspended(connection, "package", _name(row), *granted.also)
    requests.set_end(connection, row["id"], until=granted.until)
    decided = requests.decide(connection, row["id"], "granted", noted=noted, **said)
    by = {"now": said["now"], "actor": said["actor"]}
    package_allowances.allow(connection, decided, for_group=granted.group, also=granted.also, until=granted.until, **by)
    told.put(connection)
    return decided


def _revoke(connection: Connection, row: dict[str, Any], said: dict[str, Any], told: announcing.Notice) -> dict[str, Any]:
    fields: dict[str, Any] = {key: said[key] for key in ("now", "reason", "rule", "policy_digest")}
    audit.append(connection, principal=said["actor"], action="package.revoke", resource=row["dataset"], allowed=True, **fields)
    if not package_allowances.end(connection, row["id"], **said):
        next_step = "`jupyter guardrails requests list` shows which are granted"
        raise Conflict(f"request {row['id']} gives nothing that could be taken back: it is {row['state']}", next_step=next_step)
    told.put(connection)
    return requests.get(connection, row["id"])


OPERATIONS: Operations = {PackageAsk: ask, RequestShow: show, PackageDecide: decide, PackageRevoke: revoke, PackageSeen: keep_seen}
