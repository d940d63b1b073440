"""`jupyter guardrails data check NAME`: a dataset's quality rules, measured now, and what they say."""

from __future__ import annotations

import json
import os
from typing import Any

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, table
from jupyter_guardrails.control.interface.quality import QualityCheck

WORDS = {"passed": "passed", "failed": "FAILED", "not_checked": "not checked", "text": "for people"}


def run_check(name: str, *, as_json: bool, width: int) -> int:
    """Every rule with what was found; 1 if one fails."""
    with connected(os.environ) as client:
        found = client.call(QualityCheck(name=name))
    print(json.dumps(found, indent=2) if as_json else f"{line(name)} {described(found, width)}")
    return 1 if any(check["state"] == "failed" for check in found["checks"]) else 0


def described(quality: dict[str, Any], width: int) -> str:
    """Quality of openapi.yaml as text: how many checks passed, when, and each of them."""
    about = f", at {quality['checked_at'][:16].replace('T', ' ')} UTC, of version {line(quality['version'])}" if quality["checked_at"] else ""
    rows = [(WORDS[one["state"]], _asked(one), _found(one), one["severity"], one["reason"] or one["text"]) for one in quality["checks"]]
    return f"quality: {quality['summary']}{about}\n{table(('check', 'asked for', 'found', 'severity', 'about'), rows, width)}"


def _asked(check: dict[str, Any]) -> str:
    return str(check["limit"]) if check["state"] != "text" else ""


def _found(check: dict[str, Any]) -> str:
    """`12 (0.5 %)`."""
    if check["count"] is None:
        return ""
    return f"{check['count']}" + (f" ({check['percent']:.4g} %)" if check["percent"] is not None else "")
