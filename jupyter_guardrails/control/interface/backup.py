"""The request for a backup."""

from __future__ import annotations

from jupyter_guardrails.control.interface.messages import Request


class RecordsBackup(Request):
    """-> {seq, rows: {table: int}, files, left_out: [str]}. fd 0 is the file that the backup is written to; for admins, and whoever owns control."""

    op = "records.backup"
    timeout_s = 6 * 3600.0
    with_keys: bool = False  # also the private key that signs in control's name
