"""What a check found: a state, one sentence, and findings that each name a kind, a cell, a line and a fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from jupyter_guardrails.promotion.offers import Offer

State = Literal["passed", "failed", "warned", "not_checked"]
MAX_FINDINGS = 50
LEFT_OUT = ("notebook", "parameter")  # where they are empty
IN_MEMORY = re.compile(r"\b0x[0-9a-f]{6,}\b")  # where an object lay, in what a library says of an error: another one each time


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing in the notebook; `cell` counts from 0, `line` from 1. `offer` is a fix that a program can carry out (see `offers.py`).

    `notebook` names it where a job has several, `parameter` the one whose submitted value it is about.
    """

    message: str
    cell: int | None = None
    line: int | None = None
    fix: str = ""
    kind: str = ""
    offer: Offer | None = None
    notebook: str = ""
    parameter: str = ""

    def to_json(self) -> dict[str, Any]:
        """As openapi.yaml's Finding."""
        return {key: value for key, value in asdict(self).items() if key not in LEFT_OUT or value}


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check."""

    state: State
    detail: str
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For evidence/checks.json: no times and no places in memory, so that the same notebook gives the same evidence."""
        findings = [finding.to_json() | {"message": _steady(finding.message)} for finding in self.findings]
        return {"state": self.state, "detail": _steady(self.detail), "findings": findings}


def passed(detail: str) -> Result:
    """Looked at, and fine."""
    return Result("passed", detail)


def failed(detail: str, findings: Sequence[Finding] = ()) -> Result:
    """Looked at, and not fine."""
    return Result("failed", detail, _bounded(findings))


def warned(detail: str, findings: Sequence[Finding] = ()) -> Result:
    """Fine enough, with something that a reviewer should see."""
    return Result("warned", detail, _bounded(findings))


def not_checked(detail: str) -> Result:
    """Not looked at, and why."""
    return Result("not_checked", detail)


def in_notebook(name: str, findings: Iterable[Finding]) -> list[Finding]:
    """The same with the name of the notebook that they are about."""
    return [replace(finding, notebook=finding.notebook or name) for finding in findings]


def many(number: int, noun: str, nouns: str = "") -> str:
    """`1 file`, `2 files`, `1,000 rows`."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def counted(findings: Sequence[Finding], fine: str, noun: str, nouns: str = "") -> Result:
    """Failed with these findings, or passed with a sentence."""
    return failed(many(len(findings), noun, nouns), findings) if findings else passed(fine)


def _steady(text: str) -> str:
    return IN_MEMORY.sub("0x…", text)


def _bounded(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    more = len(findings) - MAX_FINDINGS
    return (*findings[:MAX_FINDINGS], Finding(f"and {more} more like these")) if more > 0 else tuple(findings)
