"""A submission's row as openapi.yaml's Submission, with plain words for its state."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.control.interface.work import UNEXPLAINED
from jupyter_guardrails.records.columns import iso

SAME = ("id", "name", "version", "notebook", "state", "content_digest", "evidence_digest", "package", "error", "reason")
BRIEF = ("id", "name", "version", "notebook", "state")
CHECK = ("name", "title", "state", "detail", "findings", "progress", "seconds")
LABELS = {
    "draft": "draft, not submitted",
    "submitted": "submitted, its checks start soon",
    "checking": "its checks are running",
    "checks_failed": "its checks failed",
    "in_review": "self-test: nobody else has approved this",
    "cancelled": "cancelled",
    "withdrawn": "withdrawn",
    "rejected": "rejected",
    "changes_requested": "changes are asked for",
    "approved": "approved",
    "deployed": "in production",
    "superseded": "replaced by a newer version",
    "retired": "retired",
}
NEEDS_REASON = "its warnings need a reason"
EXPLAIN = "mend them, or submit it again and say why it should go on all the same (`--reason '…'`)"
NEXT_STEPS = {  # with the row's values
    "draft": "submit it when you are content",
    "in_review": "try it: `jupyter guardrails job run {package}`, or `python3 run.py` in the unpacked folder",
    "cancelled": "submit it again when you like",
    "withdrawn": "submit it again when you like",
    "changes_requested": "change what its reviewers ask for, and submit it again: that is a new version",
    "rejected": "this version is closed: its reviewers say why; a new version is reviewed anew",
    "approved": "an operator deploys it: `jupyter guardrails job deploy {id}`",
    "deployed": "see its runs: `jupyter guardrails job runs {id}`",
    "superseded": "go on with the newer version",
    "retired": "nothing of it runs any more; what is still needed is submitted as a new version",
}
WAITING = "waits for its reviewers: nobody else has approved this yet"


def submission(row: dict[str, Any], *, service: bool) -> dict[str, Any]:
    """The answer of every operation that gives a submission; beside a control of one's own (not `service`) a review is a self-test."""
    checks = [{key: check[key] for key in CHECK} for check in row["checks"]]
    said = {"person": row["principal"], "label": _label(row, service=service), "checks": checks, "next_step": _next_step(row, service=service)}
    return {key: row[key] for key in SAME} | _times(row) | said | {"self_test": not service}


def brief(row: dict[str, Any], *, service: bool) -> dict[str, Any]:
    """A submission as a line of a list: without its checks and all else that may be long."""
    return {key: row[key] for key in BRIEF} | _times(row) | {"person": row["principal"], "label": _label(row, service=service)}


def _times(row: dict[str, Any]) -> dict[str, str]:
    return {"created_at": iso(row["created_at"]), "updated_at": iso(row["updated_at"])}


def _label(row: dict[str, Any], *, service: bool) -> str:
    return WAITING if service and row["state"] == "in_review" else NEEDS_REASON if _unexplained(row) else LABELS[row["state"]]


def _next_step(row: dict[str, Any], *, service: bool) -> str:
    """What its author, or whoever comes next, does now; empty where there is only to wait."""
    if row["state"] == "checks_failed":
        fixes = [finding.get("fix", "") for check in row["checks"] if check["state"] == "failed" for finding in check["findings"]]
        return next((fix for fix in fixes if fix), EXPLAIN if _unexplained(row) else "see its checks, then submit again")
    steps = NEXT_STEPS | ({"in_review": "its reviewers decide; meanwhile you can try it: `jupyter guardrails job run {package}`"} if service else {})
    return steps.get(row["state"], "").format(**row)


def _unexplained(row: dict[str, Any]) -> bool:
    """Whether it ended for want of a word on its warnings alone."""
    return row["state"] == "checks_failed" and str(row["error"]).startswith(UNEXPLAINED)
