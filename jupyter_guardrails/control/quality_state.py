"""What people are told of a dataset's quality: the contract's rules, and what the last check of these found."""

from __future__ import annotations

from typing import Any

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import versions
from jupyter_guardrails.catalog.quality import QualityRule, digest_of
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.records import quality
from jupyter_guardrails.records.columns import iso, storable


def answers_for(state: ControlState, contract: Contract) -> bool:
    """Whether this person owns it, or is an admin."""
    return "admin" in state.effective().roles or (bool(contract.owner) and contract.owner == state.principal)


async def state_of(state: ControlState, contract: Contract, access: Access) -> dict[str, Any] | None:
    """What this person is told of the last check; None for a dataset without rules. Numbers only where they tell of nothing that is hidden."""
    if not contract.quality:
        return None
    row = await state.records.read(quality.newest, storable(contract.name))
    return shown(contract, row, full=answers_for(state, contract), access=access)


def shown(contract: Contract, row: dict[str, Any] | None, *, full: bool, access: Access | None = None) -> dict[str, Any]:
    """Quality of openapi.yaml. Results of other rules, or of another version, are not shown as those of these."""
    current = row if row and (row["rules"], row["version"]) == (digest_of(contract.quality), storable(versions(contract))) else None
    results = current["results"] if current else [None] * len(contract.quality)
    checks = [_one(rule, result, full or _open(rule, access)) for rule, result in zip(contract.quality, results, strict=True)]
    counted = [check["state"] for check in checks if check["state"] != "text"]
    return {
        "checked_at": iso(current["checked_at"]) if current else None,
        "version": (current["version"] if full else contract.version) if current else "",
        "summary": f"{counted.count('passed')} of {len(counted)} checks passed" if current else "not checked yet",
        "checks": checks,
    }


def _one(rule: QualityRule, result: dict[str, Any] | None, numbers: bool) -> dict[str, Any]:
    waiting = {"state": "text" if rule.shown_only else "not_checked", "count": None, "percent": None, "reason": rule.unchecked}
    found = result or waiting
    hidden = {} if numbers else {"count": None, "percent": None}
    words = {"name": rule.name, "column": rule.column, "text": rule.text, "limit": rule.limit, "severity": rule.severity}
    return words | found | hidden


def _open(rule: QualityRule, access: Access | None) -> bool:
    """Whether a number about a column tells this person nothing that masks or row filters hide."""
    if access is None or not access.granted or access.bounds.hides_rows:
        return False
    columns = (rule.column, *rule.arguments.get("properties", ()))
    return not any(_touches(path, column) for path in access.bounds.masks for column in columns if column)


def _touches(path: str, column: str) -> bool:
    """Whether one is the other, or lies in it."""
    shorter, longer = sorted((path, column), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}[]"))
