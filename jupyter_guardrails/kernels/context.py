"""What all kernels, terminals and clean runs of one server share: control, the workspace, private folders, and the watch over them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission, ControlClient
from jupyter_guardrails.control.interface.live import LivePlace
from jupyter_guardrails.control.interface.messages import KernelAdmit, KernelLimits, KernelSettle, KernelStarted, Request
from jupyter_guardrails.kernels.forwards import listener_kinds
from jupyter_guardrails.kernels.quota import Usage, WorkspaceQuota
from jupyter_guardrails.kernels.spares import Spares
from jupyter_guardrails.kernels.traced import Recording
from jupyter_guardrails.kernels.undelivered import Undelivered
from jupyter_guardrails.kernels.watch import Watch
from jupyter_guardrails.sandbox.spec import Report

LOG = logging.getLogger(__name__)
ROOM_S = 5.0
Kind = Literal["kernel", "terminal", "clean_run", "exec"]


def _nobody_to_tell(kernel_id: str, reason: str) -> None:
    LOG.warning("kernel %s: %s", kernel_id, reason)


def _nobody_looks(kernel_id: str) -> None:
    """No front end is told."""


@dataclass
class GovernedContext:
    """`run_dir` is a private folder with a short path; `tell` shows a person why something happened to their kernel."""

    control: ControlClient
    workspace: Path
    run_dir: Path
    kind: Kind = "kernel"
    profile: str | None = None
    submission: str | None = None
    tell: Callable[[str, str], None] = _nobody_to_tell
    hint: Callable[[str], None] = _nobody_looks  # something about a kernel is worth reading again
    outer: Mapping[str, Any] = field(default_factory=dict)  # what is enforced around this process itself (sandbox/outer.py)
    recording: Recording | None = None  # of a clean run: what its kernel opens and connects to
    spares: Spares | None = None  # servers have them: what starts one kernel only needs none
    watch: Watch = field(init=False)
    quota: WorkspaceQuota = field(init=False)
    undelivered: Undelivered = field(init=False)
    _room_asked_at: float = -ROOM_S

    def __post_init__(self) -> None:
        self.quota = WorkspaceQuota(self.workspace)
        self.watch = Watch(self.call, self.quota, hint=lambda kernel_id: self.hint(kernel_id))
        self.undelivered = Undelivered(self.call)

    async def call(self, request: Request, *, fds: Sequence[int] = ()) -> dict[str, Any]:
        """Control's answer, without holding up the event loop."""
        return await asyncio.to_thread(self.control.call, request, fds=fds)

    async def call_with_fds(self, request: Request) -> tuple[dict[str, Any], list[int]]:
        """Like `call`, with the file descriptors that came along; the caller closes them."""
        return await asyncio.to_thread(self.control.call_with_fds, request)

    async def know_room(self) -> Usage:
        """What the workspace holds and may hold; asks control where no kernel runs whose watch would keep it fresh."""
        if time.monotonic() - self._room_asked_at > ROOM_S:
            self._room_asked_at = time.monotonic()
            with contextlib.suppress(errors.GuardrailsError):  # control is away: what was known stays
                answer = await self.call(KernelLimits(leases=[]))
                if "workspace_bytes" in answer:
                    self.quota.set_limit(answer["workspace_bytes"], answer["workspace_rule"])
        self.quota.touch()
        return self.quota.usage

    async def admit(self, *, kernel_id: str, kernelspec: str, key: str, notebook: str | None = None, kind: Kind | None = None) -> Admission:
        """Decision and lease; the same `key` gives the same lease, so that a restart keeps it."""
        request = KernelAdmit(
            kernel_id=kernel_id,
            kernelspec=kernelspec,
            workspace=str(self.workspace),
            key=key,
            kind=kind or self.kind,
            profile=self.profile,
            notebook=notebook,
            submission=self.submission,
        )
        return await asyncio.to_thread(self.control.admit, request)

    async def started(self, admission: Admission, report: Report, *, pid: int, listeners: Sequence[int], data: Path) -> None:
        """Tell control what runs now, with the folder of its granted data, and hand over its listeners (channel first)."""
        launch = self.outer.get("mounter") if not report.layers.get("own_root") else None
        live = LivePlace(folder=str(data), pid=report.pid, launch=launch or "")
        kinds = listener_kinds(len(listeners))
        request = KernelStarted(lease=admission.lease, pid=pid, report=report.to_json(), listeners=kinds, live=live)
        await self.call(request, fds=listeners)

    async def settle(self, admission: Admission, reason: str) -> None:
        """Close the lease with what was measured, later where control is away. Never raises: control itself closes a lease whose beats stop."""
        use = self.watch.discard(admission.lease)
        request = KernelSettle(lease=admission.lease, reason=reason, cpu_s=use.cpu_s, memory_peak_bytes=use.memory_peak_bytes)
        try:
            await self.call(request)
        except errors.ControlAway as error:
            LOG.warning("lease %s is closed once control is back: %s", admission.lease, error)
            self.undelivered.add(request)
        except errors.GuardrailsError as error:
            LOG.warning("lease %s could not be closed, it expires by itself: %s", admission.lease, error)


def new_key() -> str:
    """A fresh idempotency key: one per lease."""
    return uuid.uuid4().hex
