"""Sending a built package to a control of another account: its zip, in parts of sealed memory."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_guardrails.control.interface.content import sealed
from jupyter_guardrails.control.interface.work import PART_BYTES, WorkerPart
from jupyter_guardrails.package import archive
from jupyter_guardrails.promotion.work import Work


def send(work: Work, folder: Path) -> int:
    """Pack the folder and send all of it; how many bytes that were."""
    path = folder.with_suffix(archive.SUFFIX)
    archive.pack(folder, path)
    offset, size = 0, path.stat().st_size
    with path.open("rb") as source:
        while offset < size:
            part = sealed(source, limit_bytes=PART_BYTES)
            try:
                offset = work.control.call(WorkerPart(submission=work.order.submission, offset=offset), fds=[part])["size_bytes"]
            finally:
                os.close(part)
    path.unlink()
    return offset
