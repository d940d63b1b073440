"""Submissions: notebooks on their way to production. Moves happen only along `TRANSITIONS`; each writes its audit record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import checks, submissions

TRANSITIONS: dict[str, frozenset[str]] = {
    "draft": frozenset({"checking", "submitted", "cancelled", "withdrawn"}),
    "submitted": frozenset({"checking", "checks_failed", "cancelled", "withdrawn"}),
    "checking": frozenset({"checks_failed", "in_review", "draft", "submitted", "cancelled"}),  # submitted: control restarts the worker
    "checks_failed": frozenset({"withdrawn"}),
    "in_review": frozenset({"changes_requested", "rejected", "approved", "withdrawn", "superseded"}),
    "changes_requested": frozenset({"withdrawn", "superseded"}),
    "approved": frozenset({"deployed", "withdrawn", "superseded", "retired"}),
    "deployed": frozenset({"superseded", "retired"}),
    "superseded": frozenset({"deployed", "retired"}),  # deployed: a rollback
    "rejected": frozenset(),
    "withdrawn": frozenset(),
    "cancelled": frozenset(),
    "retired": frozenset(),
}
ENDED = {"running": ("failed", "the worker ended during this check"), "waiting": ("not_checked", "the worker ended before it")}
WHY: dict[str, str] = {  # a state -> why nothing else comes after it
    "draft": "a draft is checked, and never reviewed",
    "submitted": "its checks come first",
    "checking": "its checks come first",
    "checks_failed": "an edit is a new version: mend it and submit it again",
    "in_review": "only what was approved goes into production",
    "changes_requested": "an edit is a new version: change it and submit it again",
    "approved": "what was approved stays as it is: an edit is a new version, without approvals",
    "deployed": "what is in production stays as it is: an edit is a new version, without approvals",
    "superseded": "a newer version took its place",
    "rejected": "a rejection is for good: an edit is a new version",
    "withdrawn": "its author took it back: an edit is a new version",
    "cancelled": "it was cancelled: submit it again",
    "retired": "it was retired for good, and a revocation says so",
}
NEVER_FOR_DRAFTS = frozenset({"in_review", "changes_requested", "approved", "deployed"})


def create(
    connection: Connection,
    *,
    now: datetime,
    id: str,
    principal: str,
    notebook: str,
    name: str,
    key: str,
    draft: bool,
    frozen: str,
    notebook_digest: str,
    parameters: Mapping[str, Any],
    reason: str,
    policy_digest: str = "",
    uid: int | None = None,
) -> dict[str, Any]:
    """A new row in state `submitted` (or `draft`), the next version of its name; the same person and key give the first row back."""
    same = connection.execute(select(submissions).where(submissions.c.principal == principal, submissions.c.key == key)).mappings().first()
    if same is not None:
        return _with_checks(connection, same)
    state = "draft" if draft else "submitted"
    row = {"id": id, "principal": principal, "notebook": notebook, "name": name, "key": key, "draft": draft, "state": state, "uid": uid}
    row |= {"frozen": frozen, "notebook_digest": notebook_digest, "parameters": dict(parameters), "reason": storable(reason)}
    row |= {"version": _next_version(connection, principal, name), "error": "", "content_digest": "", "evidence_digest": "", "package": ""}
    connection.execute(insert(submissions).values(row | {"package_path": "", "created_at": now, "updated_at": now, "revision": 1}))
    _audit(connection, now, principal, state, row | {"reason": reason}, policy_digest)
    return get(connection, id)


def get(connection: Connection, id: str) -> dict[str, Any]:
    """The row with its `checks` in order, or NotFound."""
    row = connection.execute(select(submissions).where(submissions.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no submission {id}", next_step="`jupyter guardrails job list` shows yours")
    return _with_checks(connection, row)


def newest(connection: Connection, principal: str | None, *, limit: int = 200, words: str = "") -> list[dict[str, Any]]:
    """Rows with their checks, newest first; of one person, or (None) of all. `words`: whose notebook's path has them."""
    query = select(submissions).order_by(submissions.c.created_at.desc(), submissions.c.id).limit(limit)
    rows = connection.execute(query.where(*_asked(principal, words))).mappings().all()
    return [_with_checks(connection, row) for row in rows]


def count(connection: Connection, principal: str, *, words: str = "") -> int:
    """How many `newest` would give without its limit."""
    return connection.scalar(select(func.count()).select_from(submissions).where(*_asked(principal, words))) or 0


def _asked(principal: str | None, words: str) -> list[ColumnElement[bool]]:
    mine = [submissions.c.principal == principal] if principal is not None else []
    return [*mine, *([submissions.c.notebook.icontains(words, autoescape=True)] if words else [])]


def in_states(connection: Connection, *states: str, limit: int) -> list[dict[str, Any]]:
    """Everybody's rows in one of these states, without their checks; the newest of them, oldest first."""
    query = select(submissions).where(submissions.c.state.in_(states)).order_by(submissions.c.created_at.desc(), submissions.c.id).limit(limit)
    return [dict(row) for row in reversed(connection.execute(query).mappings().all())]


def others(connection: Connection, row: Mapping[str, Any], *states: str) -> list[dict[str, Any]]:
    """The other versions of this job that are in one of these states, oldest first."""
    same = (submissions.c.principal == row["principal"]) & (submissions.c.name == row["name"]) & (submissions.c.id != row["id"])
    query = select(submissions).where(same, submissions.c.state.in_(states), ~submissions.c.draft).order_by(submissions.c.version)
    return [dict(found) for found in connection.execute(query).mappings()]


def transition(
    connection: Connection,
    id: str,
    to_state: str,
    *,
    now: datetime,
    actor: str,
    error: str = "",
    expected_version: int | None = None,
    policy_digest: str = "",
) -> dict[str, Any]:
    """Move to another state and audit it; Conflict when the table has no such move or `revision` is no longer `expected_version`."""
    row = get(connection, id)
    _check_move(row, to_state)
    revision = row["revision"] if expected_version is None else expected_version
    statement = update(submissions).where(submissions.c.id == id, submissions.c.revision == revision, submissions.c.state == row["state"])
    values = {"state": to_state, "error": storable(error), "updated_at": now, "revision": revision + 1}
    values |= {"approved_at": now} if to_state == "approved" else {}
    moved = connection.execute(statement.values(values))
    if moved.rowcount != 1:
        raise Conflict(f"submission {id} was changed meanwhile", next_step="look at it again and repeat the step if it still fits")
    _audit(connection, now, actor, to_state, row | {"reason": error}, policy_digest)
    return get(connection, id)


def set_check(
    connection: Connection,
    id: str,
    name: str,
    *,
    title: str,
    state: str,
    detail: str,
    findings: Sequence[Mapping[str, Any]],
    progress: Mapping[str, int] | None,
    seconds: float | None,
    now: datetime,
) -> None:
    """Write one check's state; its place in the list is the order in which checks first reported."""
    values: dict[str, Any] = {"title": title, "state": state, "detail": storable(detail), "findings": [dict(item) for item in findings]}
    values |= {"progress": None if progress is None else dict(progress), "seconds": seconds, "updated_at": now}
    place = (checks.c.submission == id) & (checks.c.name == name)
    if connection.execute(update(checks).where(place).values(values)).rowcount == 0:
        position = connection.execute(select(func.count()).select_from(checks).where(checks.c.submission == id)).scalar_one()
        connection.execute(insert(checks).values(submission=id, name=name, position=position, **values))
    connection.execute(update(submissions).where(submissions.c.id == id).values(updated_at=now))


def report_check(connection: Connection, /, id: str, name: str, **said: Any) -> bool:
    """`set_check` by whoever works on it; False, and nothing written, where it is no longer being checked."""
    if connection.execute(select(submissions.c.state).where(submissions.c.id == id)).scalar() != "checking":
        return False
    set_check(connection, id, name, **said)
    return True


def end_checks(connection: Connection, id: str) -> None:
    """Nobody works on it any more: the check that ran has failed, those that waited were not made."""
    for state, (ended, detail) in ENDED.items():
        place = (checks.c.submission == id) & (checks.c.state == state)
        connection.execute(update(checks).where(place).values(state=ended, detail=detail))


def set_package(connection: Connection, id: str, *, name: str, content_digest: str, evidence_digest: str, path: str, now: datetime) -> None:
    """Note the frozen package: its file name, both digests and where it lies. Once only: a built package never changes."""
    values = {"package": name, "content_digest": content_digest, "evidence_digest": evidence_digest, "package_path": path, "updated_at": now}
    statement = update(submissions).where(submissions.c.id == id, submissions.c.content_digest == "", submissions.c.state == "checking")
    if connection.execute(statement.values(values)).rowcount != 1:
        raise Conflict(f"submission {id} is not being checked or already has a package", next_step="submit again for a new version")


def _check_move(row: Mapping[str, Any], to_state: str) -> None:
    """Conflict unless the table allows the move, with what would be allowed."""
    allowed = TRANSITIONS[row["state"]]
    if row["draft"]:
        allowed -= NEVER_FOR_DRAFTS
    if to_state not in allowed:
        choices = ", ".join(sorted(allowed)) or "nothing: this is its end"
        message = f"submission {row['id']} is {row['state']} and can't become {to_state}: {WHY[row['state']]}"
        raise Conflict(message, next_step=f"possible now: {choices}")


def _next_version(connection: Connection, principal: str, name: str) -> int:
    mine = (submissions.c.principal == principal) & (submissions.c.name == name)
    return (connection.execute(select(func.max(submissions.c.version)).where(mine)).scalar() or 0) + 1


def _with_checks(connection: Connection, row: RowMapping) -> dict[str, Any]:
    rows = connection.execute(select(checks).where(checks.c.submission == row["id"]).order_by(checks.c.position)).mappings()
    return dict(row) | {"checks": [dict(check) for check in rows]}


def _audit(connection: Connection, now: datetime, actor: str, state: str, row: Mapping[str, Any], policy_digest: str) -> None:
    """The record of one move; a failed check or a rejection is not a refusal by policy, so `allowed` is true."""
    resource = f"{row['name']}-{row['version']}"
    audit.append(
        connection,
        now=now,
        principal=actor,
        action=f"submission.{state}",
        resource=resource,
        allowed=True,
        reason=row["reason"],
        rule="",
        policy_digest=policy_digest,
        notebook=row["notebook"],
    )
