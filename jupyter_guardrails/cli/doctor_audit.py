"""For `doctor`: whether a control that runs here can write its audit log, and whom it tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.interface.auditing import AuditSinks
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.errors import GuardrailsError


def sinks(settings: Settings) -> list[dict[str, Any]]:
    """The sinks of the control that runs, as it sees them; none where no control of ours answers."""
    try:
        client = running_control(settings)
        return list(client.call(AuditSinks())["sinks"]) if client is not None else []
    except (OSError, GuardrailsError):  # not running, or not ours to ask: doctor speaks of the machine
        return []


def problems(found: list[dict[str, Any]]) -> list[str]:
    """A sentence for each required sink that fails: nothing new starts where the mode is enforce."""
    failing = [f"{sink['name']}: {sink['problem']}" for sink in found if sink["required"] and sink["problem"]]
    return [f"the audit log can't be written, and in mode enforce nothing is permitted until it can: {what}" for what in failing]


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """One line for each sink."""
    for sink in found:
        state = f"{sink['behind']} behind{': ' if sink['problem'] else ''}{sink['problem']}" if sink["behind"] else "up to date"
        yield f"audit      {sink['name']}{' (required)' if sink['required'] else ''}: {state}"
