"""Lineage on its way out: each event is a line of `lineage.ndjson` in the state directory, and goes to an OpenLineage server where one is named.

A read never waits for it: the server is told beside everything else, later where it is away, and what is too much to keep is in the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from jupyter_guardrails.catalog.labels import Input
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import parts_of
from jupyter_guardrails.catalog.published import Published
from jupyter_guardrails.control.lineage_events import EventType, Run, event

log = logging.getLogger("jupyter_guardrails.control")
MOST_WAITING = 10_000
WAIT_S = 10.0
BACK_OFF_S = (1.0, 60.0)  # after the first failure, and at most
Spawn = Callable[[Coroutine[Any, Any, None], str], object]


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go besides the file; `token_file` holds a bearer token, for control's account alone. `ca_bundle`: the company's certificates."""

    url: str = ""
    token_file: str | None = None
    ca_bundle: str | None = None


@dataclass
class _Known:
    """What was told of a run: the name of each dataset, and what was read or written of it."""

    run: Run
    read: dict[str, Contract | Input] = field(default_factory=dict)
    written: dict[str, Contract] = field(default_factory=dict)

    @property
    def next(self) -> EventType:
        return "RUNNING" if self.read or self.written else "START"


@dataclass
class Lineage:
    """The runs that read or published something, and the events that wait for the server."""

    file: Path | None = None
    target: Target = field(default_factory=Target)
    back_off_s: tuple[float, float] = BACK_OFF_S
    _runs: dict[str, _Known] = field(default_factory=dict)
    _waiting: deque[dict[str, Any]] = field(default_factory=deque)
    _sending: bool = False

    def read(self, run: Run, contract: Contract, now: datetime, spawn: Spawn) -> None:
        """A dataset was read: the run's START when it is its first one, RUNNING when it is another one, nothing when it was told.

        A product comes with all that it is made of.
        """
        known = self._runs.setdefault(run.lease, _Known(run))
        if known.read.get(contract.name) == contract:
            return
        kind, parts = known.next, list(parts_of(contract))
        known.read |= {one.name: one for one in parts}
        self._emit(event(kind, run, now, inputs=parts), spawn)

    def published(self, run: Run, contract: Published, now: datetime, spawn: Spawn) -> None:
        """A run published data: an event with it and all that it inherits from, also what was read in its workspace before."""
        known = self._runs.setdefault(run.lease, _Known(run))
        kind = known.next
        inherited: dict[str, Contract | Input] = {item.name: item for item in contract.inputs}
        known.read = inherited | known.read
        known.written[contract.name] = contract
        inputs = [known.read[name] for name in inherited]
        self._emit(event(kind, run, now, inputs=inputs, outputs=[contract]), spawn)

    def ended(self, lease: str, now: datetime, spawn: Spawn, *, failed: bool = False) -> None:
        """A lease is over: COMPLETE or FAIL with all that the run read and published; nothing for one that did neither."""
        if known := self._runs.pop(lease, None):
            kind: EventType = "FAIL" if failed else "COMPLETE"
            self._emit(event(kind, known.run, now, inputs=known.read.values(), outputs=known.written.values()), spawn)

    def _emit(self, told: dict[str, Any], spawn: Spawn) -> None:
        self._write(told)
        if not self.target.url:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            log.error("lineage: %s is away for too long, its oldest event is in %s only", self.target.url, self.file)
        self._waiting.append(told)
        if not self._sending:
            self._sending = True
            spawn(self._send_all(), "lineage")

    def _write(self, told: dict[str, Any]) -> None:
        """One line, in one write. A disk that is full is told: reads are recorded in the audit log, which decides whether they go ahead."""
        if self.file is None:
            return
        try:
            fd = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, json.dumps(told, separators=(",", ":")).encode() + b"\n")
            finally:
                os.close(fd)
        except OSError as error:
            log.error("lineage: %s cannot be written: %s", self.file, error)

    async def _send_all(self) -> None:
        """In order, until nothing waits; a server that is away is asked again, less and less often."""
        pause_s, most_s = self.back_off_s
        try:
            while self._waiting:
                if await self._sent(self._waiting[0]):
                    pause_s = self.back_off_s[0]
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, most_s)
        finally:
            self._sending = False

    async def _sent(self, told: dict[str, Any]) -> bool:
        """Whether an event has gone, and waits no more."""
        try:
            await asyncio.to_thread(self._post, told)
        except OSError as error:  # requests' errors are, too
            log.warning("lineage: an event did not reach %s: %s", self.target.url, error)
            return False
        if self._waiting and self._waiting[0] is told:  # not given up meanwhile, since too many wait
            self._waiting.popleft()
        return True

    def _post(self, told: dict[str, Any]) -> None:
        """OSError, which quotes no secret, unless the server took it, or will never take it."""
        token = _token(self.target.token_file)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            verify = self.target.ca_bundle or True
            answer = requests.post(self.target.url, json=told, headers=headers, timeout=WAIT_S, allow_redirects=False, verify=verify)
        except requests.RequestException as error:
            raise ConnectionError(f"no answer ({type(error).__name__})") from error
        if answer.status_code in (400, 422):
            log.error("lineage: %s refuses an event with %s; it is in %s only", self.target.url, answer.status_code, self.file)
        elif not 200 <= answer.status_code < 300:
            raise ConnectionError(f"it answered {answer.status_code}")


def _token(path: str | None) -> str:
    """The file's text; OSError when others may read it. Read anew each time, so that a new one counts at once."""
    if path is None:
        return ""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with open(fd, encoding="ascii", errors="replace") as file:
        found = os.fstat(fd)
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (0, os.geteuid()):
            raise PermissionError(f"{path} may be read by others, or belongs to somebody else: chown and chmod 600")
        return file.read(8192).strip()
