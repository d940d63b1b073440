"""What control keeps and knows of clean runs: what a kernel reached through control, evidence that still stands, and what a dead worker left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from jupyter_guardrails.control import declared, delivered, lifetimes
from jupyter_guardrails.control.interface.content import read_sealed
from jupyter_guardrails.control.interface.work import MAX_EVIDENCE_BYTES, RUN_PREFIX, WorkerColumns, WorkerEarlier, WorkerKeep, WorkerReached
from jupyter_guardrails.control.state import Answer, ControlState, Operations
from jupyter_guardrails.errors import BadRequest, Refused
from jupyter_guardrails.records import audit, leases

KINDS = {"data.read": "datasets", "network.connect": "hosts"}
MOST = 20_000  # records of one run that are looked through
FOLDER = "clean-runs"
KEPT, KEPT_S = 20, 30 * 24 * 3600.0  # of one person: the newest ones, that long


async def reached(state: ControlState, request: WorkerReached, fds: list[int]) -> dict[str, Any]:
    """Each dataset and place once, with the time of its first record."""
    own(state, request.submission)
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS.values()}
    wanted = audit.Filter(actions=tuple(KINDS), kernel=request.kernel_id)
    for row in await state.records.read(audit.newest, principal=state.principal, wanted=wanted, limit=MOST):
        epoch_s = datetime.fromisoformat(row["time"]).timestamp()
        entry = found[KINDS[row["action"]]].setdefault(row["resource"], {"name": row["resource"], "allowed": False, "epoch_s": epoch_s})
        if row["allowed"] and not entry["allowed"]:
            entry |= {"allowed": True, "epoch_s": epoch_s}
    return {kind: list(entries.values()) for kind, entries in found.items()}


async def columns(state: ControlState, request: WorkerColumns, fds: list[int]) -> dict[str, Any]:
    """What its author is given of a dataset now, after masks: the package says it, and production runs compare theirs."""
    own(state, request.submission)
    return await delivered.columns_of(state, *await declared.granted(state, request.name))


async def earlier(state: ControlState, request: WorkerEarlier, fds: list[int]) -> Answer:
    """What was kept under that key for this person, unless it is too old."""
    own(state, request.submission)
    path, now_s = _place(state) / f"{request.key}.json", state.clock().timestamp()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Answer({"found": False}, ())
    if now_s - os.fstat(fd).st_mtime > KEPT_S:
        os.close(fd)
        return Answer({"found": False}, ())
    return Answer({"found": True}, (fd,))


async def keep(state: ControlState, request: WorkerKeep, fds: list[int]) -> dict[str, Any]:
    """Keep it as a file of control's own; older ones go."""
    own(state, request.submission)
    if len(fds) != 1:
        raise BadRequest("evidence is one descriptor of sealed memory")
    with read_sealed(fds[0], limit_bytes=MAX_EVIDENCE_BYTES) as said:
        fds.pop()
        await asyncio.to_thread(_write, _place(state), request.key, said, state.clock().timestamp())
    return {}


async def clear(state: ControlState, submission: str) -> None:
    """Called when a submission's worker has ended, however it did: its clean run's lease and folder end with it."""
    for row in await state.records.read(leases.live, None):
        if row["submission"] == submission:
            await lifetimes.end(state, row, reason="its worker ended")
    folder = state.settings.state_dir / "submissions" / submission
    for left in folder.glob(f"{RUN_PREFIX}*"):
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)


def own(state: ControlState, submission: str) -> None:
    """Refused to everybody but the worker of this submission."""
    if state.worker is None or state.worker != submission:
        raise Refused("only a submission's own worker may ask about its clean run")


def _place(state: ControlState) -> Path:
    """Nobody is given what another person's run left."""
    return state.settings.state_dir / FOLDER / hashlib.sha256(state.principal.encode()).hexdigest()[:32]


def _write(folder: Path, key: str, said: IO[bytes], now_s: float) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder / f"{secrets.token_hex(8)}.new"
    try:
        with new.open("xb") as sink:
            shutil.copyfileobj(said, sink, 1 << 20)
        os.utime(new, (now_s, now_s))
        new.rename(folder / f"{key}.json")
    finally:
        new.unlink(missing_ok=True)
    kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[KEPT:]:
        path.unlink(missing_ok=True)


OPERATIONS: Operations = {WorkerReached: reached, WorkerColumns: columns, WorkerEarlier: earlier, WorkerKeep: keep}
