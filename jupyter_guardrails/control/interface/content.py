"""What crosses to control: sealed memory. It can't change while it is read, and no reading of it waits for somebody else's file system."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from jupyter_guardrails.errors import BadRequest, NotFound
from jupyter_guardrails.sandbox.beneath import open_beneath

MAX_NOTEBOOK_BYTES = 256 << 20  # in sealed memory; a file that control itself opens takes none
MAX_OPENED_BYTES = 1 << 30
MAX_PACKAGE_BYTES = 2 << 30
CHUNK = 1 << 20
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def open_notebook(workspace: Path, notebook: str, *, limit_bytes: int = MAX_OPENED_BYTES) -> int:
    """A descriptor of a regular file beneath the workspace, the caller's to close; NotFound, or BadRequest for what is none or too big."""
    fd = _beneath(workspace, notebook, "notebook")
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit_bytes:
        os.close(fd)
        raise BadRequest(f"{notebook!r} is no file of at most {limit_bytes >> 20} MiB", next_step="clear big outputs, or name a notebook")
    return fd


def check_together(fds: Sequence[int], *, limit_bytes: int) -> None:
    """BadRequest for notebooks of a job that are more than one of them alone may be."""
    if sum(os.fstat(fd).st_size for fd in fds) > limit_bytes:
        raise BadRequest(f"the job's notebooks are more than {limit_bytes >> 20} MiB together", next_step="clear big outputs")


def open_file(workspace: Path, file: str) -> int:
    """A descriptor of a regular file of any size beneath the workspace, the caller's to close; NotFound, or BadRequest for what is none."""
    fd = _beneath(workspace, file, "file")
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadRequest(f"{file!r} is no file", next_step="name a file by its path in the workspace")
    return fd


def _beneath(workspace: Path, name: str, what: str) -> int:
    try:
        return open_beneath(workspace, name, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotFound(f"{name!r} can't be opened in the workspace: {reason}", next_step=f"name a {what} by its path in the workspace") from error


def sealed(source: IO[bytes], *, limit_bytes: int) -> int:
    """A descriptor of sealed memory with what is left of a file, or its next `limit_bytes`; the caller closes it."""
    memory = os.memfd_create("content", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(memory, "wb", closefd=False) as sink:
            left = limit_bytes
            while left > 0 and (part := source.read(min(CHUNK, left))):
                left -= sink.write(part)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(memory)
        raise
    return memory


def is_sealed(fd: int) -> bool:
    """Whether that is sealed memory. Asks the descriptor alone: looking at somebody's file may wait for as long as they like."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
    except OSError:  # no memory file
        return False


def is_memory(fd: int) -> bool:
    """Whether that lies in memory, as of memfd_create(2): what is written there waits for nobody."""
    try:
        fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return True


def read_sealed(fd: int, *, limit_bytes: int) -> IO[bytes]:
    """The content as a file at its start, which owns the descriptor; BadRequest, and the descriptor left alone, for anything else."""
    if not is_sealed(fd):
        raise BadRequest("what came is not sealed memory (memfd_create(2) with all seals)")
    if os.fstat(fd).st_size > limit_bytes:
        raise BadRequest(f"what came is more than {limit_bytes >> 20} MiB")
    file = open(fd, "rb")  # noqa: SIM115 - the caller's
    file.seek(0)
    return file
