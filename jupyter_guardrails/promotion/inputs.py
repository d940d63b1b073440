"""What a clean run read: sha256 and size of each dataset that is one file, if it stayed the same all the time; columns of each that is a table."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jupyter_guardrails.package import tables
from jupyter_guardrails.package.job import Input
from jupyter_guardrails.package.tables import Found
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
                inputs[number] = entry.model_copy(update={"sha256": digest, "size_bytes": before[entry.name][0], **_columns(entry.path)})
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


def lost(inputs: Sequence[Input], pinned: Sequence[str]) -> list[str]:
    """Datasets that the job, or their contract, holds to certain bytes, and of which nobody can say that they were read."""
    held = [entry for entry in inputs if entry.name in pinned or (entry.counts and entry.path and not entry.masks and not entry.rows)]
    return [entry.name for entry in held if entry.sha256 != (entry.counts or entry.sha256) or not entry.sha256]


def describe(inputs: list[Input], told: Callable[[str], Found]) -> list[Finding]:
    """Say of the others which columns they had, what production runs compare their own data with; a finding for a table that can't be told of.

    `told`: what control says of data that is masked, filtered or streamed, by the dataset's name.
    """
    findings = []
    for number, entry in enumerate(inputs):
        if entry.columns or entry.sha256:
            continue
        if entry.path and not entry.masks and not entry.rows:
            inputs[number] = entry.model_copy(update=_columns(entry.path))
            continue
        found = told(entry.name)
        inputs[number] = entry.model_copy(update={"columns": found["columns"]})
        if found["problem"] and found["format"]:
            message = f"the columns of {entry.name} can't be told, so nobody will hear when they change: {found['problem']}"
            findings.append(Finding(message, fix="say it to the dataset's owner, or go on with a reason", kind="columns_untold"))
    return findings


def _columns(path: str) -> dict[str, Any]:
    """`columns` of a file or folder that is a table, and those that only some files of the folder have."""
    columns, in_some_files = tables.columns_of(path)
    return {"columns": columns, "in_some_files": in_some_files}


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
