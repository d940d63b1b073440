"""The evidence of a submission as lines of a terminal: nothing that an author wrote moves its cursor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_guardrails.cli.job_review import decision_lines
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.cli.submit import check_line, finding_lines
from jupyter_guardrails.review.evidence import Evidence
from jupyter_guardrails.review.wording import compared, cost_lines, data_lines


def lines(evidence: Evidence) -> Iterator[str]:
    """Everything, in the order in which one looks at it."""
    found = evidence.submission
    yield f"{line(found['name'])}-{found['version']} of {line(found['person'])}: {found['label']}"
    yield f"  content:  {found['content_digest'] or '(no package)'}"
    yield f"  evidence: {found['evidence_digest'] or '(no package)'}"
    yield from _section("Checks", _checks(found))
    yield from _section(compared(evidence), _changes(evidence))
    yield from _section("Data", data_lines(evidence))
    yield from _section("Its clean run used", cost_lines(evidence))
    yield from _section("Decisions", decision_lines(evidence.decisions) or ["  none yet"])


def _checks(found: dict[str, Any]) -> Iterator[str]:
    for check in found["checks"]:
        yield "  " + line(check_line(check))
        for finding in check["findings"]:
            yield from map(line, finding_lines(finding))
    if found["reason"]:
        yield f"  {line(found['person'])} on its warnings: {line(found['reason'])}"


def _changes(evidence: Evidence) -> Iterator[str]:
    if evidence.changes is None:
        return
    for change in evidence.changes:
        yield f"  {line(change.what)}"
        yield from (f"    {line(text)}" for text in change.lines)
    if not evidence.changes:
        yield "  none: what runs is the same, byte for byte"


def _section(title: str, texts: Any) -> Iterator[str]:
    yield f"\n{title}"
    yield from texts
