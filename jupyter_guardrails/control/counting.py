"""Whether a dataset's file is the one that its contract says counts (`guardrails.sha256`): what a job reads is looked at before it runs."""

from __future__ import annotations

import hashlib
import os
import threading

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import leaves
from jupyter_guardrails.control.dataset_files import open_data
from jupyter_guardrails.errors import Conflict, Refused

MOST_BYTES = 2 << 30  # of one file: some seconds of reading
MOST_KNOWN = 256
RULE = "guardrails.sha256 of its contract"


class _Known:
    """Digests of files by the state in which they were read, of which nobody can set the time of the last change back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[tuple[int, ...], str] = {}

    def get(self, stamp: tuple[int, ...]) -> str:
        """Empty where it was not read yet."""
        with self._lock:
            return self._digests.get(stamp, "")

    def put(self, stamp: tuple[int, ...], digest: str) -> None:
        """The oldest goes where there are many."""
        with self._lock:
            self._digests[stamp] = digest
            if len(self._digests) > MOST_KNOWN:
                self._digests.pop(next(iter(self._digests)))


KNOWN = _Known()


def check(contract: Contract) -> None:
    """Refused where a file of it, or of what it is made of, has other bytes than count. Reads up to 2 GiB, once for each state of a file."""
    for one in leaves(contract):
        if one.sha256 and (found := digest(one)) != one.sha256:
            raise Refused(
                f"the file of {one.name} is not the one that its contract says counts: it has sha256 {found[:12]}…, and {one.sha256[:12]}… counts",
                next_step=f"tell its owner ({one.owner or 'unknown'}): either the file goes back, or the contract names the new one",
                rule=f"{one.file}: {RULE}",
            )


def digest(contract: Contract) -> str:
    """sha256 of a dataset's one file; Conflict for one that is too large, or changes while it is read."""
    fd = open_data(contract)
    with open(fd, "rb") as file:
        before = _stamp(fd)
        if os.fstat(fd).st_size > MOST_BYTES:
            message = f"the file of {contract.name} is larger than {MOST_BYTES >> 30} GiB: nobody can say in time whether it is the one that counts"
            raise Conflict(message, next_step=f"ask its owner ({contract.owner or 'unknown'}) to take guardrails.sha256 out of its contract")
        found = KNOWN.get(before) or hashlib.file_digest(file, "sha256").hexdigest()
        if _stamp(fd) != before:
            raise Conflict(f"the file of {contract.name} changes while it is read", next_step="try again when it is written")
        KNOWN.put(before, found)
        return found


def _stamp(fd: int) -> tuple[int, ...]:
    found = os.fstat(fd)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
