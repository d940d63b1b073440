"""personal_data: what looks like mail addresses, account and card numbers, telephone and social security numbers in outputs. Never the value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from jupyter_guardrails.promotion import personal
from jupyter_guardrails.promotion.offers import CLEAR_OUTPUTS
from jupyter_guardrails.promotion.results import Finding, Result, counted, not_checked
from jupyter_guardrails.promotion.sieve import whole_lines
from jupyter_guardrails.promotion.work import Progress, Work

NAME, TITLE = "personal_data", "No personal data in outputs"
MISSING = "presidio-analyzer is not installed where this runs (the extra `personal-data`)"
FIX = "show numbers instead of people (counts, means), or clear this cell's outputs"


def run(work: Work, progress: Progress) -> Result:
    """Search the outputs of each cell; names of people are not looked for."""
    if not personal.is_there():
        return not_checked(MISSING)
    finder, findings = personal.Finder(), list[Finding]()
    total = len(work.notebook.node.cells)
    for index in range(total):
        try:
            findings += _cell(work, index, finder)
        except personal.TooMuch:
            message = f"more than {personal.MAX_LINES} lines look as if they held personal data: from here on nobody looked"
            findings.append(Finding(message, index, fix=FIX, kind="not_looked_at", offer=CLEAR_OUTPUTS))
            break
        progress(index + 1, total, "")
    return counted(findings, "none of the kinds that are known by their form; names are not looked for", "cell's output", "cells' outputs")


def _cell(work: Work, index: int, finder: personal.Finder) -> Iterator[Finding]:
    kinds = Counter(kind for lines in whole_lines(work.notebook.output_texts(index)) for kind in finder.kinds(lines))
    for kind, count in sorted(kinds.items()):
        yield Finding(f"{count} × {kind} in the outputs", index, fix=FIX, kind="personal_data", offer=CLEAR_OUTPUTS)
