"""Masked copies of datasets (views): made once for each version, source, masks and rows; given out as a file, which libraries read at full speed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.control import scans
from jupyter_guardrails.control.broker_process import outcome_of
from jupyter_guardrails.control.salt import salt_of

if TYPE_CHECKING:  # control's state holds what is made here
    from jupyter_guardrails.control.state import ControlState

FOLDER = "views"
FORMAT = 1  # of what is written: another one makes every view anew
MOST_BYTES = 20 << 30  # of all views of a state directory, and of each of them


class Views:
    """The copies in one state directory. `most_bytes`: of all together; those that were used least lately go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._making: dict[str, asyncio.Task[None]] = {}
        self._swept = False

    async def open(self, state: ControlState, contract: Contract, access: Access) -> int:
        """A descriptor of the view for reading, which the caller closes; made first where there is none that fits."""
        folder = state.settings.state_dir / FOLDER
        key = await asyncio.to_thread(self._prepared, state, contract, access)
        path = folder / f"{key}.parquet"
        for _ in range(2):  # once more where the one that was there is removed in this moment
            with contextlib.suppress(FileNotFoundError):
                return await asyncio.to_thread(_opened, path)
            await self._made(state, contract, access, path)
        return await asyncio.to_thread(_opened, path)

    async def _made(self, state: ControlState, contract: Contract, access: Access, path: Path) -> None:
        """One maker for all who wait; who goes away stops nobody."""
        making = self._making.get(path.name)
        if making is None:
            making = asyncio.create_task(self._make(state, contract, access, path), name=f"a masked copy of {contract.name}")
            self._making[path.name] = making
            making.add_done_callback(lambda done: self._forget(path.name, done))
        await asyncio.shield(making)

    def _forget(self, name: str, done: asyncio.Task[None]) -> None:
        self._making.pop(name, None)
        if not done.cancelled():
            done.exception()  # whoever waited has it

    async def _make(self, state: ControlState, contract: Contract, access: Access, path: Path) -> None:
        fresh = path.with_name(f"{path.stem}.{secrets.token_hex(6)}.part")
        plan = scans.plan_of(contract, access, form="parquet")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
        try:
            await self._write(state, contract, plan, fd)
            await asyncio.to_thread(os.fsync, fd)
            os.rename(fresh, path)
        finally:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
        await asyncio.to_thread(self._make_room, path)

    async def _write(self, state: ControlState, contract: Contract, plan: ScanPlan, fd: int) -> None:
        await outcome_of(await scans.begin(state, contract, plan, fd, most_bytes=self.most_bytes))

    def _prepared(self, state: ControlState, contract: Contract, access: Access) -> str:
        """The folder is there, without what a control that died left half made; the view's key."""
        folder = state.settings.state_dir / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        if not self._swept:
            self._swept = True
            for part in folder.glob("*.part"):
                part.unlink(missing_ok=True)
        return key_of(state, contract, access)

    def _make_room(self, kept: Path) -> None:
        found = sorted(((status.st_mtime, status.st_size, path) for path, status in _views(kept.parent)), reverse=True)
        total = 0
        for _, size, path in found:
            total += size
            if total > self.most_bytes and path != kept:
                path.unlink(missing_ok=True)
                total -= size


def key_of(state: ControlState, contract: Contract, access: Access) -> str:
    """Changes with anything that the copy depends on, and with nothing else: people with the same masks and rows share one."""
    plan: dict[str, Any] = scans.plan_of(contract, access).to_json() | {"source": _source_of(contract)}
    plan["salt"] = hashlib.blake2b(salt_of(state.settings.state_dir), person=b"view key", digest_size=16).hexdigest()
    text = json.dumps([FORMAT, plan], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _source_of(contract: Contract) -> list[list[Any]]:
    """Name, size, time and inode of each file."""
    if not os.path.isdir(contract.path):
        return [_file(contract.path, "")]
    found = []
    for folder, folders, files in os.walk(contract.path):
        folders.sort()
        found += [_file(os.path.join(folder, file), os.path.relpath(folder, contract.path) + "/" + file) for file in sorted(files)]
    return found


def _file(path: str, name: str) -> list[Any]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:  # the read itself says so
        return [name, None]
    return [name, status.st_size, status.st_mtime_ns, status.st_ino]


def _opened(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with contextlib.suppress(OSError):  # the time of its last use, by which old ones go: a view without it is only removed earlier
        os.utime(path)
    return fd


def _views(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path, path.stat()))
    return found
