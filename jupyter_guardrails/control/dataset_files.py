"""Opening a dataset's files for somebody else: regular files only, read-only, and no symlink anywhere on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.spelling import listed
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound
from jupyter_guardrails.sandbox.beneath import open_beneath

MAX_LISTED = 100
MAX_FILES = 10_000  # of a folder that is read file by file
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO put in a file's place must not make us wait


def open_data(contract: Contract, file: str = "") -> int:
    """A descriptor of the dataset's file, or of one in its folder; the caller closes it. Refused, NotFound or Conflict when it has none."""
    try:
        root = open_beneath("/", contract.path.lstrip("/"), os.O_PATH, no_symlinks=True)
    except OSError as error:
        raise Conflict(f"the place of {contract.name} cannot be opened: {error.strerror}", next_step=f"tell its owner ({contract.owner})") from error
    try:
        is_folder = stat.S_ISDIR(os.fstat(root).st_mode)
        if bool(file) != is_folder:
            raise _which_file(contract) if is_folder else BadRequest(f"{contract.name} is one file", next_step="leave `file` out")
        return _regular(contract, root, file)
    finally:
        os.close(root)


def file_of(path: str) -> tuple[int, int] | None:
    """Device and inode of a dataset's place; None where nothing is, or a symbolic link on the way, which somebody put there since it was checked."""
    try:
        handle = open_beneath("/", path.lstrip("/"), os.O_PATH, no_symlinks=True)
    except OSError:
        return None
    try:
        found = os.fstat(handle)
    finally:
        os.close(handle)
    return (found.st_dev, found.st_ino)


def _regular(contract: Contract, root: int, file: str) -> int:
    """Open anew what `root` is, or a file beneath it; a directory's descriptor would lead out of a sandbox's root."""
    try:
        fd = open_beneath(root, file, FLAGS, no_symlinks=True) if file else open_beneath("/", contract.path.lstrip("/"), FLAGS, no_symlinks=True)
    except (OSError, ValueError) as error:
        raise NotFound(f"{contract.name} has no file {(file or contract.path)!r}{_why(error)}", next_step="name one of its files") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadRequest(f"{(file or contract.path)!r} of {contract.name} is not a regular file", next_step="name one of its files")
    return fd


def _why(error: OSError | ValueError) -> str:
    """Why a file of a dataset can't be opened, where its absence isn't why."""
    number = error.errno if isinstance(error, OSError) else errno.ENOENT  # a name with NUL in it is nowhere
    known = {errno.ENOENT: "", errno.EXDEV: ": that leads out of the dataset", errno.ELOOP: ": a link is on the way to it"}
    return known.get(number or 0, f": {getattr(error, 'strerror', '')}")


def _which_file(contract: Contract) -> BadRequest:
    shown = listed(files_of(contract))
    return BadRequest(f"{contract.name} is a folder of files", next_step=f"name one of them ({shown}), or use guarded.path({contract.name!r})")


def files_of(contract: Contract, most: int = MAX_LISTED) -> list[str]:
    """Names of the data files in a dataset's folder, relative to it, at most so many; [""] for a dataset that is one file."""
    if not os.path.isdir(contract.path):
        return [""]
    found = _walk(contract.path)
    return [name for name, _ in zip(found, range(most), strict=False)]


def _walk(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith((".", "_")):  # Spark's and Hive's marks are no data
                yield os.path.relpath(os.path.join(folder, name), root)
