"""Checks that control makes itself of what a worker built: the packages of its lock, and the data that its results inherit from."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.labels import Label, in_words
from jupyter_guardrails.control import labels, packages, stops, submission_work, workers
from jupyter_guardrails.control.interface import work
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.records import submissions


async def refused_packages(state: ControlState, row: dict[str, Any], folder: Path) -> str:
    """Control's own check: every package of the lock against the policy, at the policy's level. Empty, or why not."""
    policy = state.effective(row["principal"])
    level = policy.checks["packages"].value
    refused = await asyncio.to_thread(packages.refused_packages, folder, policy, state.clock()) if level != "off" else {}
    stopped = await stops.packages_of(state, await asyncio.to_thread(packages.names, folder))
    level = "require" if stopped else level  # an admin's suspension counts at every level
    findings, against = packages.findings(stopped, refused, policy), [*stopped, *refused.values()]
    they = "1 package is" if len(against) == 1 else f"{len(against)} packages are"
    detail = f"{they} not approved" if against else "the policy allows every package of the lock"
    value = {"off": "not_checked", "warn": "warned"}.get(level, "failed") if against or level == "off" else "passed"
    detail = "the policy has switched this check off" if level == "off" else detail
    await set_check(state, row["id"], name="packages", title="Packages are approved", value=value, detail=detail, findings=findings)
    return "; ".join(one.reason for one in against) if value == "failed" else ""


async def inherit(state: ControlState, row: dict[str, Any]) -> Label:
    """What its results inherit, as a check that its reviewers read: of its inputs, and of all that was given to the workspace that it comes from."""
    asked = json.loads((workers.folder_of(state, row["id"]) / "asked.json").read_text())
    inputs = await asyncio.to_thread(submission_work.declared_inputs, state, row["id"])
    found = await labels.of_job(state, asked["workspace"], [entry.name for entry in inputs])
    await set_check(state, row["id"], name="label", title="Data that its results inherit from", value="passed", detail=in_words(found))
    return found


def unexplained(row: dict[str, Any]) -> str:
    """Why it is not submitted: checks warned, and its author said nothing to that. Control's own checks count, too."""
    return work.unexplained(row["reason"], [check["title"] for check in row["checks"] if check["state"] == "warned"])


async def set_check(state: ControlState, id: str, *, name: str, title: str, value: str, detail: str, findings: Any = ()) -> None:
    """One check of control's own, at its end, beside those that the worker reports."""
    place, now = (id, name), state.clock()
    said = {"title": title, "detail": detail, "findings": list(findings)}
    await state.records.write(_write_check, *place, value, said, now)


def _write_check(connection: Connection, id: str, name: str, value: str, said: dict[str, Any], now: datetime) -> None:
    submissions.set_check(connection, id, name, state=value, progress=None, seconds=None, now=now, **said)
