"""The datasets that a job declares: its clean run, and whoever runs it later, read those and no others, and never with looser masks or other rows.

What a clean run was bound to is fixed when its notebook's names are known, and goes into its package: a job that is run by somebody else is
refused where that person would see more than the author did.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jupyter_guardrails.catalog import filters
from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.delivery import STRICTNESS, Bounds
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import counting, datasets
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.salt import salt_of
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.errors import Refused

AS_ITS_AUTHOR = "run it as somebody who reads {name} with these masks or stricter ones, or submit the notebook as yourself"
AGAIN = "submit the notebook again"


def rows_digest(state: ControlState, bounds: Bounds) -> str:
    """Names row filters, of a product's inputs too, without telling them; empty for all rows.

    Keyed with control's secret, since who guesses an attribute could try it out.
    """
    if not bounds.hides_rows:
        return ""
    text = json.dumps(_filters_of(bounds), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), key=salt_of(state.settings.state_dir), person=b"row filter", digest_size=16).hexdigest()


def _filters_of(bounds: Bounds) -> Any:
    keep = filters.to_json(bounds.keep)
    return [keep, *map(_filters_of, bounds.inputs)] if bounds.inputs else keep


def bound(state: ControlState, contract: Contract, access: Access) -> DeclaredInput:
    """A dataset as this person reads it now."""
    bounds = access.bounds
    said = {"name": contract.name, "version": contract.version, "masks": dict(bounds.masks), "rows": rows_digest(state, bounds)}
    said["counts"] = contract.sha256
    return DeclaredInput.model_validate(said)


async def of_clean_run(state: ControlState, names: Iterable[str]) -> list[DeclaredInput]:
    """What a notebook names, bound as its author reads it now; Refused for one that may not be read."""
    found = [await granted(state, name) for name in dict.fromkeys(names)]
    return [bound(state, contract, access) for contract, access in found]


async def check_job(state: ControlState, inputs: Sequence[DeclaredInput]) -> None:
    """Refused, before anything of a job runs, where who runs it may not read an input, or would see more of it than its clean run did."""
    for entry in inputs:
        contract, access = await granted(state, entry.name)
        if more := looser(entry, bound(state, contract, access)):
            raise Refused(more, next_step=AS_ITS_AUTHOR.format(name=entry.name), rule=str(access.decision.rule))


async def granted(state: ControlState, name: str) -> tuple[Contract, Access]:
    """A dataset as this person reads it now; Refused where they may not, or its file is not the one that its contract says counts."""
    contract, access = await datasets.find(state, name)
    if not access.granted:
        raise Refused(access.decision.reason, next_step=access.decision.next_step, rule=str(access.decision.rule))
    await asyncio.to_thread(counting.check, contract)
    return contract, access


def looser(seen: DeclaredInput, now: DeclaredInput) -> str:
    """In one sentence what would be seen now that the clean run did not see, or that counts no more; empty where there is nothing."""
    bare = [column for column, kind in seen.masks.items() if _strictness(now.masks, column) < STRICTNESS.index(kind)]
    if bare:
        columns = ", ".join(f"{column} ({seen.masks[column]}, now {now.masks.get(column) or 'none'})" for column in bare[:5])
        return f"{seen.name} was masked in the clean run of this job, and would be less so now: {columns}"
    if seen.rows and now.rows != seen.rows:
        return f"the clean run of this job saw only some rows of {seen.name}, and now they would be others"
    if seen.counts and now.counts and seen.counts != now.counts:
        return f"other bytes of {seen.name} count by its contract now (sha256 {now.counts[:12]}) than in the clean run (sha256 {seen.counts[:12]})"
    return ""


def _strictness(masks: Mapping[str, str], column: str) -> int:
    kind = masks.get(column)
    return STRICTNESS.index(kind) if kind is not None else -1


def narrowed(state: ControlState, live: LiveKernel, contract: Contract, access: Access) -> Access:
    """What a job may have of a dataset over its channel: nothing that it doesn't declare, and no more of it than its clean run had."""
    known = live.admission.declared
    if not access.granted or (known is None and live.kind != "clean_run"):
        return access
    entry = next((entry for entry in known or () if entry.name == contract.name), None)
    if entry is None:
        return _refused(access, f"{contract.name} is not among the datasets that this job declares", AGAIN)
    if live.kind == "clean_run" and entry.version != contract.version:
        return _refused(access, f"{contract.name} was {entry.version} when this clean run began, and is {contract.version} now", AGAIN)
    if more := looser(entry, bound(state, contract, access)):
        return _refused(access, more, AGAIN if live.kind == "clean_run" else AS_ITS_AUTHOR.format(name=contract.name))
    return access


def _refused(access: Access, reason: str, next_step: str) -> Access:
    return replace(access, status="refused", decision=replace(access.decision, allowed=False, reason=reason, next_step=next_step))
