"""After a full disk: the leases get their time again, and what could not be recorded is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.control.state import ControlState, log
from jupyter_guardrails.errors import RecordsUnwritable
from jupyter_guardrails.records import audit, leases
from jupyter_guardrails.records.columns import iso

TELL_EVERY = timedelta(minutes=1)


@dataclass
class Disk:
    """What is known of the records' disk: when it last took everything, how many changes it refused, when the log last said so."""

    well_at: datetime
    unwritten: int = 0
    told_at: datetime | None = None

    def tell(self, error: RecordsUnwritable, now: datetime) -> None:
        """In the log, at most once a minute."""
        if self.told_at is None or now - self.told_at >= TELL_EVERY:
            self.told_at = now
            log.error("%s", error)


async def recover(state: ControlState, disk: Disk) -> bool:
    """True after a first write that works again: every lease got its time, and one record says what was lost. RecordsUnwritable until then."""
    seen = state.records.unwritten
    if seen == disk.unwritten:
        disk.well_at = state.clock()
        return False
    lost, now = seen - disk.unwritten, state.clock()
    reason = f"from {iso(disk.well_at)} on {lost} changes could not be recorded, and whoever asked for them was told; leases got their time again"
    fields = state.audit_fields("records.recovered", "records", reason=reason, rule="built-in nothing-goes-unrecorded", principal="(control)")
    await state.records.write(_give_time, fields, ttl_s=state.lease_ttl_s)
    log.warning("the records can be written again: %s", reason)
    disk.unwritten, disk.well_at, disk.told_at = seen, now, None
    return True


def _give_time(connection: Connection, fields: dict[str, Any], *, ttl_s: float) -> None:
    leases.reprieve(connection, now=fields["now"], ttl_s=ttl_s)
    audit.append(connection, **fields)
