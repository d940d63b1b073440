"""Run directories: a private folder below /tmp for each server or command, held by a lock, so that whoever comes later removes what nobody holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails import errors

PLACE = Path("/tmp")  # not TMPDIR: unix socket paths end at 107 bytes
PREFIX = "gr-"
LOCK = "lock"


def new_name() -> Path:
    """A path that nobody has; nothing is made."""
    return PLACE / f"{PREFIX}{secrets.token_hex(5)}"


def make(run_dir: Path) -> int:
    """Make a run directory and hold it: the lock's descriptor, which is to stay open as long as the directory is in use.

    Directories of this account that nobody holds any more are removed. GuardrailsError, with nothing left, when it can't be made.
    """
    sweep(run_dir)
    try:
        run_dir.mkdir(mode=0o700)
        with removed_on_failure(run_dir):
            return _hold(run_dir)
    except OSError as error:
        raise errors.GuardrailsError(
            f"no private folder can be made in {PLACE}: {error.strerror}", next_step=f"is {PLACE} full, or not writable for you?"
        ) from error


@contextlib.contextmanager
def held() -> Iterator[Path]:
    """A run directory for the length of this block; one that is killed in it leaves what a later `make` removes."""
    run_dir = new_name()
    lock = make(run_dir)
    try:
        yield run_dir
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def removed_on_failure(run_dir: Path) -> Iterator[None]:
    """When the block fails, the directory goes."""
    try:
        yield
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise


def sweep(own: Path) -> None:
    """Remove run directories of this account whose owner has ended (nobody holds their lock)."""
    for folder in own.parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else removed it meanwhile, or it isn't this account's after all: never a reason not to start
            if folder != own and not folder.is_symlink() and folder.stat().st_uid == os.getuid() and (folder / LOCK).is_file():
                _remove_unless_held(folder)


def _remove_unless_held(folder: Path) -> None:
    with (folder / LOCK).open() as handle:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _hold(run_dir: Path) -> int:
    """The lock has its name only once it is held: nobody finds it free meanwhile."""
    lock = os.open(run_dir / f"{LOCK}.new", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(run_dir / f"{LOCK}.new", run_dir / LOCK)
    return lock
