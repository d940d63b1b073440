"""A Work over a notebook made of cells, without a worker: for checks that need neither control nor an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.promotion.notebook import read_notebook
from jupyter_guardrails.promotion.results import Finding, Result
from jupyter_guardrails.promotion.work import Work, WorkOrder


def bench(root: Path, cells: list[Any], *, notebook: str = "nb.ipynb", **fields: Any) -> Work:
    """Cells are sources (run in order) or cells; the workspace is root/ws."""
    workspace, folder = root / "ws", root / "control" / "submissions" / "s"
    workspace.mkdir(parents=True, exist_ok=True)
    made = [cell if isinstance(cell, dict) else new_code_cell(cell, execution_count=number) for number, cell in enumerate(cells, 1)]
    path = folder / "frozen" / "src" / notebook
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=made), path)
    order = {
        "socket": "/nowhere",
        "token": "t",
        "submission": "s",
        "folder": str(folder),
        "environments": str(root / "envs"),
        "workspace": str(workspace),
    }
    order |= {
        "notebook": notebook,
        "kernelspec": None,
        "parameters": {},
        "checks": {},
        "name": "nb",
        "version": 1,
        "owner": "ana",
        "profile": "small",
    }
    order |= {"submitted_on": "2026-01-02", "reason": "", "policy_digest": "0", "places": {}}
    order["resources"] = {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 60}
    found = WorkOrder.model_validate(order | fields)
    return Work(found, ControlClient("/nowhere", "t"), read_notebook(path))


def nothing(done: int, total: int, detail: str) -> None:
    """A progress that nobody hears."""


def messages(result: Result) -> list[str]:
    return [finding.message for finding in result.findings]


def places(result: Result) -> list[tuple[int | None, int | None]]:
    return [(finding.cell, finding.line) for finding in result.findings]


def fixes(result: Result) -> list[str]:
    return [finding.fix for finding in result.findings if isinstance(finding, Finding)]
