"""For `doctor`: whether the disk of the state directory has room for what control writes."""

from __future__ import annotations

import os
from pathlib import Path

LITTLE_BYTES = 1 << 30  # a year of audit of twenty busy people, or a few packages of jobs


def free_bytes(state_dir: Path) -> int | None:
    """What an ordinary account may still write there, or where it would be made; None where that can't be seen."""
    place = next((folder for folder in (state_dir, *state_dir.parents) if folder.exists()), None)
    try:
        found = os.statvfs(place) if place else None
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found else None


def lines(state_dir: str, free: int | None) -> list[str]:
    """Where it is; a second line where it is too small."""
    where = [f"state      {state_dir}"]
    if free is None or free >= LITTLE_BYTES:
        return where
    room = f"{free >> 20} MiB free, and below {LITTLE_BYTES >> 20} MiB records, audit log and packages may fill it: then nothing new starts"
    return [
        *where,
        f"           {room}",
        "           next: make room there, or choose another place (`--state-dir`; as a service, a disk of its own)",
    ]
