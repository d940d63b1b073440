"""What can go wrong with data, as exceptions that Python code already knows how to catch.

GuardedError
├── Refused      PermissionError    policy says no
├── NotFound     FileNotFoundError  no such dataset, or none that you may know of
└── Unavailable  ConnectionError    nobody answers: not a governed kernel, or its server is gone
"""

from __future__ import annotations

from typing import Any


class GuardedError(Exception):
    """Base of all: `message`, `next_step` and `rule` are sentences for a reader."""

    def __init__(self, message: str, *, next_step: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.rule = rule

    def __str__(self) -> str:
        rule = f"\n  rule: {self.rule}" if self.rule else ""
        next_step = f"\n  next: {self.next_step}" if self.next_step else ""
        return f"{self.message}{rule}{next_step}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Called by pickle when the error crosses from a worker process."""
        return _rebuild, (type(self), self.message, self.next_step, self.rule)


class Refused(GuardedError, PermissionError):
    """Policy says no; the text has the reason, the rule's place and the line to type."""


class NotFound(GuardedError, FileNotFoundError):
    """No such dataset, or none that you may know of."""


class Unavailable(GuardedError, ConnectionError):
    """Nobody answers."""


def from_answer(error: dict[str, str]) -> GuardedError:
    """The exception for an answer's `{code, message, next_step, rule}`; an unknown code is a plain GuardedError."""
    kinds = {"refused": Refused, "not_found": NotFound, "control_away": Unavailable}
    kind = kinds.get(error.get("code", ""), GuardedError)
    return kind(error.get("message", "unknown error"), next_step=error.get("next_step", ""), rule=error.get("rule", ""))


def _rebuild(kind: type[GuardedError], message: str, next_step: str, rule: str) -> GuardedError:
    return kind(message, next_step=next_step, rule=rule)
