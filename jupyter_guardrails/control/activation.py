"""Control as a service of the machine: what systemd hands over and hears, and the folder in which every account finds it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from jupyter_guardrails.control.listeners import take
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.records.places import UnsafePlace

FIRST_FD = 3  # sd_listen_fds(3)
SOCKET_NAMES = ("jupyter-guardrails.socket", "control", "unknown")  # FileDescriptorName= of the socket unit; others are not listeners of ours


def refuse_root() -> None:
    """A service that ran as root would have every account's files, and its own would be root's: it is started as an account of its own."""
    if os.getuid() == 0:
        next_step = "`jupyter guardrails init --service` writes units that do that; start it with: systemctl start jupyter-guardrails"
        raise BadRequest("control as a service runs as an account of its own, not as root", next_step=next_step)


def listener(path: Path) -> socket.socket | None:
    """The listening socket that systemd made for this process (jupyter-guardrails.socket), None where it made none."""
    found = [fd for name, fd in descriptors(os.environ, os.getpid()) if name in SOCKET_NAMES]
    if not found:
        return None
    taken = take(found[0], socket.AF_UNIX)
    if taken.getsockname() != str(path):
        taken.close()
        message = f"systemd listens at {taken.getsockname()!r}, and clients look for control at {path}"
        raise BadRequest(message, next_step="let ListenStream= of jupyter-guardrails.socket and `socket` of settings.yaml say the same")
    return taken


def descriptors(environ: Mapping[str, str], pid: int) -> list[tuple[str, int]]:
    """(name, descriptor) of what systemd passed to this very process, close-on-exec from now on."""
    if environ.get("LISTEN_PID") != str(pid):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * (count - len(names))
    for fd in range(FIRST_FD, FIRST_FD + count):
        os.set_inheritable(fd, False)
    return list(zip(names, range(FIRST_FD, FIRST_FD + count), strict=False))


def notify(text: str, environ: Mapping[str, str]) -> None:
    """Tell systemd (sd_notify(3)); nothing where no systemd asked for it."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
        connection.sendall(text.encode())


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
