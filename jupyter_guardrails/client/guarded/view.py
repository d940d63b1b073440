"""What a kernel with a root and a network of its own sees, in words: why a path or a host is not there. The sandbox enforces; this only explains."""

from __future__ import annotations

import errno
import os
import re
import socket

ESCAPED = re.compile(r"\\([0-7]{3})")  # blanks, newlines and backslashes in /proc/self/mountinfo
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
UNLISTED = re.compile(r"guardrails: (\S+) is not on the approved network list")
SHM = "/dev/shm"
MIB = 1 << 20


def reason(error: BaseException | None) -> str:
    """Why this failed here and what to do; empty for what fails elsewhere too, and where no kernel of ours runs."""
    if not isinstance(error, OSError) or "GUARDRAILS_CHANNEL" not in os.environ:
        return ""
    if isinstance(error, FileNotFoundError):
        return _not_there(_path(error))
    if error.errno == errno.EROFS:
        return _not_writable(_path(error))
    if error.errno == errno.ENOSPC:
        return _full()
    return _network(error)


def _path(error: OSError) -> str:
    """The absolute path that the error names, or nothing."""
    return os.path.abspath(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else ""


def _not_there(path: str) -> str:
    if not path or not _is_only_a_name(os.path.dirname(path)):
        return ""
    return (
        f"{path} is not among the folders that this kernel sees: its workspace, its environment and the data that you were granted.\n"
        "  next: move the file into your workspace, look for approved data in the Guardrails panel, or ask your admin for the folder"
    )


def _not_writable(path: str) -> str:
    return (
        f"{path or 'This place'} can't be written by this kernel: it writes in its workspace, and in /tmp, which is its own and ends with it.\n"
        "  next: write into your workspace, or ask your admin for the folder"
    )


def _full() -> str:
    """The kernel's own /dev/shm is small, and what fills it is rarely meant; of any other file system the person knows."""
    try:
        found = os.statvfs(SHM)
    except OSError:
        return ""
    size_bytes = found.f_blocks * found.f_frsize
    if found.f_bavail or not size_bytes:
        return ""
    return (
        f"{SHM} is full: this kernel's own holds {size_bytes // MIB} MiB, which count as its memory.\n"
        f"  next: delete what you no longer need there (ls {SHM}), or restart the kernel, which empties it"
    )


def _network(error: OSError) -> str:
    """Only where the way out is the proxy of ours: a kernel that is only observed has the machine's network."""
    if not os.environ.get("HTTP_PROXY", "").startswith("http://127.0.0.1:"):
        return ""
    unlisted = UNLISTED.search(str(error))
    if unlisted:
        return f"  next: ask your admin to put {unlisted[1]} on the approved network list, or look for the data in the Guardrails panel"
    if error.errno in UNREACHABLE or isinstance(error, socket.gaierror):
        return (
            "This kernel reaches only the hosts and ports that the policy names; web clients do so through the proxy in HTTPS_PROXY.\n"
            "  next: use a client that knows proxies, or ask your admin to put the host and its port on the approved network list"
        )
    return ""


def _is_only_a_name(folder: str) -> bool:
    """Whether a folder is part of the view itself, there for what is shown below it, and not of anything that is shown."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    below = [place for place in _mounts() if folder == place or folder.startswith(place.rstrip("/") + "/")]
    return bool(below) and _mounts()[max(below, key=len)]


def _mounts() -> dict[str, bool]:
    """Place of each mount of this kernel's view -> whether it holds names only: a memory file system that nobody can write into.

    (os.path.ismount misses mounts whose folder lies on the same file system.)
    """
    found = {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                place, options = before.split()[4:6]
                found[ESCAPED.sub(lambda code: chr(int(code[1], 8)), place)] = after.split()[0] == "tmpfs" and "ro" in options.split(",")
    except OSError:
        return {}
    return found
