"""A kernel's read of a dataset: decided, recorded together with the mark that it leaves, and given out when that record is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import versions
from jupyter_guardrails.control import datasets, declared, labels, refusals, statements
from jupyter_guardrails.control.lineage_events import Run
from jupyter_guardrails.control.rights import Rights, rights
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.control.statements import Statement
from jupyter_guardrails.errors import Refused

T = TypeVar("T")
COLUMNS_TOLD = 20  # of a read, in its record
HANDED_OVER_S = 0.005  # an order to a worker: while it is made, the records' thread would only take turns with this one


@dataclass(frozen=True, slots=True)
class Asked:
    """What a kernel wants of a dataset. `statement`: it is read by SQL; `explained`: nothing is read, and no purpose needs to be named."""

    name: str
    file: str = ""
    purpose: str = ""
    columns: Sequence[str] | None = None
    explained: bool = False
    statement: Statement | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One read as it was decided, by these rights of its person."""

    asked: Asked
    contract: Contract
    access: Access
    held: Rights


async def read_of(state: ControlState, live: LiveKernel, name: str, **asked: Any) -> tuple[Contract, Access]:
    """The dataset that this kernel is about to read, recorded; Refused, with all that one needs to know, when it may not. As `Asked` says."""
    read = await decided(state, live, Asked(name, **asked))
    await recorded(state, live, read)
    return read.contract, read.access


async def decided(state: ControlState, live: LiveKernel, asked: Asked) -> Read:
    """Whether it may be read now, by everything that narrows it; NotFound for what this person may not know of. Nothing is recorded."""
    held = await rights(state)
    contract, access = await datasets.find(state, asked.name, held)
    access = declared.narrowed(state, live, contract, access)
    access = access if asked.explained else _purposeful(contract, access, asked.purpose)
    access = access if asked.statement is None else statements.narrowed(state, contract, access)
    return Read(asked, contract, access, held)


async def recorded(state: ControlState, live: LiveKernel, read: Read) -> None:
    """Returns when the record is durable; Refused when it is one of a refusal."""
    contract, access, explained = read.contract, read.access, read.asked.explained
    given = labels.given(state, read.held, contract, state.principal, access.decision)
    await labels.record_read(state, live, given, _fields(state, live, read), allowed=access.granted and not explained)
    if not access.granted:
        refusals.note(live, contract.name, state.clock())
        raise refusal_of(read)
    live.refused.pop(contract.name, None)
    if not explained:
        state.lineage.read(Run(live.lease, live.kernel_id, live.kind, state.principal), contract, state.clock(), state.spawn)


async def with_record(
    state: ControlState, live: LiveKernel, read: Read, begun: Callable[[], Coroutine[Any, Any, T]], *, drop: Callable[[T], object]
) -> T:
    """What `begun` makes, which begins before the record is written, and is handed out when that is durable; else it goes to `drop`.

    It is never cut short: descriptors may be on their way to a worker.
    """
    if not read.access.granted:
        await recorded(state, live, read)
    making = asyncio.get_running_loop().create_task(begun())
    try:
        await asyncio.wait([making], timeout=HANDED_OVER_S)
        await recorded(state, live, read)
        return await asyncio.shield(making)
    except BaseException:
        making.add_done_callback(lambda done: None if done.cancelled() or done.exception() else drop(done.result()))
        raise


def refusal_of(read: Read) -> Refused:
    """Why it may not be read, whom to ask, and how."""
    contract, decision = read.contract, read.access.decision
    owner = "" if f"({contract.owner})" in decision.next_step or not contract.owner else f" (owner: {contract.owner})"
    return Refused(f"{decision.reason}{owner}", next_step=decision.next_step, rule=str(decision.rule))


def _fields(state: ControlState, live: LiveKernel, read: Read) -> dict[str, Any]:
    """Of its audit record."""
    contract, decision, statement = read.contract, read.access.decision, read.asked.statement
    how = f", SQL {statement.digest[:12]}" if statement else ""
    what = f"version {versions(contract)}{_details(read)}{how}: {decision.reason}"
    said = {"reason": what, "kernel": live.kernel_id, "policy_digest": read.access.policy_digest}
    return state.audit_fields("data.read", contract.name, decision, **(statement.recorded() if statement else {}), **said)


def _purposeful(contract: Contract, access: Access, purpose: str) -> Access:
    """Data that is bound to purposes is given to who names one of them."""
    if not access.granted or not access.bounds.purposes or purpose in access.bounds.purposes:
        return access
    listed = ", ".join(access.bounds.purposes)
    reason = f"{contract.name} may be used for {listed} only" + (f", and {purpose!r} is none of them" if purpose else ", and no purpose was named")
    step = f"guarded.open({contract.name!r}, purpose={access.bounds.purposes[0]!r})"
    return replace(access, status="refused", decision=replace(access.decision, allowed=False, reason=reason, next_step=step))


def _details(read: Read) -> str:
    """What exactly was read, for the record."""
    columns, purpose = read.asked.columns, read.asked.purpose
    listed = (
        f"{', '.join(columns[:COLUMNS_TOLD])}{f' and {len(columns) - COLUMNS_TOLD} more' if len(columns) > COLUMNS_TOLD else ''}" if columns else ""
    )
    masked = ", ".join(f"{name} {kind}" for name, kind in list(read.access.bounds.masks.items())[:COLUMNS_TOLD])
    parts = (read.asked.file, listed and f"columns {listed}", masked and f"masked {masked}", purpose and f"purpose {purpose!r}")
    return "".join(f", {part}" for part in parts if part)
