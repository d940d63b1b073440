"""Which bytes a clean run read: sha256 and size of each dataset that is one file, if it stayed the same all the time."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence

from jupyter_guardrails.package import tables
from jupyter_guardrails.package.job import Input
from jupyter_guardrails.promotion.results import Finding

Stamp = tuple[int, ...]
MOST_BYTES = 2 << 30  # of one file: some seconds of reading; what is larger has its version alone


def stamps(inputs: Sequence[Input]) -> dict[str, Stamp]:
    """The state of each input's file before a run, by the dataset's name; what is no file that can be read from here is left out."""
    found = {entry.name: _stamp(entry.path) for entry in inputs if entry.path and not entry.masks and not entry.rows}
    return {name: stamp for name, stamp in found.items() if stamp}


def pin(inputs: list[Input], before: Mapping[str, Stamp]) -> list[Finding]:
    """Say of each input which bytes it was; a finding for one that was changed while it was read."""
    findings = []
    for number, entry in enumerate(inputs):
        if entry.name in before and entry.path:
            digest = _sha256(entry.path)
            if digest and _stamp(entry.path) == before[entry.name]:
                inputs[number] = entry.model_copy(update={"sha256": digest, "size_bytes": before[entry.name][0], "columns": _columns(entry.path)})
            else:
                message = f"the file of {entry.name} was changed while the notebook read it: nobody can say which bytes that were"
                findings.append(Finding(message, fix="submit it again", kind="changed_data"))
    return findings


def not_pinnable(inputs: Sequence[Input], names: Sequence[str]) -> list[Finding]:
    """A finding for each of these datasets of which no job could be held to the same bytes."""
    there, read = stamps(inputs), {entry.name for entry in inputs}
    findings = []
    for name in names:
        if name not in read:
            findings.append(Finding(f"{name} is pinned, and the job doesn't read it", fix="take it out of `pinned`, or read it", kind="not_pinnable"))
        elif name not in there:
            message = f"{name} is pinned, and is no plain file of at most {MOST_BYTES >> 30} GiB here (a folder, a table, masked or filtered)"
            findings.append(Finding(message, fix="take it out of `pinned`: its version is all that can be held", kind="not_pinnable"))
    return findings


def _columns(path: str) -> dict[str, str]:
    """Name -> type, of a file that is a table: what a production run compares its own data with."""
    found = tables.look(os.path.realpath(path), counted_bytes=0)
    return found["columns"] if found else {}


def _stamp(path: str) -> Stamp:
    """Size first, and what nobody can set back; empty for what is no file of at most MOST_BYTES."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        return ()
    return (found.st_size, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _sha256(path: str) -> str:
    """Empty where it can't be read any more."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
