"""The secret by which masks hash: made once, kept in control's state directory, handed to brokers only. Who had it could try out values."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
from pathlib import Path

from jupyter_guardrails.errors import Conflict

NAME = "mask.salt"
BYTES = 32


@functools.lru_cache(maxsize=8)  # each read would wait for a thread; another salt needs another start of control
def salt_of(state_dir: Path) -> bytes:
    """The salt of this state directory; Conflict when the file there is not one, or others can read it."""
    path = state_dir / NAME
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    fresh = state_dir / f".{NAME}.{secrets.token_hex(6)}"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(secrets.token_bytes(BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)  # whole or not at all, and never in place of one that is there
    finally:
        os.unlink(fresh)
    return _read(path)


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        found, data = os.fstat(file.fileno()), file.read(BYTES + 1)
    if len(data) != BYTES or found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise Conflict(
            f"{path} is not the secret that masks need", next_step=f"an admin restores it from a backup, with mode 600, or removes {path.name}"
        )
    return data
