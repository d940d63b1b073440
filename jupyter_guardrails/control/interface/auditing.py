"""Requests about the audit log beside `Audit`, and the cells that a server saw run."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, Field

from jupyter_guardrails.control.interface.messages import Request

TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
MOST_CODE = 4000  # characters that are kept of a cell
MOST_CELLS = 500  # in one request


class AuditFind(Request):
    """-> {records: [AuditRecord], next: int}. Own records, everybody's for admins; the last ones where `last` says so."""

    op = "audit.find"
    after: int = Field(default=0, ge=0, lt=1 << 63)
    limit: int = Field(default=200, ge=1, le=1000)
    since: str | None = Field(default=None, pattern=TIME)
    until: str | None = Field(default=None, pattern=TIME)
    person: str | None = None
    actions: list[str] = Field(default_factory=list, max_length=50)
    last: bool = False


class AuditExport(Request):
    """-> {count, first, last}. fd 0 is a regular file, which gets the records, their anchors and a signature; own ones, everybody's for admins."""

    op = "audit.export"
    since: str | None = Field(default=None, pattern=TIME)
    until: str | None = Field(default=None, pattern=TIME)
    person: str | None = None
    actions: list[str] = Field(default_factory=list, max_length=50)


class AuditNewKey(Request):
    """Admins only -> {key}. A fresh key signs the log from now on, announced by the one before it."""

    op = "audit.key"


class AuditSinks(Request):
    """-> {sinks: [{name, required, behind, problem}], key}: where records go beside the table, and the public key of the log."""

    op = "audit.sinks"


class Cell(BaseModel):
    """A cell that somebody sent to their kernel: SHA-256 of the whole code, and its first MOST_CODE characters."""

    kernel_id: str = Field(max_length=200)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    code: str = Field(max_length=MOST_CODE)


class KernelCells(Request):
    """-> {}. Cells in the order in which they were sent; those of kernels that aren't this person's are left out."""

    op = "kernel.cells"
    cells: list[Cell] = Field(max_length=MOST_CELLS)
    lost: int = Field(default=0, ge=0, lt=1 << 31)  # more than could be kept until control answered


def cell_of(kernel_id: str, code: str) -> Cell:
    """What control is told of a cell."""
    sendable = code.encode("utf-8", "backslashreplace")
    return Cell(kernel_id=kernel_id, digest=hashlib.sha256(sendable).hexdigest(), code=sendable.decode()[:MOST_CODE])
