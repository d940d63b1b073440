"""For `doctor`: whether what opens object stores and databases is for control alone, and right; never a word of what stands in it."""

from __future__ import annotations

import os
from typing import Any

from jupyter_guardrails.control.credentials import CredentialsFile, problems_of_file
from jupyter_guardrails.control.interface import Settings


def look(settings: Settings) -> dict[str, Any]:
    """`{path, there, problems}`; what stands in it is checked where this account is control's own."""
    path, uid = settings.credentials_path, control_uid(settings)
    found = problems_of_file(path, uid)
    if not found and uid == os.geteuid():
        found = list(CredentialsFile(path, shared_account=not settings.service).problems())
    return {"path": str(path), "there": os.path.lexists(path), "problems": [str(problem) for problem in found]}


def control_uid(settings: Settings) -> int:
    """As whom control runs: the owner of a service's state directory, else whoever starts it."""
    try:
        return os.stat(settings.state_dir).st_uid if settings.service else os.geteuid()
    except OSError:
        return os.geteuid()  # no service yet: as whoever asks sees it


def lines(found: dict[str, Any]) -> list[str]:
    """One line where there is a file."""
    state = "has mistakes, see below: nothing is opened with it" if found["problems"] else "for control alone"
    return [f"secrets    {found['path']}: {state}"] if found["there"] else []
