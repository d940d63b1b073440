"""The checks of a submission: ours, and a company's own, which come the same way, by the entry point group `jupyter_guardrails.checks`."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from jupyter_guardrails.promotion.results import Result, failed
from jupyter_guardrails.promotion.work import Progress, Work

GROUP = "jupyter_guardrails.checks"
OURS = "jupyter_guardrails.promotion.checks"
# In this order: a later check uses what an earlier one found out. What runs the notebook comes last, after a company's own.
STATIC = ("order", "paths", "parameters", "environment", "imports", "licenses", "secrets", "personal_data", "size", "data", "vulnerabilities")
LAST = "clean_run"
OWN_TIMEOUT_S = 300


class Check(Protocol):
    """A check: a module or an object with these. `run` gets the notebook and what other checks found out, and tells its progress."""

    NAME: str
    TITLE: str

    def run(self, work: Work, progress: Progress) -> Result:
        """Look at the notebook. Called by the worker, once, in the account of the author."""
        ...


@dataclass
class Own:
    """A company's own check in bounded time, or the reason why there is none under that name."""

    NAME: str
    TITLE: str
    check: Check | None
    problem: str = ""

    def run(self, work: Work, progress: Progress) -> Result:
        """What the check says; failed where it can't be loaded, takes too long, or says something else than a Result."""
        if self.check is None:
            return failed(f"this check can't be used: {self.problem}")
        with _at_most(OWN_TIMEOUT_S):
            result = self.check.run(work, progress)
        return result if isinstance(result, Result) else failed(f"this check answered with {type(result).__name__} instead of a Result")


def load_checks(installed: Iterable[EntryPoint] | None = None) -> tuple[Check, ...]:
    """Every check in the order in which they run; one of a company's own that is broken is there, and fails."""
    ours = {name: cast(Check, EntryPoint(name, f"{OURS}.{name}", GROUP).load()) for name in (*STATIC, LAST)}
    found = entry_points(group=GROUP) if installed is None else installed
    return (*(ours[name] for name in STATIC), *_own(sorted(found, key=lambda point: (point.name, point.value))), ours[LAST])


def _own(points: Iterable[EntryPoint]) -> Iterator[Check]:
    seen: set[str] = set()
    for point in points:
        problem, check = "", None
        if "." not in point.name or point.name in seen:
            problem = f"{point.value} calls itself {point.name!r}; the name of an own check has a dot, like acme.headers, and is there once"
        else:
            try:
                check = cast(Check, point.load())
            except Exception as error:  # noqa: BLE001 - whatever somebody's module raises must show as a failed check, and stop no other
                problem = f"{point.value}: {type(error).__name__}: {error}"[:300]
        seen.add(point.name)
        name = point.name if "." in point.name else f"own.{point.name}"
        yield Own(name, str(getattr(check, "TITLE", name)), check, problem)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """TimeoutError in the block after so long; the worker runs its checks in the main thread, where signals arrive."""

    def end(*_: object) -> None:
        raise TimeoutError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
