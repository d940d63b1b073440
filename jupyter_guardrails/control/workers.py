"""Promotion workers: processes of their own, told their order through an inherited descriptor, ended with their submission."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import select
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.control import datasets, stations
from jupyter_guardrails.control.children import send_signal
from jupyter_guardrails.control.interface.work import notebooks, worker_environment
from jupyter_guardrails.control.rights import Rights, rights
from jupyter_guardrails.control.state import ControlState, Worker
from jupyter_guardrails.control.stations import Ended
from jupyter_guardrails.sandbox import meter

WALL_S = 6 * 3600  # for profiles without a lifetime
END_WAIT_S = 5.0
LOG_TAIL_BYTES = 4000
PID = "worker.pid"  # in a submission's folder: number and start time of its worker

_processes: dict[str, asyncio.subprocess.Process] = {}  # submission -> its worker; one control a process
_starting: dict[str, asyncio.Event] = {}  # submission -> set once its worker is among them, or could not be started
_stopped: set[str] = set()


def folder_of(state: ControlState, submission: str) -> Path:
    """Where everything of a submission lies."""
    return state.settings.state_dir / "submissions" / submission


async def run(state: ControlState, row: dict[str, Any]) -> Ended:
    """Start a worker and wait for its end."""
    token = secrets.token_urlsafe(32)
    state.worker_tokens[token] = Worker(row["id"], row["principal"])
    folder = folder_of(state, row["id"])
    try:
        places = await _places(state, await rights(state))
        if state.settings.service:
            return await _run_elsewhere(state, row, _order(state, row, token, places))
        process = await _registered(row["id"], _order(state, row, token, places), folder)
        (folder / PID).write_text(f"{process.pid} {meter.start_time(process.pid)}")
        code = await process.wait()
    finally:
        state.worker_tokens.pop(token, None)
        if row["id"] in _processes:
            await _end(_processes.pop(row["id"]))
    by_us = row["id"] in _stopped
    _stopped.discard(row["id"])
    return Ended(code, _log_tail(folder), by_us)


async def _registered(submission: str, order: dict[str, Any], folder: Path) -> asyncio.subprocess.Process:
    """A worker that was started; whoever wants to stop it meanwhile waits until it can be."""
    started = _starting[submission] = asyncio.Event()
    try:
        with open(folder / "worker.log", "wb") as log:
            process = _processes[submission] = await _start(order, folder, log.fileno())
    finally:
        del _starting[submission]
        started.set()
    return process


async def end_left_over(state: ControlState, submission: str) -> None:
    """End the worker that a killed control left: the system has asked it to end already, and two must never work in one folder."""
    try:
        pid, started = map(int, (folder_of(state, submission) / PID).read_text().split())
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):  # there was none, or it has ended
        return
    try:
        if meter.start_time(pid) != started:  # another process of that number
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not (await asyncio.to_thread(select.select, [handle], [], [], END_WAIT_S))[0]:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


async def _run_elsewhere(state: ControlState, row: dict[str, Any], order: dict[str, Any]) -> Ended:
    """By the account of the submission's author; what is here is not theirs to see, so the frozen notebooks go there as descriptors."""
    with contextlib.ExitStack() as opened:
        frozen = list[int]()
        for name in notebooks(order):
            frozen.append(os.open(Path(row["frozen"]) / "src" / name, os.O_RDONLY | os.O_CLOEXEC))
            opened.callback(os.close, frozen[-1])
        ended = await stations.run(state, row["id"], order | {"folder": "", "environments": "", "uploads": True}, frozen)
    by_us = row["id"] in _stopped
    _stopped.discard(row["id"])
    return replace(ended, by_us=by_us)


def running() -> list[str]:
    """Submissions that have a worker now, or will have in a moment."""
    return [*_processes, *_starting]


async def stop(state: ControlState, submission: str) -> None:
    """End the worker of a submission and all that it started; returns when it is gone."""
    if any(submission in station.works for station in state.stations):
        _stopped.add(submission)
        await stations.stop(state, submission)
    if starting := _starting.get(submission):
        await starting.wait()
    if process := _processes.get(submission):
        _stopped.add(submission)
        await _end(process)


async def stop_all(state: ControlState) -> None:
    """End every worker."""
    await asyncio.gather(*(stop(state, submission) for submission in running()))
    stations.end_all(state)


async def _start(order: dict[str, Any], folder: Path, log: int) -> asyncio.subprocess.Process:
    fd = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(fd, json.dumps(order).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        command = [sys.executable, "-I", "-m", "jupyter_guardrails.promotion.worker", "--order-fd", str(fd)]
        said: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, "stdout": log, "stderr": log, "env": worker_environment(os.environ)}
        return await asyncio.create_subprocess_exec(*command, pass_fds=(fd,), cwd=folder, start_new_session=True, **said)
    finally:
        os.close(fd)


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, so that the clean run's kernel ends in order; SIGKILL for whoever is left."""
    send_signal(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_WAIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
    await process.wait()


def _order(state: ControlState, row: dict[str, Any], token: str, places: dict[str, str]) -> dict[str, Any]:
    """promotion.work.WorkOrder."""
    policy = state.effective(row["principal"])
    profile = policy.production_profile.value
    wall_s = profile.lifetime_s or WALL_S
    asked = _asked(state, row)
    return {
        "socket": str(state.settings.control_socket),
        "token": token,
        "submission": row["id"],
        "folder": str(folder_of(state, row["id"])),
        "environments": str(state.settings.state_dir / "environments"),
        "workspace": asked["workspace"],
        "kernelspec": asked["kernelspec"],
        "details": asked.get("details", {}),  # none: submitted to an earlier version
        "notebook": row["notebook"],
        "parameters": row["parameters"],
        "checks": {name: value.value for name, value in policy.checks.items()},
        "name": row["name"],
        "version": row["version"],
        "owner": row["principal"],
        "submitted_on": row["created_at"].date().isoformat(),
        "reason": row["reason"],
        "draft": row["draft"],
        "sample_s": asked.get("sample_s"),
        "sample_rows": asked.get("sample_rows"),
        "policy_digest": policy.digest,
        "profile": profile.name,
        "resources": {"memory_bytes": profile.memory_bytes, "cpus": profile.cpus, "tasks": profile.tasks, "wall_s": wall_s},
        "places": places,
        "denied_licenses": policy.licenses_deny,
    }


def _asked(state: ControlState, row: dict[str, Any]) -> dict[str, Any]:
    """What of the request is in no column."""
    return dict(json.loads((folder_of(state, row["id"]) / "asked.json").read_text()))


async def _places(state: ControlState, held: Rights) -> dict[str, str]:
    """Where data is -> its name, for the contracts that this person may know of: the others stay unknown to the worker."""
    sets, numbered = await datasets.sets_of(state, held, state.effective(), state.clock())
    return {contract.path: contract.name for contract in numbered.among(sets.listed) if contract.path and not contract.problems}


def _log_tail(folder: Path) -> str:
    with open(folder / "worker.log", "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace").strip()
