"""Telling control how far the worker is: every check's state, at most a few times a second, and whether to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import WorkerProgress
from jupyter_guardrails.promotion.results import Result

AT_MOST_EVERY_S = 0.2


class Cancelled(Exception):
    """The submission was cancelled; the worker ends."""


class CheckReport:
    """One check's line: `started`, then any number of `progress`, then `ended`. Each raises Cancelled when control says so."""

    def __init__(self, control: ControlClient, submission: str, *, name: str, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.title = name, title
        self._control, self._submission, self._clock = control, submission, clock
        self._began = self._said = clock()

    def waiting(self) -> None:
        """It will come."""
        self._say(state="waiting")

    def started(self) -> None:
        """It runs now."""
        self._began = self._clock()
        self._say(state="running")

    def progress(self, done: int, total: int, detail: str) -> None:
        """It is at `done` of `total`; said at most five times a second, but always at its end."""
        if done == total or self._clock() - self._said >= AT_MOST_EVERY_S:
            self._say(state="running", detail=detail, progress={"done": done, "total": total})

    def ended(self, result: Result) -> None:
        """Its outcome."""
        seconds = round(self._clock() - self._began, 3)
        self._say(state=result.state, detail=result.detail, findings=[finding.to_json() for finding in result.findings], seconds=seconds)

    def _say(self, **fields: object) -> None:
        self._said = self._clock()
        body = {"submission": self._submission, "check": self.name, "title": self.title, **fields}
        if self._control.call(WorkerProgress.model_validate(body)).get("cancelled"):
            raise Cancelled
