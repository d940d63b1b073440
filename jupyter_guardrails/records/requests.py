"""Access requests and the grants that follow from them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import allowances, audit
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import grants, requests

# Made once: each read of a dataset asks it (records/leases.py)
LIVE = (grants.c.principal == bindparam("of_principal")) & (grants.c.expires_at > bindparam("after")) & grants.c.revoked_at.is_(None)
LIVE_GRANTS = select(grants).where(LIVE).order_by(grants.c.expires_at)
TRANSITIONS: dict[str, frozenset[str]] = {
    "open": frozenset({"granted", "refused", "expired"}),
    "granted": frozenset({"expired"}),
    "refused": frozenset(),
    "expired": frozenset(),
}


def create(
    connection: Connection,
    *,
    now: datetime,
    id: str,
    principal: str,
    dataset: str,
    purpose: str,
    days: int,
    kind: str = "access",
    rule: str = "",
    policy_digest: str = "",
    amount: float | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """A new open request, audited; an open one of the same person for the same dataset is given back instead.

    Kind `more`: `dataset` is the limit, `amount` what it shall be, `until` when. Kind `package`: `dataset` is `package.NAME`.
    """
    mine = (requests.c.principal == principal) & (requests.c.dataset == dataset) & (requests.c.kind == kind)
    same = connection.execute(select(requests).where(mine, requests.c.state == "open")).mappings().first()
    if same is not None:
        return dict(same)
    row = {"id": id, "principal": principal, "kind": kind, "dataset": dataset, "purpose": storable(purpose), "days": days, "rule": rule}
    row |= {"state": "open", "reason": "", "decided_by": "", "created_at": now, "updated_at": now, "revision": 1}
    row |= {"amount": amount, "until": until}
    connection.execute(insert(requests).values(row))
    said: dict[str, Any] = {"resource": dataset, "allowed": True, "reason": purpose, "rule": rule, "policy_digest": policy_digest}
    audit.append(connection, now=now, principal=principal, action="request.create", **said)
    return get(connection, id)


def get(connection: Connection, id: str) -> dict[str, Any]:
    """The request, or NotFound."""
    row = connection.execute(select(requests).where(requests.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no request {id}")
    return dict(row)


def newest(connection: Connection, principal: str | None, *, limit: int = 200) -> list[dict[str, Any]]:
    """Requests, newest first; of one person, or (None) of all."""
    query = select(requests).order_by(requests.c.created_at.desc(), requests.c.id).limit(limit)
    if principal is not None:
        query = query.where(requests.c.principal == principal)
    return [dict(row) for row in connection.execute(query).mappings()]


def opened(connection: Connection, *, but_of: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Those that wait for an answer, of everybody but one person, newest first."""
    query = select(requests).where(requests.c.state == "open", requests.c.principal != but_of)
    return [dict(row) for row in connection.execute(query.order_by(requests.c.created_at.desc(), requests.c.id).limit(limit)).mappings()]


def count_open(connection: Connection, principal: str, kind: str) -> int:
    """How many open requests of a kind this person has."""
    mine = (requests.c.principal == principal) & (requests.c.kind == kind) & (requests.c.state == "open")
    return connection.execute(select(func.count()).select_from(requests).where(mine)).scalar_one()


def decide(
    connection: Connection,
    id: str,
    to_state: str,
    *,
    now: datetime,
    actor: str,
    reason: str,
    rule: str = "",
    policy_digest: str = "",
    days: int | None = None,
    noted: str = "",
) -> dict[str, Any]:
    """Move a request along `TRANSITIONS` and audit it, `noted` only there; `granted` writes the grant (for its days or for `days`) or the allowance
    in the same transaction. What a request for a package is granted is the caller's to write (package_allowances.allow)."""
    row = get(connection, id)
    if to_state not in TRANSITIONS[row["state"]]:
        raise Conflict(f"request {id} is {row['state']} and can't become {to_state}")
    row |= {} if days is None else {"days": days}
    _move(connection, row, to_state, now=now, actor=actor, reason=reason)
    if to_state == "granted" and row["kind"] == "more":
        allowances.grant_more(connection, row, now=now, actor=actor)
    elif to_state == "granted" and row["kind"] == "access":
        _grant(connection, row, now=now, actor=actor, rule=rule)
    said: dict[str, Any] = {
        "resource": row["dataset"],
        "allowed": to_state == "granted",
        "reason": f"{reason}; {noted}" if noted else reason,
        "rule": rule,
        "policy_digest": policy_digest,
    }
    audit.append(connection, now=now, principal=actor, action=f"request.{to_state}", **said)
    return get(connection, id)


def take_back(connection: Connection, id: str, *, now: datetime, actor: str, reason: str, rule: str, policy_digest: str) -> dict[str, Any]:
    """End what a request of kind `more` was granted, before its time, and audit it; Conflict where it is not in force."""
    row = get(connection, id)
    if row["state"] != "granted" or row["until"] <= now or not allowances.end(connection, f"m-{id}", now=now):
        state = "over" if row["state"] == "granted" else row["state"]
        raise Conflict(
            f"request {id} is {state}: it gives nothing that could be taken back",
            next_step="`jupyter guardrails requests list` shows which are granted",
        )
    _move(connection, row, "expired", now=now, actor=actor, reason=reason)
    said: dict[str, Any] = {"resource": row["dataset"], "allowed": True, "rule": rule, "policy_digest": policy_digest}
    audit.append(connection, now=now, principal=actor, action="limit.revoke", reason=reason, **said)
    restored = f"taken back by {actor}: the policy's own limit holds again"
    audit.append(connection, now=now, principal=row["principal"], action="limit.restored", reason=restored, **said)
    return get(connection, id)


def end(connection: Connection, id: str, *, now: datetime, actor: str, reason: str) -> dict[str, Any]:
    """What a request was granted is over: the request, `expired`; the caller writes the audit record."""
    row = get(connection, id)
    _move(connection, row, "expired", now=now, actor=actor, reason=reason)
    return row


def set_end(connection: Connection, id: str, *, until: datetime) -> None:
    """Until when an open request is granted in a moment: of kind `more` earlier than was asked for, of kind `package` as whoever decides says."""
    connection.execute(update(requests).where(requests.c.id == id, requests.c.state == "open").values(until=until))


def active_grants(connection: Connection, principal: str, *, now: datetime) -> dict[str, dict[str, Any]]:
    """Dataset name -> the grant that lasts longest, of those neither expired nor revoked."""
    rows = connection.execute(LIVE_GRANTS, {"of_principal": principal, "after": now}).mappings()
    return {row["dataset"]: dict(row) for row in rows}


def revoke(connection: Connection, id: str, *, now: datetime, actor: str, reason: str, policy_digest: str = "") -> dict[str, Any]:
    """End a grant now and audit it; NotFound when there is no such live grant."""
    statement = update(grants).where(grants.c.id == id, grants.c.revoked_at.is_(None)).values(revoked_at=now)
    if connection.execute(statement).rowcount != 1:
        raise NotFound(f"there is no live grant {id}")
    row = dict(connection.execute(select(grants).where(grants.c.id == id)).mappings().one())
    said: dict[str, Any] = {"resource": row["dataset"], "allowed": True, "reason": reason, "rule": row["rule"], "policy_digest": policy_digest}
    audit.append(connection, now=now, principal=actor, action="grant.revoke", **said)
    return row


def give(
    connection: Connection,
    *,
    id: str,
    principal: str,
    dataset: str,
    now: datetime,
    actor: str,
    reason: str,
    days: int,
    rule: str,
    policy_digest: str,
) -> dict[str, Any]:
    """A grant that nobody asked for, audited; where this person has an open request for the dataset, that one is granted, for these days."""
    mine = (requests.c.principal == principal) & (requests.c.dataset == dataset) & (requests.c.kind == "access")
    asked = connection.execute(select(requests.c.id).where(mine, requests.c.state == "open")).scalar()
    said: dict[str, Any] = {"rule": rule, "policy_digest": policy_digest}
    if asked is not None:
        decide(connection, asked, "granted", now=now, actor=actor, reason=reason, days=days, **said)
        return dict(connection.execute(select(grants).where(grants.c.request == asked)).mappings().one())
    row: dict[str, Any] = {"id": id, "principal": principal, "dataset": dataset, "request": None, "rule": rule, "granted_by": actor}
    row |= {"granted_at": now, "expires_at": now + timedelta(days=days), "revoked_at": None}
    connection.execute(insert(grants).values(row))
    why = f"to {principal} for {days} days: {reason}"
    audit.append(connection, now=now, principal=actor, action="grant.give", resource=dataset, allowed=True, reason=why, **said)
    return row


def _move(connection: Connection, row: dict[str, Any], to_state: str, *, now: datetime, actor: str, reason: str) -> None:
    """Conflict where somebody else was quicker."""
    values = {"state": to_state, "reason": storable(reason), "decided_by": actor, "updated_at": now, "revision": row["revision"] + 1}
    values["days"] = row["days"]
    statement = update(requests).where(requests.c.id == row["id"], requests.c.revision == row["revision"])
    if connection.execute(statement.values(values)).rowcount != 1:
        raise Conflict(f"request {row['id']} was changed meanwhile")


def _grant(connection: Connection, request: dict[str, Any], *, now: datetime, actor: str, rule: str) -> None:
    row = {"id": f"g-{request['id']}", "principal": request["principal"], "dataset": request["dataset"], "request": request["id"]}
    row |= {"rule": rule, "granted_by": actor, "granted_at": now, "expires_at": now + timedelta(days=request["days"]), "revoked_at": None}
    connection.execute(insert(grants).values(row))
