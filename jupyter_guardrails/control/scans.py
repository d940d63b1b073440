"""Reads that the broker does: a plan from contract and access, its sources opened, and the order to this person's worker."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_guardrails.catalog import filters
from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.delivery import place_of
from jupyter_guardrails.catalog.derived import place_for
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.products import leaves
from jupyter_guardrails.catalog.spelling import alike, listed
from jupyter_guardrails.control.broker_process import STALL_S, outcome_of
from jupyter_guardrails.control.dataset_files import open_data
from jupyter_guardrails.control.egress_link import Question
from jupyter_guardrails.control.salt import salt_of
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound
from jupyter_guardrails.sandbox.beneath import open_beneath

if TYPE_CHECKING:  # control's state holds what is made here
    from jupyter_guardrails.control.state import ControlState

PIPE_BYTES = 1 << 20
SHARED_BYTES = 4 << 20  # the memory of a scan that worker and reader share
MOST_REMEMBERED = 256  # outcomes of one control's scans that nobody asked for yet
PREVIEW_S = 30.0
Outcome = asyncio.Future[Question]
Streamed = tuple[Outcome, tuple[int, ...]]  # how it ends, and the reader's descriptors: of a pipe, or as guarded/ring.py takes them


class Outcomes:
    """How scans end, by kernel and scan: a reader asks when it has read the last row."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Outcome] = OrderedDict()

    def put(self, lease: str, name: str, outcome: Outcome) -> None:
        """That kernel may ask for it by this name."""
        self._known[lease, name] = outcome
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def take(self, lease: str, name: str) -> Question:
        """The outcome, once; raises what ended the scan."""
        outcome = self._known.pop((lease, name), None)
        if outcome is None:
            raise NotFound("there is no such scan of this kernel, or control was restarted since", next_step="scan again")
        return await outcome_of(outcome)


def fresh_name() -> str:
    """By which a kernel asks how its scan ended, and control ends it."""
    return f"scan-{secrets.token_hex(8)}"


def plan_of(contract: Contract, access: Access, **asked: Any) -> ScanPlan:
    """The plan of a read; `asked`: columns, where, limit, form. BadRequest for a column that the contract and so the mask don't know."""
    bounds, known = access.bounds, tuple(column.name for column in contract.columns)
    wanted = asked.get("columns")
    described = set(known)
    unknown = [name for name in wanted or () if name not in described] if bounds.masks else []
    if unknown:
        said = f"{contract.name} has no column {unknown[0]!r} in its contract{alike(unknown[0], known)}"
        raise BadRequest(said, next_step=f"it has {listed(known)}")
    masks, owner = dict(bounds.masks), contract.owner or "unknown"
    return ScanPlan(contract.name, contract.version, owner, place_for(contract, bounds), known, masks, bounds.keep, **asked)


async def begin(state: ControlState, contract: Contract, plan: ScanPlan, *into: int, **said: Any) -> Outcome:
    """Hand the plan to this person's worker, which writes into `into`; descriptors stay the caller's. The outcome is still to come.

    `said`: `most_bytes` of a file, `scan` by which it can be cut, `shared` where `into` is what catalog/ring.py takes.
    """
    return await order(state, contract, plan, into, {"do": "scan", "salt": salt_of(state.settings.state_dir).hex()} | said)


async def order(state: ControlState, contract: Contract, plan: ScanPlan, into: Sequence[int], said: Question) -> Outcome:
    """Hand an order about the data of a plan to this person's worker: it gets `into`, and descriptors of what it reads behind them."""
    told = said | {"plan": plan.to_json(), "stall_s": STALL_S, "credentials": credentials_for(state, plan.place)}
    with _opened(contract) as fds:
        return await state.brokers.of(state.principal).begin(told, (*into, *fds))


def credentials_for(state: ControlState, place: Mapping[str, Any]) -> dict[str, Any] | None:
    """What opens a place; of a product what opens each of its inputs."""
    if place["kind"] == "product":
        return {"inputs": [credentials_for(state, one["place"]) for one in place["inputs"]]}
    return state.credentials.for_place(place)


async def stream(state: ControlState, contract: Contract, plan: ScanPlan, *, scan: str, shared: bool = False) -> Streamed:
    """The outcome to come, and the descriptors by which the scan is read; the caller closes them."""
    if shared:
        return await _into_memory(lambda *into: begin(state, contract, plan, *into, scan=scan, shared=True))
    return await _into_pipe(lambda writing: begin(state, contract, plan, writing, scan=scan))


async def answer(state: ControlState, order: dict[str, Any]) -> Streamed:
    """The same for another order to this person's worker."""
    order |= {"stall_s": STALL_S}
    return await _into_pipe(lambda writing: state.brokers.of(state.principal).begin(order, (writing,)))


def drop(streamed: Streamed) -> None:
    """Nobody gets it: its worker sees that nobody reads."""
    for fd in streamed[1]:
        os.close(fd)


async def _into_pipe(begun: Callable[[int], Awaitable[Outcome]]) -> Streamed:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # beyond what this account may have of pipes: the usual size does, more slowly
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        return await begun(writing), (reading,)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)


async def _into_memory(begun: Callable[..., Awaitable[Outcome]]) -> Streamed:
    """The worker's: where it tells what there is, where it hears what was taken, the memory. The reader's: the other ends, the memory to read."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        counts, telling = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, counts)
        ours.callback(os.close, telling)
        heard, taking = os.pipe2(os.O_CLOEXEC)
        ours.callback(os.close, heard)
        theirs.callback(os.close, taking)
        memory = os.memfd_create("rows", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        ours.callback(os.close, memory)
        os.ftruncate(memory, SHARED_BYTES)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)  # the worker never meets its end
        shown = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
        theirs.callback(os.close, shown)
        outcome = await begun(telling, heard, memory)
        theirs.pop_all()
        return outcome, (counts, taking, shown)


async def preview(state: ControlState, contract: Contract, access: Access) -> dict[str, Any] | None:
    """The first rows as this person may see them, `{columns, rows}`; None where there are none to show, or not in time."""
    try:
        return await told(state, contract, plan_of(contract, access, form="preview", limit=10))
    except (TimeoutError, Conflict, NotFound, BadRequest):
        return None  # the read itself will say why


async def told(state: ControlState, contract: Contract, plan: ScanPlan) -> Question:
    """What a worker says of a read whose form writes nothing; TimeoutError where it takes long."""
    reading, writing = os.pipe2(os.O_CLOEXEC)  # its reading end tells the worker whether anybody waits
    try:
        async with asyncio.timeout(PREVIEW_S):
            return await outcome_of(await begin(state, contract, plan, writing))
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _opened(contract: Contract) -> Iterator[Sequence[int]]:
    """Descriptors of local data: the one file, or the folder, which is opened again beneath it by the worker. Nothing else gets out of it.

    Of a product: those of its inputs, in their order.
    """
    fds: list[int] = []
    try:
        for one in leaves(contract):
            if place_of(one)["kind"] == "files":
                fds.append(open_root(one))
        yield tuple(fds)
    finally:
        for fd in fds:
            os.close(fd)


def open_root(contract: Contract) -> int:
    """A descriptor of a dataset's file for reading, or of its folder; the caller closes it. Never for a kernel: a folder's leads anywhere."""
    try:
        folder = open_beneath("/", contract.path.lstrip("/"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, no_symlinks=True)
    except NotADirectoryError:
        return open_data(contract)
    except OSError as error:
        raise Conflict(f"the place of {contract.name} cannot be opened: {error.strerror}", next_step=f"tell its owner ({contract.owner})") from error
    return folder


def names(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """A reader's list of columns without repeats; BadRequest for an empty one."""
    if columns is not None and not columns:
        raise BadRequest("no columns were asked for", next_step="leave `columns` out for all of them")
    return filters.names(columns)
