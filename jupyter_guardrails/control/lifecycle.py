"""What follows when a submission moves on: its notice, the versions that it replaces, and whoever else has to act in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control import announcing
from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.records import submissions

REPLACED = {  # a version came to this state -> older ones in these are replaced by it
    "in_review": ("in_review", "changes_requested"),
    "approved": ("approved",),
}
Hook = Callable[[Connection, ControlState, dict[str, Any]], None]
AT_MOVE: list[Hook] = []  # called with the row as it is after each move, in the move's own transaction: what one raises undoes the move


def moved(connection: Connection, /, state: ControlState, id: str, to_state: str, **said: Any) -> dict[str, Any]:
    """`submissions.transition` with all that follows from it, in one transaction."""
    return follow(connection, state, submissions.transition(connection, id, to_state, **said))


def broken_off(connection: Connection, /, state: ControlState, id: str, error: str, **said: Any) -> dict[str, Any]:
    """Its checks did not come to an end: what ran or waited says so, and the submission has failed with the reason."""
    submissions.end_checks(connection, id)
    return moved(connection, state, id, "checks_failed", error=error, **said)


def follow(connection: Connection, state: ControlState, row: dict[str, Any], *, reason: str = "") -> dict[str, Any]:
    """The row, after what follows from the move that brought it here. What failed is for its author to see: only that it failed is told."""
    if row["state"] in announcing.MOVES and not row["draft"]:
        announcing.told(state, row, row["state"], reason=reason or said_of(row)).put(connection)
    for hook in AT_MOVE:
        hook(connection, state, row)
    for older in submissions.others(connection, row, *REPLACED.get(row["state"], ())):
        if older["version"] < row["version"]:
            _replace(connection, state, older, row)
    return row


def said_of(row: dict[str, Any]) -> str:
    """The words of whoever retired it; what is in `error` otherwise may be what a cell said."""
    return str(row["error"]) if row["state"] == "retired" else ""


def _replace(connection: Connection, state: ControlState, older: dict[str, Any], row: dict[str, Any]) -> None:
    """An edit is a new version: approvals of the one before are none of this one, and that one waits for nobody any more."""
    said = {"now": state.clock(), "actor": state.principal, "policy_digest": state.policy_digest}
    moved(connection, state, older["id"], "superseded", error=f"version {row['version']} took its place", **said)
