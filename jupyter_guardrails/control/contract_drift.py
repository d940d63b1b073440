"""What changed in the contracts of a job's data since its clean run: versions, promised columns, and which bytes count. In sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.package import tables
from jupyter_guardrails.package.job import Input, Job

MOST_TOLD = 10  # columns of one contract


def changed(job: Job, contracts: Mapping[str, Contract]) -> list[str]:
    """Of each input that is not as it was; empty where all are."""
    return [text for entry in job.inputs for text in _of(entry, contracts.get(entry.name))]


def _of(entry: Input, now: Contract | None) -> Iterator[str]:
    if now is None:
        yield f"{entry.name} was {entry.version} in its clean run, and has no contract now"
        return
    if now.problems:
        yield f"{entry.name} has mistakes in its contract now, and is given to nobody until they are corrected"
        return
    if now.version != entry.version:
        yield f"{entry.name} was {entry.version} in its clean run, and is {now.version} now"
    yield from _columns(entry, {column.name: column.type for column in now.columns})
    if entry.counts and entry.counts != now.sha256:
        other = f"the file with sha256 {now.sha256[:12]}… counts now" if now.sha256 else "any file counts now"
        yield f"{entry.name}, by its contract: {other}, and {entry.counts[:12]}… did in its clean run"


def _columns(entry: Input, now: Mapping[str, str]) -> Iterator[str]:
    """Where the contract said of no column then, or says of none now, nobody promised anything."""
    if not entry.promised or not now:
        return
    typed = {name: kind if now.get(name) not in (kind, "") else "" for name, kind in entry.promised.items()}  # no type, no promise of one
    found = tables.differences(typed, now, extra=True)
    yield from (f"{entry.name}, by its contract: {text}" for text in found[:MOST_TOLD])
    if len(found) > MOST_TOLD:
        yield f"{entry.name}, by its contract: {len(found) - MOST_TOLD} more columns are others"
