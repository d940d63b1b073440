"""What a kernel may ask on its channel: find datasets, open them, ask for access, and why a plain open() failed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import datasets, refusals, requests
from jupyter_guardrails.control.dataset_files import files_of, open_data
from jupyter_guardrails.control.interface.messages import DatasetsSearch, RequestCreate
from jupyter_guardrails.control.lineage_events import Run
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel
from jupyter_guardrails.errors import NotFound, Refused

LATE = "was granted after this kernel started, so its path is not readable here"
HOW_TO_LATE = "restart the kernel, or read it now with guarded.open({name!r})"


class Arguments(BaseModel):
    """Base of all arguments; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Search(Arguments):
    """Words to look for."""

    q: str = ""


class Name(Arguments):
    """A dataset."""

    name: str


class Open(Arguments):
    """A dataset, and a file in it where it is a folder."""

    name: str
    file: str = ""


class Ask(Arguments):
    """A request for access."""

    dataset: str
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=30, ge=1, le=365)


class Path(Arguments):
    """A path that could not be opened."""

    path: str = Field(max_length=4096)


async def hello(state: ControlState, live: LiveKernel, arguments: Arguments) -> Answer:
    """Who this kernel belongs to, and what it can read by path."""
    return Answer({"v": 1, "person": state.principal, "kernel": live.kernel_id, "datasets": sorted(live.admission.datasets)})


async def search(state: ControlState, live: LiveKernel, arguments: Search) -> Answer:
    """As the panel's search."""
    return Answer(await datasets.search(state, DatasetsSearch(q=arguments.q), []))


async def path(state: ControlState, live: LiveKernel, arguments: Name) -> Answer:
    """The dataset's path; `readable` is false, with what to do instead, when it was granted after the kernel's start."""
    contract, access = await _read(state, live, arguments.name)
    if readable(live, contract):
        return Answer({"path": contract.path, "readable": True})
    late = {"message": f"{contract.name} {LATE}", "next_step": HOW_TO_LATE.format(name=contract.name), "rule": str(access.decision.rule)}
    return Answer({"path": contract.path, "readable": False} | late)


async def open_file(state: ControlState, live: LiveKernel, arguments: Open) -> Answer:
    """A read-only descriptor of the dataset's file with its path and size; for a folder without `file`, the names of its files."""
    contract, _ = await _read(state, live, arguments.name, arguments.file)
    names = files_of(contract)
    if not arguments.file and names != [""]:
        return Answer({"path": contract.path, "size": None, "files": names})
    fd = open_data(contract, arguments.file)
    where = os.path.join(contract.path, arguments.file) if arguments.file else contract.path
    return Answer({"path": where, "size": os.fstat(fd).st_size}, (fd,))


async def request(state: ControlState, live: LiveKernel, arguments: Ask) -> Answer:
    """As the panel's request."""
    asked = RequestCreate(dataset=arguments.dataset, purpose=arguments.purpose, days=arguments.days)
    return Answer(await requests.create(state, asked, []))


async def explain(state: ControlState, live: LiveKernel, arguments: Path) -> Answer:
    """Why a path of a dataset cannot be opened in this kernel, as text; empty for any other path, or a dataset one may not know of."""
    contract = state.catalogs.current.by_path(arguments.path) if arguments.path.startswith("/") else None
    if contract is None:
        return Answer({"message": ""})
    try:
        contract, access = await _read(state, live, contract.name)
    except NotFound:
        return Answer({"message": ""})
    except Refused as refusal:
        return Answer({"message": str(refusal)})
    if readable(live, contract):
        return Answer({"message": ""})
    late = Refused(f"{contract.name} {LATE}", next_step=HOW_TO_LATE.format(name=contract.name), rule=str(access.decision.rule))
    return Answer({"message": str(late)})


def readable(live: LiveKernel, contract: Contract) -> bool:
    """Whether this kernel's sandbox was made with the dataset's path in it."""
    return live.admission.datasets.get(contract.name) == contract.path


async def _read(state: ControlState, live: LiveKernel, name: str, file: str = "") -> tuple[Contract, Access]:
    """The dataset that this kernel is about to read, recorded; Refused, with all that one needs to know, when it may not."""
    contract, access = await datasets.find(state, name)
    access = _declared(live, contract, access)
    decision = access.decision
    what = f"version {contract.version}{f', {file}' if file else ''}: {decision.reason}"
    await state.audit("data.read", contract.name, decision, reason=what, kernel=live.kernel_id, policy_digest=access.policy_digest)
    if not access.granted:
        refusals.note(live, contract.name, state.clock())
        owner = "" if f"({contract.owner})" in decision.next_step or not contract.owner else f" (owner: {contract.owner})"
        raise Refused(f"{decision.reason}{owner}", next_step=decision.next_step, rule=str(decision.rule))
    live.refused.pop(contract.name, None)
    state.lineage.read(Run(live.lease, live.kernel_id, live.kind, state.principal), contract, state.clock(), state.spawn)
    return contract, access


def _declared(live: LiveKernel, contract: Contract, access: Access) -> Access:
    """A clean run reads what it was started with and nothing else, or its package would lack an input."""
    if live.kind != "clean_run" or readable(live, contract) or not access.granted:
        return access
    reason = f"{contract.name} is not among the datasets that this clean run was started with"
    return replace(access, status="refused", decision=replace(access.decision, allowed=False, reason=reason, next_step="submit the notebook again"))


Operation = Callable[[ControlState, LiveKernel, Any], Awaitable[Answer]]
OPERATIONS: dict[str, tuple[type[Arguments], Operation]] = {
    "hello": (Arguments, hello),
    "datasets.search": (Search, search),
    "datasets.path": (Name, path),
    "datasets.open": (Open, open_file),
    "requests.create": (Ask, request),
    "explain": (Path, explain),
}
