"""A thread beside each traced kernel, terminal or `exec` hears its tracer: what would be refused goes to control, and to the person where the
policy warns; what a clean run opened goes into its `Recording`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelWouldRefuse, Request, Seen
from jupyter_guardrails.sandbox import tracer as tracing
from jupyter_guardrails.sandbox.tracer import Batch, Tracer

LOG = logging.getLogger(__name__)
FINISH_S = 5.0
MOST_SAID = 5  # in one notice; the others are counted
BROKE = "this kernel was ended: the process that records what would be refused is gone, and without it no file can be opened"


@dataclass
class Recording:
    """What one kernel opened, wrote and connected to; `gap` says why that isn't all of it, and is empty where it is."""

    seen: list[tracing.Seen] = field(default_factory=list)
    lost: int = 0
    absent: str = ""

    def add(self, batch: Batch) -> None:
        """Take what its tracer found."""
        self.seen += batch.items
        self.lost += batch.lost

    @property
    def gap(self) -> str:
        """In words."""
        if self.absent:
            return f"this machine can't record what is opened: {self.absent}"
        return f"{self.lost} more files were opened than can be kept" if self.lost else ""


class Refusals:
    """Tells control what would be refused, and the person what they should know of it."""

    def __init__(self, admission: Admission, *, call: Callable[[Request], dict[str, Any]], tell: Callable[[str], None]) -> None:
        self._admission, self._call, self._tell = admission, call, tell

    def add(self, batch: Batch) -> None:
        """Record one batch."""
        seen = [Seen(kind=item.kind, what=item.what[:8192], stopped=item.stopped) for item in batch.items]
        try:
            answer = self._call(KernelWouldRefuse(lease=self._admission.lease, seen=seen, lost=batch.lost))
        except errors.GuardrailsError as error:
            LOG.warning("%d would-be refusals could not be recorded: %s", len(seen) + batch.lost, error)
            return
        warned = [refusal for refusal in answer["refused"] if refusal["mode"] == "warn"]
        if warned:
            self._tell(notice(warned))


class Follower:
    """Passes on what a tracer finds until what it traced has ended; `broke` is called, in that thread, when the tracer ends by itself."""

    def __init__(self, tracer: Tracer, lease: str, *, found: Callable[[Batch], None], broke: Callable[[str], None]) -> None:
        self._tracer, self._found, self._broke = tracer, found, broke
        self._thread = threading.Thread(target=self._follow, name=f"guardrails-traced-{lease[:8]}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """After the traced process ended, before its lease is settled: wait until the last of it is passed on."""
        self._thread.join(FINISH_S)

    def _follow(self) -> None:
        for batch in self._tracer.batches():
            if batch.items or batch.lost:
                self._found(batch)
        if self._tracer.broke:
            self._broke(BROKE)


def notice(refused: list[dict[str, str]]) -> str:
    """What a person reads where the policy warns: calm, with the rule and what to do; nothing was stopped."""
    lines = [f"{refusal['reason']} (rule {refusal['rule']}). {refusal['next_step']}".rstrip() for refusal in refused[:MOST_SAID]]
    lines += [f"and {len(refused) - MOST_SAID} more, see the audit log"] if len(refused) > MOST_SAID else []
    return "nothing was stopped, but once the policy is enforced this will be refused:\n" + "\n".join(f"  - {line}" for line in lines)
