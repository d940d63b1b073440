"""What reviewers said of submissions: one word of each reviewer, for exactly the digests that were reviewed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records import audit, submissions
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import decisions

MOVES = {"approve": "approved", "send_back": "changes_requested", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Said:
    """One reviewer's decision; `self_test`: it was made where nobody else stands behind it, and moves nothing to approved."""

    submission: str
    reviewer: str
    decision: str
    words: str
    content_digest: str
    evidence_digest: str
    self_test: bool
    rule: str
    policy_digest: str


def decide(connection: Connection, said: Said, *, now: datetime, approvals: int) -> dict[str, Any]:
    """The submission after this decision, recorded and audited; it is approved when as many reviewers as `approvals` have said so.

    Conflict when it is not in review, its digests are others than those reviewed, or this reviewer has decided before.
    """
    row = submissions.get(connection, said.submission)
    _check(connection, row, said)
    connection.execute(insert(decisions).values(asdict(said) | {"words": storable(said.words), "decided_at": now}))
    _audit(connection, row, said, now=now)
    if not _moves(connection, said, approvals):
        return row
    moved = MOVES[said.decision]
    return submissions.transition(connection, row["id"], moved, now=now, actor=said.reviewer, error=said.words, policy_digest=said.policy_digest)


def of(connection: Connection, submission: str) -> list[dict[str, Any]]:
    """Every decision on a submission, oldest first."""
    query = select(decisions).where(decisions.c.submission == submission).order_by(decisions.c.decided_at, decisions.c.reviewer)
    return [dict(row) for row in connection.execute(query).mappings()]


def _check(connection: Connection, row: dict[str, Any], said: Said) -> None:
    if row["state"] != "in_review" or row["draft"]:
        raise Conflict(f"submission {row['id']} is {row['state']}: only what is in review can be decided", next_step="look at `job show`")
    if (row["content_digest"], row["evidence_digest"]) != (said.content_digest, said.evidence_digest):
        raise Conflict(
            f"submission {row['id']} is not what was reviewed: its content digest is {row['content_digest']}",
            next_step=f"review it again: `jupyter guardrails job show {row['id']}`",
        )
    mine = (decisions.c.submission == row["id"]) & (decisions.c.reviewer == said.reviewer) & (decisions.c.self_test == said.self_test)
    if (before := connection.execute(select(decisions).where(mine)).mappings().first()) is not None:
        raise Conflict(f"{said.reviewer} has decided this already: {before['decision']}", next_step="another reviewer must look at it")


def _moves(connection: Connection, said: Said, approvals: int) -> bool:
    """Whether the submission changes its state: a self-test never does, a first approval of two does not yet."""
    if said.self_test or said.decision != "approve":
        return not said.self_test
    agreed = (decisions.c.submission == said.submission) & (decisions.c.decision == "approve") & ~decisions.c.self_test
    same = (decisions.c.content_digest == said.content_digest) & (decisions.c.evidence_digest == said.evidence_digest)
    count = connection.execute(select(func.count()).select_from(decisions).where(agreed, same)).scalar_one()
    return int(count) >= approvals


def _audit(connection: Connection, row: dict[str, Any], said: Said, *, now: datetime) -> None:
    label = "self-test, not approved: " if said.self_test else ""
    audit.append(
        connection,
        now=now,
        principal=said.reviewer,
        action=f"review.{said.decision}",
        resource=f"{row['name']}-{row['version']}",
        allowed=True,
        reason=f"{label}{said.words or 'no words'} (content {said.content_digest}, evidence {said.evidence_digest})",
        rule=said.rule,
        policy_digest=said.policy_digest,
        notebook=row["notebook"],
    )
