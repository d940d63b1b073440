"""What an engine does for a deployment, the same for all: tests/engines/engine_contract.py holds each of them to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jupyter_guardrails.engines.places import Place

Tell = Callable[[str], None]  # takes a sentence about what goes on, for who waits


def silent(sentence: str) -> None:
    """Tells nobody."""


class Engine(Protocol):
    """An engine that is there already; nothing here schedules by itself."""

    name: str
    attended: bool  # `job start` stays until its runs have ended

    def is_governed(self, settings: Mapping[str, Any]) -> bool:
        """Whether its runs are on machines like this one: in the production sandbox, data read through control; by what the policy says of it."""

    def deploy(self, place: Place, schedule: str, tell: Tell = silent) -> None:
        """Make it known to the engine, with its schedule (five cron fields, or none); GuardrailsError that says what is missing.

        What takes long is told. Interrupted anywhere, `end` takes all of it back.
        """

    def start(self, place: Place, number: int) -> str:
        """Begin a run; how the engine calls it."""

    def is_running(self, place: Place, number: int, job: str) -> bool:
        """Whether the engine still has that run, waiting or running."""

    def waits_for(self, place: Place, number: int, job: str) -> str:
        """Why a run that the engine has did not begin yet, in the engine's words; empty where it runs, or says nothing."""

    def verdict(self, place: Place, number: int, job: str) -> dict[str, Any]:
        """What the engine itself says of a run that is over and wrote down no end of its own, as `deployments.report` takes it; perhaps nothing."""

    def stop(self, place: Place, number: int, job: str) -> None:
        """End a run that was started; it is over, or on its way out, when this returns."""

    def end(self, place: Place) -> None:
        """Take all of it from the engine but what its runs have written; once more is fine."""
