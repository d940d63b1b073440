"""Decisions come from outside of what is governed: a launched server, and whatever runs in it, may ask for much in its person's name, but not that.

The launcher's domain can't be put on without `no_new_privs`, which no process loses again and every child has; a shell outside has it not.
On a machine (a container, say) whose first process has it, everybody does, and nothing can be told by it: docs/admins.md says so.
"""

from __future__ import annotations

import socket
from pathlib import Path

from jupyter_guardrails.control.peers import CREDENTIALS
from jupyter_guardrails.errors import Refused

DECIDING = frozenset(
    (
        *("requests.decide", "requests.decide_more", "requests.revoke_more", "grants.give", "grants.revoke", "submissions.decide"),
        *("publications.propose", "publications.decide", "publications.withdraw"),
        *("suspensions.suspend", "suspensions.lift", "exemptions.begin", "exemptions.end"),
    )
)
PROC = Path("/proc")


def require(connection: socket.socket, op: str) -> None:
    """Refused when a decision comes from inside of a governed server, or from a process that can't be looked at."""
    if op not in DECIDING:
        return
    if is_inside(pid_of(connection)):
        raise Refused(
            "decisions are made outside of JupyterLab: what runs in a governed server could make them in its person's name",
            next_step="type the command in a shell of your own, outside of JupyterLab and of `jupyter guardrails exec`",
            rule="built-in decisions-are-made-outside",
        )


def pid_of(connection: socket.socket) -> int:
    """The process that connected."""
    found: int = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[0]
    return found


def is_inside(pid: int) -> bool:
    """Whether a process is in a governed server, or can't be looked at; False where nothing can be told by it, since all are alike."""
    return not is_marked(1) and is_marked(pid) is not False


def is_marked(pid: int) -> bool | None:
    """Whether a process has `no_new_privs`; None when it can't be seen (gone, another namespace, hidepid)."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("NoNewPrivs:")), None)
    return None if found is None else found == "1"
