"""What reviewers said of submissions: one word of each reviewer, for exactly the digests that were reviewed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from jupyter_guardrails.errors import Conflict
from jupyter_guardrails.records import audit, submissions
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import decisions
from jupyter_guardrails.records.tables import submissions as jobs

MOVES = {"approve": "approved", "send_back": "changes_requested", "reject": "rejected"}
APPROVED = frozenset({"approved", "deployed", "superseded"})  # here an approval that lapsed, or will, is given once more


@dataclass(frozen=True, slots=True)
class Said:
    """One reviewer's decision; `self_test`: it was made where nobody else stands behind it, and moves nothing to approved.

    `as_reviewer`: it counts as a reviewer's; `datasets`: inputs of the job for whose owners it speaks; `attestation`: control's signature.
    """

    submission: str
    reviewer: str
    decision: str
    words: str
    content_digest: str
    evidence_digest: str
    self_test: bool
    rule: str
    policy_digest: str
    uid: int | None = None
    as_reviewer: bool = True
    datasets: tuple[str, ...] = ()
    conditions: str = ""
    expires_at: datetime | None = None
    attestation: str = ""


def decide(connection: Connection, said: Said, *, now: datetime, approvals: int, sign_offs: Collection[str] = ()) -> dict[str, Any]:
    """The submission after this decision, recorded and audited.

    It is approved when as many reviewers as `approvals` have said so, and somebody for each dataset of `sign_offs`; an approval of what was
    approved before is the same person's, given once more. Conflict when it is not in review, its digests are others than those reviewed,
    or this reviewer has decided before.
    """
    row = submissions.get(connection, said.submission)
    renewed = _check(connection, row, said)
    values = {"words": storable(said.words), "conditions": storable(said.conditions), "datasets": list(said.datasets), "decided_at": now}
    connection.execute(insert(decisions).values(asdict(said) | values))
    _audit(connection, row, said, now=now)
    if renewed or not _moves(connection, said, approvals, sign_offs, now):
        return row
    moved = MOVES[said.decision]
    return submissions.transition(connection, row["id"], moved, now=now, actor=said.reviewer, error=said.words, policy_digest=said.policy_digest)


def of(connection: Connection, submission: str) -> list[dict[str, Any]]:
    """Every decision on a submission, oldest first."""
    query = select(decisions).where(decisions.c.submission == submission).order_by(decisions.c.decided_at, decisions.c.reviewer)
    return [dict(row) for row in connection.execute(query).mappings()]


def counted(connection: Connection, submissions: Collection[str]) -> dict[str, int]:
    """How many decisions there are on each of these submissions; those without any are left out."""
    query = select(decisions.c.submission, func.count()).group_by(decisions.c.submission)
    return {id: number for id, number in connection.execute(query) if id in submissions}


def by(connection: Connection, reviewer: str) -> list[dict[str, Any]]:
    """Every decision of one person, newest first."""
    query = select(decisions).where(decisions.c.reviewer == reviewer).order_by(decisions.c.decided_at.desc(), decisions.c.submission)
    return [dict(row) for row in connection.execute(query).mappings()]


def in_force(connection: Connection, states: Collection[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every approval of submissions in these states that had all of theirs: the submission's row, and the approval."""
    query = select(jobs).where(jobs.c.state.in_(list(states)), jobs.c.approved_at.is_not(None), ~jobs.c.draft)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [(row, said) for row in rows for said in of(connection, row["id"]) if said["decision"] == "approve" and not said["self_test"]]


def told(connection: Connection, said: Mapping[str, Any], phase: str) -> bool:
    """Mark that an approval's people are told of its end; False where it was marked, or given anew, since it was read."""
    same = (decisions.c.submission == said["submission"]) & (decisions.c.reviewer == said["reviewer"]) & ~decisions.c.self_test
    same &= (decisions.c.decided_at == said["decided_at"]) & (decisions.c.told == said["told"])
    return connection.execute(update(decisions).where(same).values(told=phase)).rowcount == 1


def _check(connection: Connection, row: dict[str, Any], said: Said) -> bool:
    """Whether this renews an approval, whose row is gone then; the audit record keeps it."""
    if (row["content_digest"], row["evidence_digest"]) != (said.content_digest, said.evidence_digest):
        raise Conflict(
            f"submission {row['id']} is not what was reviewed: its content digest is {row['content_digest']}",
            next_step=f"review it again: `jupyter guardrails job show {row['id']}`",
        )
    mine = (decisions.c.submission == row["id"]) & (decisions.c.reviewer == said.reviewer) & (decisions.c.self_test == said.self_test)
    if row["state"] in APPROVED and row["approved_at"] and said.decision == "approve" and not said.self_test:
        connection.execute(delete(decisions).where(mine))
        return True
    if row["state"] != "in_review" or row["draft"]:
        raise Conflict(f"submission {row['id']} is {row['state']}: only what is in review can be decided", next_step="look at `job show`")
    if (before := connection.execute(select(decisions).where(mine)).mappings().first()) is not None:
        raise Conflict(f"{said.reviewer} has decided this already: {before['decision']}", next_step="another reviewer must look at it")
    return False


def _moves(connection: Connection, said: Said, approvals: int, sign_offs: Collection[str], now: datetime) -> bool:
    """Whether the submission changes its state: a self-test never does, a first approval of two does not yet."""
    if said.self_test or said.decision != "approve":
        return not said.self_test
    agreed = [row for row in of(connection, said.submission) if counts(row, said.content_digest, said.evidence_digest, now=now)]
    signed = {name for row in agreed for name in row["datasets"]}
    return sum(row["as_reviewer"] for row in agreed) >= approvals and signed >= set(sign_offs)


def counts(row: Mapping[str, Any], content_digest: str, evidence_digest: str, *, now: datetime) -> bool:
    """Whether a decision is an approval of these very digests, by somebody else than whoever works here, that has not ended."""
    same = (row["content_digest"], row["evidence_digest"]) == (content_digest, evidence_digest)
    lasts = row["expires_at"] is None or row["expires_at"] > now
    return bool(row["decision"] == "approve" and not row["self_test"] and same and lasts)


def _audit(connection: Connection, row: dict[str, Any], said: Said, *, now: datetime) -> None:
    label = "self-test, not approved: " if said.self_test else ""
    terms = f"; on condition that {said.conditions}" if said.conditions else ""
    terms += f"; until {said.expires_at:%Y-%m-%d}" if said.expires_at else ""
    terms += f"; for {', '.join(said.datasets)}" if said.datasets else ""
    audit.append(
        connection,
        now=now,
        principal=said.reviewer,
        action=f"review.{said.decision}",
        resource=f"{row['name']}-{row['version']}",
        allowed=True,
        reason=f"{label}{said.words or 'no words'}{terms} (content {said.content_digest}, evidence {said.evidence_digest})",
        rule=said.rule,
        policy_digest=said.policy_digest,
        notebook=row["notebook"],
    )
