"""What a kernel may ask the broker on its channel: a stream of rows, how it ended, and which columns there are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jupyter_guardrails.catalog.filters import read_filter
from jupyter_guardrails.control import delivered, following, scans
from jupyter_guardrails.control.channel_operations import Arguments, Operation
from jupyter_guardrails.control.reads import Asked, decided, recorded, with_record
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel

MOST_COLUMNS = 20_000


class Scan(Arguments):
    """Columns by name (None: all), a filter as catalog/filters.py reads it, at most `limit` rows; `shared`: its reader has guarded/ring.py."""

    name: str
    columns: list[str] | None = Field(default=None, max_length=MOST_COLUMNS)
    filter: Any = None
    limit: int | None = Field(default=None, ge=0)
    purpose: str = Field(default="", max_length=200)
    format: Literal["arrow", "csv"] = "arrow"
    shared: bool = False


class Columns(Arguments):
    """A dataset."""

    name: str


class ScanEnd(Arguments):
    """A scan of this kernel."""

    scan: str = Field(max_length=64)


async def scan(state: ControlState, live: LiveKernel, arguments: Scan) -> Answer:
    """What the rows are read by; ask `datasets.scan_end` after the last byte, since a broken pipe looks like an end."""
    columns, where = scans.names(arguments.columns), read_filter(arguments.filter)
    name = scans.fresh_name()
    read = await decided(state, live, Asked(arguments.name, purpose=arguments.purpose, columns=columns))

    async def begun() -> scans.Streamed:
        plan = scans.plan_of(read.contract, read.access, columns=columns, where=where, limit=arguments.limit, form=arguments.format)
        return await scans.stream(state, read.contract, plan, scan=name, shared=arguments.shared)

    outcome, fds = await with_record(state, live, read, begun, drop=scans.drop)
    state.outcomes.put(live.lease, name, outcome)
    following.follow(state, live, read, scan=name, outcome=outcome)
    said = {"scan": name, "format": arguments.format, "masks": dict(read.access.bounds.masks), "shared": arguments.shared}
    return Answer(said, fds)


async def scan_end(state: ControlState, live: LiveKernel, arguments: ScanEnd) -> Answer:
    """How many rows it had; raises what ended it before its end."""
    return Answer(await state.outcomes.take(live.lease, arguments.scan))


async def columns(state: ControlState, live: LiveKernel, arguments: Columns) -> Answer:
    """Names and types of what this kernel gets of it, after masks. No row is read, so that only a refusal is recorded, and no purpose is named."""
    read = await decided(state, live, Asked(arguments.name, explained=True))
    if not read.access.granted:
        await recorded(state, live, read)
    return Answer(await delivered.columns_of(state, read.contract, read.access))


OPERATIONS: dict[str, tuple[type[Arguments], Operation]] = {
    "datasets.scan": (Scan, scan),
    "datasets.scan_end": (ScanEnd, scan_end),
    "datasets.columns": (Columns, columns),
}
