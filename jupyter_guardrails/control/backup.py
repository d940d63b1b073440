"""A backup of everything, made while control works, into a file that its caller opened."""

from __future__ import annotations

import dataclasses
import os
import pwd
from typing import Any, BinaryIO

from sqlalchemy import Connection

from jupyter_guardrails.control.audit import is_admin
from jupyter_guardrails.control.interface.backup import RecordsBackup
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.errors import BadRequest, GuardrailsError, Refused
from jupyter_guardrails.records import backup

RULE = "built-in backups-are-for-admins"


async def make(state: ControlState, request: RecordsBackup, fds: list[int]) -> dict[str, Any]:
    """Tables as of one moment and the files beside them; recorded before it begins, so that it is in the backup too."""
    if not may(state):
        reason = "a backup holds everybody's records"
        await state.audit("records.backup", "records", allowed=False, reason=reason, rule=RULE)
        raise Refused(f"{state.principal} may not make one: {reason}", next_step="ask an admin: the policy names them under `admins`", rule=RULE)
    if len(fds) != 1:
        raise BadRequest("a backup needs the file that it is written to", next_step="jupyter guardrails backup FILE")
    await state.audit("records.backup", "records", reason="with control's private key" if request.with_keys else "without private keys", rule=RULE)
    with open(os.dup(fds[0]), "wb") as sink:
        written = await state.records.read(_write, sink, state, with_keys=request.with_keys)
    return dataclasses.asdict(written)


def may(state: ControlState) -> bool:
    """Admins; and the account that control itself runs as, which can read the files anyway."""
    own = state.settings.person is None and state.principal == pwd.getpwuid(os.getuid()).pw_name
    return own or is_admin(state)


def _write(connection: Connection, sink: BinaryIO, state: ControlState, *, with_keys: bool) -> backup.Written:
    try:
        written = backup.write(connection, sink, state.settings.state_dir, now=state.clock(), with_keys=with_keys)
        sink.flush()
        os.fsync(sink.fileno())
    except OSError as error:
        raise GuardrailsError(f"the backup could not be written: {error.strerror}", next_step="write it to a disk with more room") from error
    return written


OPERATIONS: Operations = {RecordsBackup: make}
