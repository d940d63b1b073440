"""Datasets as control answers for them: search, one in full, the check of the catalogue, and what a kernel gets at its start."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import Any

from jupyter_guardrails.catalog import listing
from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.numbered import Numbered
from jupyter_guardrails.catalog.places import Places
from jupyter_guardrails.catalog.preview import Preview, preview
from jupyter_guardrails.catalog.published import Published
from jupyter_guardrails.control import labels, published, quality_state, scans
from jupyter_guardrails.control.dataset_files import files_of, open_data
from jupyter_guardrails.control.dataset_pages import page_of, parts_of
from jupyter_guardrails.control.interface.messages import DatasetCheck, DatasetShow, DatasetsSearch
from jupyter_guardrails.control.rights import Rights, rights
from jupyter_guardrails.control.state import ControlState, Operations
from jupyter_guardrails.control.visibility import Sets
from jupyter_guardrails.errors import GuardrailsError, NotFound, Refused
from jupyter_guardrails.policy import EffectivePolicy, Policy


async def search(state: ControlState, request: DatasetsSearch, fds: list[int]) -> dict[str, Any]:
    """Datasets that this person may know of and whose contracts have the words, best first; `total` before the limit."""
    everyones, policy = _policies(state)
    now, held, shelf = state.clock(), await rights(state), state.catalogs.shelf
    sets = await state.visible.of(policy, everyones, shelf.numbered, held, now)
    parts = parts_of(request, sets, await _published(state, request))
    page = page_of(request, parts, lambda contract: held.access(contract, policy, now), shelf)
    advisory = await state.advisory.of([contract for contract, _ in page.found], state.peer_uid)
    rows = [listing.entry(contract, access, policy, advisory=contract.name in advisory) for contract, access in page.found]
    return {"datasets": rows, "total": page.total}


def _policies(state: ControlState) -> tuple[Policy, EffectivePolicy]:
    """The policy in force and what it means for this person: of one and the same file."""
    policy, effective = state.policies.in_force, state.effective()
    return (policy, effective) if policy.digest == effective.digest else _policies(state)


async def _published(state: ControlState, request: DatasetsSearch) -> list[published.Seen]:
    """What people published and this person may know of."""
    found = await published.listed(state, request.q)
    return [one for one in found.values() if request.scope in ("all", one.access.status)]


async def show(state: ControlState, request: DatasetShow, fds: list[int]) -> dict[str, Any]:
    """One dataset in full; NotFound also for one that this person may not know of."""
    policy = state.effective()
    contract, access = await find(state, request.name)
    rows = await _preview(state, contract, access) if access.granted else None
    advisory = await state.advisory.of([contract], state.peer_uid)
    found = listing.detail(contract, access, policy, rows, advisory=bool(advisory))
    found |= {"quality": await quality_state.state_of(state, contract, access), "inputs": await _inputs(state, contract, policy)}
    return found | listing.without_path(contract) if isinstance(contract, Published) and access.granted else found


async def _inputs(state: ControlState, contract: Contract, policy: EffectivePolicy) -> list[dict[str, str]]:
    """What a product is made of, with versions; a dataset that this person may not know of has no name here."""
    held, now = await rights(state), state.clock()
    known = ((one, held.access(one, policy, now).listed) for one in contract.made_from)
    return [{"name": one.name, "version": one.version} if listed else {"name": labels.UNKNOWN, "version": ""} for one, listed in known]


async def check(state: ControlState, request: DatasetCheck, fds: list[int]) -> dict[str, Any]:
    """Every contract of the catalogue with its mistakes, for admins: it names datasets that others may not know of."""
    if "admin" not in state.effective().roles:
        raise Refused("only admins may check the whole catalogue", next_step="check files of your own: jupyter guardrails data check DIR")
    catalog = state.catalogs.current
    folder = [{"file": problem.file, "name": "", "problems": [str(problem)]} for problem in catalog.folder_problems]
    contracts = sorted((*catalog.contracts.values(), *catalog.broken), key=lambda contract: contract.file)
    return {"contracts": folder + [{"file": c.file, "name": c.name, "problems": [str(problem) for problem in c.problems]} for c in contracts]}


async def find(state: ControlState, name: str, held: Rights | None = None) -> tuple[Contract, Access]:
    """A contract and what this person may have of it, by these rights or (None) those of now; NotFound when they may know of none."""
    contract = state.catalogs.current.by_name.get(name)
    if contract is not None:
        access = (held or await rights(state)).access(contract, state.effective(), state.clock())
        if access.listed:
            return contract, access
    elif (one := await published.find(state, name)) is not None:
        return one.contract, one.access
    shown = name[:200].encode("utf-8", "backslashreplace").decode()
    raise NotFound(f"there is no dataset {shown!r} that you may know of", next_step="look it up: guarded.datasets('part of the name')")


async def grants_at_start(state: ControlState, effective: EffectivePolicy, now: datetime) -> dict[str, str]:
    """Dataset name -> path of all that this person reads as it is; called by admission when a kernel is admitted, and by the launcher.

    What break-glass opens is not among them: where no mounter is, a kernel keeps a path until it ends.
    """
    held = (await rights(state, effective.person)).lasting()
    return await asyncio.to_thread(_those_there, await by_path(state, held, effective, now))


def _those_there(found: dict[str, str]) -> dict[str, str]:
    places = Places()
    return {name: path for name, path in found.items() if places.is_there(path)}


async def by_path(state: ControlState, held: Rights, effective: EffectivePolicy, now: datetime) -> dict[str, str]:
    """Dataset name -> path of all that a person with these rights reads directly, whether it is there or not.

    What is masked, filtered or bound to a purpose is never among them: its file has what the mask hides.
    """
    sets, numbered = await sets_of(state, held, effective, now)
    return {contract.name: contract.path for contract in numbered.among(sets.raw)}


async def sets_of(state: ControlState, held: Rights, effective: EffectivePolicy, now: datetime) -> tuple[Sets, Numbered]:
    """What a person with these rights may know of and read, as numbers of contracts, and these: all are decided at once, and in no one's way."""
    numbered = state.catalogs.shelf.numbered
    return await state.visible.of(effective, state.policies.in_force, numbered, held, now), numbered


async def _preview(state: ControlState, contract: Contract, access: Access) -> Preview | None:
    """The first rows of its file, or of the first file in its folder, as this person may see them; None where there are none to show.

    What is bound to a purpose has none: whoever reads it has to name one.
    """
    if access.bounds.purposes:
        return None
    if access.bounds.delivery != "direct":
        return await scans.preview(state, contract, access)
    form = contract.format
    for file in files_of(contract)[:1]:
        try:
            fd = open_data(contract, file)
        except GuardrailsError:
            return None  # it is gone since the contract was read; the read itself will say so
        try:
            return await preview(fd, form if form != "directory" else file.rpartition(".")[2].lower())
        finally:
            os.close(fd)
    return None


OPERATIONS: Operations = {DatasetsSearch: search, DatasetShow: show, DatasetCheck: check}
