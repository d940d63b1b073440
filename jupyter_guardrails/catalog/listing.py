"""Datasets as a person sees them: the `Dataset` and `DatasetDetail` of the HTTP API (server/openapi.yaml)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jupyter_guardrails.catalog import produced
from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.preview import Preview
from jupyter_guardrails.catalog.snippets import snippets
from jupyter_guardrails.policy import EffectivePolicy

MAX_FILES = 2000  # of a dataset that is a folder; a bigger one is listed without size and time


def entry(contract: Contract, access: Access, policy: EffectivePolicy, *, advisory: bool = False) -> dict[str, Any]:
    """One row of a listing. `advisory`: this person's account can open the files without us."""
    size_bytes, updated_s = _measure(contract.path) if access.status in ("granted", "requestable") else (None, None)
    return {
        "name": contract.name,
        "description": contract.description,
        "owner": contract.owner,
        "classification": contract.classification,
        "status": access.status,
        "format": contract.format,
        "columns": len(contract.columns),
        "size_bytes": size_bytes,
        "updated_at": _time(updated_s),
        "fresh": _is_fresh(contract, updated_s),
        "advisory": advisory,
        "rule": str(access.decision.rule),
        "next_step": access.decision.next_step,
        "error": _error(contract, access, policy),
    }


def detail(contract: Contract, access: Access, policy: EffectivePolicy, preview: Preview | None, *, advisory: bool = False) -> dict[str, Any]:
    """Everything about one dataset; path, preview and snippets only where it is granted."""
    return entry(contract, access, policy, advisory=advisory) | {
        "version": contract.version,
        "sha256": contract.sha256,
        "produced_by": produced.shown(contract.produced_by),
        "path": (contract.path or None) if access.granted and access.bounds.raw else None,
        "schema": _schema(contract, access, policy),
        "preview": preview if access.granted else None,
        "snippets": snippets(contract, access.bounds) if access.granted else {},
    }


def without_path(contract: Contract) -> dict[str, Any]:
    """What differs in the detail of published data: its file is control's own, and is opened by name only."""
    return {"path": None, "snippets": {"pandas": f'import guarded\n\ndf = guarded.open("{contract.name}").to_pandas()'}}


def _error(contract: Contract, access: Access, policy: EffectivePolicy) -> str:
    """Admins see every mistake; to others they could name datasets that they may not know of."""
    if access.status != "broken":
        return access.told
    return "\n".join(map(str, contract.problems)) if "admin" in policy.roles else access.decision.reason


def _schema(contract: Contract, access: Access, policy: EffectivePolicy) -> list[dict[str, str]]:
    masks = access.bounds.masks if access.granted else policy.obligations(contract.resource).masks
    return [
        {
            "name": column.name,
            "type": column.type,
            "classification": column.classification,
            "mask": masks.get(column.name, "" if access.granted else column.mask),
            "description": column.description,
        }
        for column in contract.columns
    ]


def _time(updated_s: float | None) -> str | None:
    return None if updated_s is None else datetime.fromtimestamp(updated_s, UTC).isoformat().replace("+00:00", "Z")


def _is_fresh(contract: Contract, updated_s: float | None) -> bool | None:
    """Whether the newest file is as new as the contract promises; None where it promises nothing, or nothing is known."""
    return None if updated_s is None or not contract.fresh_within_s else time.time() - updated_s <= contract.fresh_within_s


def _measure(path: str) -> tuple[int | None, float | None]:
    """Bytes of all files, and the time of the newest, in seconds."""
    found: list[os.stat_result] = []
    try:
        for file in _files(path):
            found.append(os.stat(file, follow_symlinks=False))
            if len(found) > MAX_FILES:
                return None, None
    except OSError:
        return None, None
    return sum(item.st_size for item in found), max((item.st_mtime for item in found), default=None)


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
    for folder, _, files in os.walk(path):
        yield from (os.path.join(folder, file) for file in files)
