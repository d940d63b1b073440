"""Marks of what a person looks at: another mark, another answer. Counts and latest times, hashed, so that they tell nothing of what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, func, select

from jupyter_guardrails.records.tables import decisions, deployments, job_runs, requests, submissions


def of_submissions(connection: Connection, principal: str) -> str:
    """Changes with one's own submissions, what was decided on them, their deployments and the runs of these."""
    mine = submissions.c.principal == principal
    said = select(func.count(), func.max(decisions.c.decided_at)).join_from(decisions, submissions).where(mine)
    deployed = select(func.count(), func.max(deployments.c.updated_at)).join_from(deployments, submissions).where(mine)
    ran = select(func.count(), func.count(job_runs.c.ended_at), func.max(job_runs.c.ended_at))
    ran = ran.join_from(job_runs, deployments).join(submissions).where(mine)
    return _mark(connection, _latest(submissions.c, mine), said, deployed, ran)


def of_requests(connection: Connection, principal: str) -> str:
    """Changes with what this person asked for."""
    return _mark(connection, _latest(requests.c, requests.c.principal == principal))


def of_review(connection: Connection, principal: str) -> str:
    """Changes with what others have in review, and with what was decided on that."""
    others = (submissions.c.principal != principal) & (submissions.c.state == "in_review")
    said = select(func.count(), func.max(decisions.c.decided_at)).join_from(decisions, submissions).where(others)
    return _mark(connection, _latest(submissions.c, others), said)


def of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Changes with which rows these are (of tables with a revision), and with what becomes of them."""
    return _hashed(sorted((row["id"], row["revision"]) for row in rows))


def _latest(columns: Any, whose: ColumnElement[bool]) -> Executable:
    return select(func.count(), func.max(columns.updated_at)).where(whose)


def _mark(connection: Connection, *queries: Executable) -> str:
    found = [tuple(connection.execute(query).one()) for query in queries]
    return _hashed(found)


def _hashed(found: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]
