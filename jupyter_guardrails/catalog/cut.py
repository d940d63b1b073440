"""Ending one scan in the broker's worker from beside it, also while it waits for its reader."""

from __future__ import annotations

import os

from jupyter_guardrails.errors import GuardrailsError


class Cut:
    """`reason` is why, None until then; `fd` becomes readable when it is there."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.reason: GuardrailsError | None = None

    def now(self, reason: GuardrailsError) -> None:
        """End it, and say why."""
        self.reason = reason
        os.eventfd_write(self.fd, 1)

    def close(self) -> None:
        """The scan is over."""
        os.close(self.fd)
