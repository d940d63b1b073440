"""Datasets as a person sees them: the `Dataset` and `DatasetDetail` of the HTTP API (server/openapi.yaml)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.preview import Preview
from jupyter_guardrails.catalog.snippets import snippets
from jupyter_guardrails.policy import EffectivePolicy

MAX_FILES = 2000  # of a dataset that is a folder; a bigger one is listed without size and time


def entry(contract: Contract, access: Access, policy: EffectivePolicy) -> dict[str, Any]:
    """One row of a listing."""
    size_bytes, updated_at = _measure(contract.path) if access.status in ("granted", "requestable") else (None, None)
    return {
        "name": contract.name,
        "description": contract.description,
        "owner": contract.owner,
        "classification": contract.classification,
        "status": access.status,
        "format": contract.format,
        "columns": len(contract.columns),
        "size_bytes": size_bytes,
        "updated_at": updated_at,
        "rule": str(access.decision.rule),
        "next_step": access.decision.next_step,
        "error": _error(contract, access, policy),
    }


def detail(contract: Contract, access: Access, policy: EffectivePolicy, preview: Preview | None) -> dict[str, Any]:
    """Everything about one dataset; path, preview and snippets only where it is granted."""
    return entry(contract, access, policy) | {
        "version": contract.version,
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


def _measure(path: str) -> tuple[int | None, str | None]:
    """Bytes of all files, and the time of the newest."""
    found: list[os.stat_result] = []
    try:
        for file in _files(path):
            found.append(os.stat(file, follow_symlinks=False))
            if len(found) > MAX_FILES:
                return None, None
    except OSError:
        return None, None
    newest = max((item.st_mtime for item in found), default=None)
    updated_at = None if newest is None else datetime.fromtimestamp(newest, UTC).isoformat().replace("+00:00", "Z")
    return sum(item.st_size for item in found), updated_at


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
    for folder, _, files in os.walk(path):
        yield from (os.path.join(folder, file) for file in files)
