"""What a kernel really writes: the mounter that made its root says it, and labels lie there, whatever its server calls the workspace.

A server is not trusted: it could name a fresh folder, and have what a kernel reads written into another. So a kernel that a server started and
whose root control didn't have made writes everywhere that its person does: what it reads counts for all of their kernels. Who starts a command
outside of every server (`exec`, a job, a clean run) is its person, whose word on the workspace is taken, as it is for files they copy themselves.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jupyter_guardrails.control import outside
from jupyter_guardrails.control.interface.messages import KernelStarted
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.sandbox import meter

WRITTEN, UNKNOWN = "written", "unknown_places"  # in a kernel's report, by control's own hand
MOST = 1024  # roots that are remembered: each is for one process, which is about to report what runs in it
FIELD = re.compile(r"^(Pid|PPid):\s+(\d+)$", re.MULTILINE)
NOWHERE = "/dev/null/everything of "  # no path is there: it stands for all folders of one person


@dataclass(frozen=True, slots=True)
class Root:
    """The folders that a process's root lets it write and that outlive it; `started` tells it from a later process of its number."""

    started: int | None
    written: tuple[str, ...]


def remember(state: ControlState, process: int, written: list[str]) -> None:
    """Called with the mounter's answer for the process behind a pidfd."""
    with open(f"/proc/self/fdinfo/{process}", encoding="ascii") as file:
        pid = dict(FIELD.findall(file.read())).get("Pid")
    if pid is None or int(pid) <= 0:  # it has ended, or is in another machine's numbering
        return
    state.roots[int(pid)] = Root(meter.start_time(int(pid)), tuple(written))
    while len(state.roots) > MOST:
        state.roots.pop(next(iter(state.roots)))


def noted(state: ControlState, request: KernelStarted) -> KernelStarted:
    """The report with what control itself knows of where its kernel writes; what a server says there of its own is dropped."""
    root = _root_of(state, request.live.pid) if request.live is not None else None
    known: dict[str, Any] = {WRITTEN: list(root.written)} if root is not None else {}
    if root is None and state.settings.service and outside.is_inside(state.peer_pid):
        known = {UNKNOWN: True}
    rest = {key: value for key, value in request.report.items() if key not in (WRITTEN, UNKNOWN)}
    return request.model_copy(update={"report": rest | known})


def _root_of(state: ControlState, pid: int) -> Root | None:
    """Of the process that a mounter gave a root, when this one is its child and sees that very root."""
    above = _parent(pid)
    for one in (pid, above):
        found: Root | None = state.roots.get(one)
        if found is not None and found.started == meter.start_time(one) and (one == pid or _sees(one) == _sees(pid) != ""):
            return found
    return None


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return int(dict(FIELD.findall(file.read())).get("PPid", 0))
    except OSError:
        return 0


def _sees(pid: int) -> str:
    """A process's mounts, each with a number that no other mount has; empty where they can't be looked at."""
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def everything_of(person: str) -> str:
    """The place that stands for all folders of a person."""
    return NOWHERE + quote(person, safe="")


def places(live: LiveKernel) -> list[str]:
    """The folders in which a kernel leaves things for later; an unknown workspace is everywhere, unknown places are everything of its person."""
    found = [live.workspace or "/", *live.admission.write_paths, *live.report.get(WRITTEN, ())]
    unknown = [everything_of(live.admission.principal)] if is_unknown(live) else []
    return list(dict.fromkeys([*map(os.path.realpath, found), *unknown]))


def is_unknown(live: LiveKernel) -> bool:
    """Whether nobody but its server says where it writes."""
    return bool(live.report.get(UNKNOWN))
