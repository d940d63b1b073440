"""Room in the workspace: what the server itself may still save while it is full, and how full it is, in `me` and `kernels`."""

from __future__ import annotations

import os
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.kernels.quota import SMALL_FILE, Usage, WorkspaceQuota, sized

SIZE_KEY = "workspace.size"


def refuse_growth(quota: WorkspaceQuota, path: str, new_bytes: int) -> None:
    """WorkspaceFull when this save would let a file grow past 1 MiB while the workspace is full; what is smaller, or shrinks, may be saved."""
    usage = quota.usage
    if usage.full and new_bytes > max(SMALL_FILE, _size(path)):
        name = os.path.relpath(path, quota.root)
        raise errors.WorkspaceFull(
            f"{name} was not saved: it has {sized(new_bytes)}, and your workspace is full ({usage.in_words()})",
            next_step=quota.advice(usage),
            rule=usage.rule,
        )


def model_bytes(model: dict[str, Any]) -> int:
    """The size of what a contents model brings, near enough; a notebook's comes as a structure."""
    content = model.get("content")
    return len(content) if isinstance(content, str) else len(repr(content)) if content is not None else 0


def with_room(answer: dict[str, Any], usage: Usage) -> dict[str, Any]:
    """`me` with what is used beside the limit's value: only the server sees the workspace."""
    if not usage.measured or usage.limit_bytes is None:
        return answer
    limits = [limit | {"value": usage.in_words()} if limit["key"] == SIZE_KEY else limit for limit in answer.get("limits", ())]
    return answer | {"limits": limits}


def workspace(usage: Usage) -> dict[str, Any]:
    """Workspace of openapi.yaml."""
    used = usage.used_bytes if usage.measured else None
    return {"used_bytes": used, "limit_bytes": usage.limit_bytes, "full": usage.full, "rule": usage.rule}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
