"""What a kernel may ask on its channel: find datasets, open them, ask for access, and why a plain open() failed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.published import Published
from jupyter_guardrails.control import datasets, labels, live_grants, package_requests, requests
from jupyter_guardrails.control.dataset_files import MAX_FILES, file_of, files_of, open_data
from jupyter_guardrails.control.interface.messages import DatasetsSearch, RequestCreate
from jupyter_guardrails.control.interface.package_requests import PackageAsk
from jupyter_guardrails.control.reads import read_of
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel
from jupyter_guardrails.errors import BadRequest, NotFound, Refused

LATE = "was granted after this kernel started, and this machine can't show it to a kernel that runs"
HOW_TO_LATE = "read it now with guarded.open({name!r}), or restart the kernel to use its path"
GONE = "may be read, and its data is not at {path} any more"
ELSEWHERE = "was granted after this kernel started: it is at {path} in this kernel"


class Arguments(BaseModel):
    """Base of all arguments; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Search(Arguments):
    """Words to look for."""

    q: str = ""


class Name(Arguments):
    """A dataset, and what for."""

    name: str
    purpose: str = Field(default="", max_length=200)


class Open(Arguments):
    """A dataset, and a file in it where it is a folder."""

    name: str
    file: str = ""
    purpose: str = Field(default="", max_length=200)


class Ask(Arguments):
    """A request for access."""

    dataset: str
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=30, ge=1, le=365)


class AskPackage(Arguments):
    """A request for a Python package that the policy's list doesn't name."""

    package: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=90, ge=1, le=365)


class Path(Arguments):
    """A path that could not be opened."""

    path: str = Field(max_length=4096)


async def hello(state: ControlState, live: LiveKernel, arguments: Arguments) -> Answer:
    """Who this kernel belongs to, and what it can read by path."""
    return Answer({"v": 1, "person": state.principal, "kernel": live.kernel_id, "datasets": live_grants.names(live)})


async def search(state: ControlState, live: LiveKernel, arguments: Search) -> Answer:
    """As the panel's search."""
    return Answer(await datasets.search(state, DatasetsSearch(q=arguments.q), []))


async def path(state: ControlState, live: LiveKernel, arguments: Name) -> Answer:
    """Where this kernel sees the dataset; `readable` is false, with what to do instead, when it has no path here."""
    contract, access = await read_of(state, live, arguments.name, purpose=arguments.purpose)
    if isinstance(contract, Published):
        return Answer({"path": "", "readable": False} | _by_name_only(contract))
    if not access.bounds.raw:
        return Answer({"path": by_descriptor(contract, access), "readable": False, "delivery": access.bounds.delivery} | shut(contract, access))
    where = await live_grants.path_in(state, live, contract.name, contract.path)
    if where is not None:
        return Answer({"path": where, "readable": True})
    why = await _not_shown(contract, access)
    return Answer({"path": contract.path, "readable": False, "message": why.message, "next_step": why.next_step, "rule": why.rule})


async def _not_shown(contract: Contract, access: Access) -> Refused:
    """Why data that may be read has no place in this kernel: nothing is there, or this machine can't show it to a kernel that runs."""
    rule = str(access.decision.rule)
    if await asyncio.to_thread(file_of, contract.path) is None:
        return Refused(f"{contract.name} {GONE.format(path=contract.path)}", next_step=f"tell its owner ({contract.owner or 'unknown'})", rule=rule)
    return Refused(f"{contract.name} {LATE}", next_step=HOW_TO_LATE.format(name=contract.name), rule=rule)


async def open_file(state: ControlState, live: LiveKernel, arguments: Open) -> Answer:
    """A read-only descriptor of the dataset's file with its path and size; for a folder without `file`, the names of its files (`complete`:
    all of them). Of what is masked or filtered it is a copy's; what is only streamed has none.
    """
    contract, access = await read_of(state, live, arguments.name, file=arguments.file, purpose=arguments.purpose)
    if access.bounds.delivery == "brokered":
        said = shut(contract, access)
        raise Refused(said["message"], next_step=said["next_step"], rule=said["rule"])
    if access.bounds.delivery == "view":
        return await _view(state, contract, access, arguments.file)
    names = [""] if arguments.file else await asyncio.to_thread(files_of, contract, MAX_FILES)
    if names != [""]:
        return Answer({"path": contract.path, "size": None, "files": names, "complete": len(names) < MAX_FILES})
    fd = open_data(contract, arguments.file)
    where = os.path.join(contract.path, arguments.file) if arguments.file else contract.path
    where = f"{contract.name}.{contract.format}" if isinstance(contract, Published) else where
    return Answer({"path": where, "size": os.fstat(fd).st_size}, (fd,))


async def _view(state: ControlState, contract: Contract, access: Access, file: str) -> Answer:
    if file:
        raise BadRequest(f"{contract.name} is one file here, since it is masked or filtered", next_step="leave `file` out")
    fd = await state.views.open(state, contract, access)
    return Answer({"path": by_descriptor(contract, access), "size": os.fstat(fd).st_size, "delivery": "view", "format": "parquet"}, (fd,))


def by_descriptor(contract: Contract, access: Access) -> str:
    """What stands for the path of data that has none in a kernel."""
    return contract.path if access.bounds.delivery == "direct" else f"dataset://{contract.name}"


def shut(contract: Contract, access: Access) -> dict[str, str]:
    """Why there is no path to data that may be read, and what to type instead."""
    bounds = access.bounds
    if bounds.masks or bounds.hides_rows:
        parts = [f"its columns {', '.join(list(bounds.masks)[:5])} are masked"] if bounds.masks else []
        why = " and ".join([*parts, *(["only some of its rows are yours"] if bounds.hides_rows else [])])
    else:
        why = f"it is bound to a purpose ({', '.join(bounds.purposes)})" if bounds.purposes else f"its delivery is {bounds.delivery}"
    purpose = f", purpose={bounds.purposes[0]!r}" if bounds.purposes else ""
    step = f"guarded.open({contract.name!r}{purpose}).to_pandas()"
    return {"message": f"{contract.name} has no path here: {why}", "next_step": step, "rule": str(access.decision.rule)}


def _by_name_only(contract: Published) -> dict[str, str]:
    message = f"{contract.name} was published from a kernel, and is opened by its name: it has no path"
    return {"message": message, "next_step": f"guarded.open({contract.name!r})", "rule": ""}


async def request(state: ControlState, live: LiveKernel, arguments: Ask) -> Answer:
    """As the panel's request; what is granted at once is there when this answers."""
    asked = RequestCreate(dataset=arguments.dataset, purpose=arguments.purpose, days=arguments.days)
    answer = await requests.create(state, asked, [])
    contract = state.catalogs.current.contracts.get(arguments.dataset)
    if answer["state"] == "granted" and contract is not None:
        await live_grants.path_in(state, live, contract.name, contract.path)
    return Answer(answer)


async def request_package(state: ControlState, live: LiveKernel, arguments: AskPackage) -> Answer:
    """As the panel's request."""
    if live.kind == "clean_run":
        raise Refused("a clean run asks for nothing: it has the packages of its lock", next_step="ask in a kernel of yours")
    return Answer(await package_requests.ask(state, PackageAsk(**arguments.model_dump()), []))


async def carried(state: ControlState, live: LiveKernel, arguments: Arguments) -> Answer:
    """What this kernel's workspace carries, and why."""
    return Answer(await labels.shown(state, await labels.of_kernel(state, live)))


async def explain(state: ControlState, live: LiveKernel, arguments: Path) -> Answer:
    """Why a path of a dataset cannot be opened in this kernel, as text; empty for any other path, or a dataset one may not know of."""
    catalog, path = state.catalogs.current, arguments.path
    by_its_own_path = catalog.by_path(path) if path.startswith("/") else None
    contract = by_its_own_path or catalog.contracts.get(live_grants.dataset_at(live, path, catalog.contracts))
    if contract is None:
        return Answer({"message": ""})
    try:
        contract, access = await read_of(state, live, contract.name, explained=True)
    except NotFound:
        return Answer({"message": ""})
    except Refused as refusal:
        return Answer({"message": str(refusal)})
    if not access.bounds.raw:
        said = shut(contract, access)
        return Answer({"message": str(Refused(said["message"], next_step=said["next_step"], rule=said["rule"]))})
    seen = await live_grants.path_in(state, live, contract.name, contract.path)
    if seen is None or await asyncio.to_thread(file_of, contract.path) is None:
        return Answer({"message": str(await _not_shown(contract, access))})
    if seen == contract.path or by_its_own_path is None:
        return Answer({"message": ""})
    what, next_step = ELSEWHERE.format(path=seen), f"guarded.path({contract.name!r})"
    return Answer({"message": str(Refused(f"{contract.name} {what}", next_step=next_step, rule=str(access.decision.rule)))})


Operation = Callable[[ControlState, LiveKernel, Any], Awaitable[Answer]]
OPERATIONS: dict[str, tuple[type[Arguments], Operation]] = {
    "hello": (Arguments, hello),
    "datasets.search": (Search, search),
    "datasets.path": (Name, path),
    "datasets.open": (Open, open_file),
    "requests.create": (Ask, request),
    "requests.package": (AskPackage, request_package),
    "labels": (Arguments, carried),
    "explain": (Path, explain),
}
