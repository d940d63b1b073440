"""Control as a service of the machine: what systemd hands over and hears, and the folder in which every account finds it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from jupyter_guardrails.control.descriptor_store import DescriptorStore
from jupyter_guardrails.control.listeners import take
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records.places import UnsafePlace

SOCKET_UNIT = "jupyter-guardrails.socket"  # what systemd calls the descriptor of that unit


def refuse_root() -> None:
    """A service that ran as root would have every account's files, and its own would be root's: it is started as an account of its own."""
    if os.getuid() == 0:
        next_step = "`jupyter guardrails init --service` writes units that do that; start it with: systemctl start jupyter-guardrails"
        raise BadRequest("control as a service runs as an account of its own, not as root", next_step=next_step)


def listener(path: Path, store: DescriptorStore) -> socket.socket | None:
    """The listening socket that systemd made for this process (jupyter-guardrails.socket), None where it made none."""
    found = store.take(SOCKET_UNIT)
    if not found:
        return None
    taken = take(found[0], socket.AF_UNIX)
    listens_at = taken.getsockname()
    if listens_at != str(path):
        taken.close()
        message = f"systemd listens at {listens_at!r}, and clients look for control at {path}"
        raise BadRequest(message, next_step="let ListenStream= of jupyter-guardrails.socket and `socket` of settings.yaml say the same")
    return taken


def make_folder(path: Path) -> None:
    """The folder of socket and token, 0755; UnsafePlace where others could put their own control into its place."""
    advice = "let systemd make it (RuntimeDirectory=jupyter-guardrails), or: install -d -m 755 -o ACCOUNT " + str(path)
    try:
        path.mkdir(mode=0o755, exist_ok=True)
        found = path.lstat()
        if found.st_uid == os.getuid():
            os.chmod(path, 0o755)  # the umask is closed
    except OSError as error:
        raise UnsafePlace(f"{path} can't be made, where every account looks for control: {error.strerror}", next_step=advice) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.getuid()) or stat.S_IMODE(path.lstat().st_mode) & 0o022:
        raise UnsafePlace(f"{path} is not a folder that only control can write: others could answer in its place", next_step=advice)
