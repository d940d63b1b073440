"""Inherited labels: which datasets were given to which workspace, written where control records that it gives them, and what follows from it.

A mark lies on every folder that the kernel can write, its workspace first: a second kernel, a terminal or another person who reads there
reads what was made of the data. So a label counts for all who see the folder, and only a review of what is published lowers it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.labels import Input, Label, in_words, label_of, rank
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import parts_of
from jupyter_guardrails.catalog.published import Published
from jupyter_guardrails.control import written
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.rights import BREAK_GLASS, Rights, rights
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.policy import Decision, decide
from jupyter_guardrails.records import audit, marks
from jupyter_guardrails.records.columns import iso, storable

UNKNOWN = "a dataset that you may not know of"


def seen(live: LiveKernel) -> list[str]:
    """The places in which a kernel may find what was made of data; in everything of its person's lies what nobody knows the place of."""
    anywhere = written.everything_of(live.admission.principal)
    return [*written.places(live), *map(os.path.realpath, live.admission.read_paths), anywhere]


async def record_read(state: ControlState, live: LiveKernel, given: list[Input], fields: dict[str, Any], *, allowed: bool) -> None:
    """The audit record of a read, and with it the mark: called wherever control gives data to a kernel that runs."""
    await state.records.write(_record_read, live, given if allowed else [], fields, state.clock())


def _record_read(connection: Connection, live: LiveKernel, given: list[Input], fields: dict[str, Any], now: datetime) -> None:
    audit.append(connection, **fields)
    mark(connection, live, given, now=now)


def mark(connection: Connection, live: LiveKernel, given: Iterable[Input], *, now: datetime) -> None:
    """Inside the transaction in which a kernel gets data: at its start, or when it reads."""
    for item in given:
        said = {"dataset": storable(item.name), "version": storable(item.version), "classification": storable(item.classification)}
        said |= {"principal": live.admission.principal, "kernel": live.kernel_id}
        bounds: dict[str, Any] = {"purposes": list(item.purposes), "expires_at": item.expires_at}
        marks.put(connection, [said | bounds | {"place": storable(place)} for place in written.places(live)], now=now)


async def at_start(state: ControlState, admission: Admission) -> list[Input]:
    """What a kernel is given with its first breath: every dataset whose path its sandbox holds."""
    held, contracts = await rights(state, admission.principal), state.catalogs.current.by_name
    return [item for name in admission.datasets if name in contracts for item in given(state, held, contracts[name], admission.principal)]


def given(state: ControlState, held: Rights, contract: Contract, person: str, decision: Decision | None = None) -> list[Input]:
    """A dataset as an input, with the end of whatever it is given by; published data and products together with what they are made of."""
    if isinstance(contract, Published):
        return [Input(contract.name, contract.version, contract.classification, contract.purposes, contract.expires_at), *_made_of(contract)]
    until = _until(state, held, contract, person, decision)
    return [Input(one.name, one.version, one.classification, one.purposes, until) for one in parts_of(contract)]


def _made_of(contract: Published) -> list[Input]:
    """Its inputs as far as they show in it: a review that lowered its label has lowered theirs in it, too."""
    reviewed = contract.classification
    return [item if rank(item.classification) <= rank(reviewed) else replace(item, classification=reviewed) for item in contract.inputs]


def _until(state: ControlState, held: Rights, contract: Contract, person: str, decision: Decision | None) -> datetime | None:
    """When that ends by which this person reads it; None where the policy itself lets them."""
    if decision is not None and decision.rule == BREAK_GLASS:
        return held.exempt[contract.name]["ends_at"]  # type: ignore[no-any-return]
    grant = held.grants.get(contract.name)
    if grant is None or not decide(state.effective(person), "data.read", contract.resource, state.clock()).blocks:
        return None
    return grant["expires_at"]  # type: ignore[no-any-return]


async def of_kernel(state: ControlState, live: LiveKernel) -> Label:
    """What is made in this kernel inherits this; all that its person was ever given, where nobody knows what it sees."""
    found = await state.records.read(marks.overlapping, seen(live))
    found += await state.records.read(marks.of_person, live.admission.principal) if written.is_unknown(live) else []
    return label_of({*map(_input, found)})


async def of_job(state: ControlState, workspace: str, declared: Iterable[str]) -> Label:
    """What a job makes inherits this: from the datasets that it declares, and from the workspace that its code and files come from.

    With the workspace count the other folders that every kernel of its person sees.
    """
    policy = state.effective()
    places = [os.path.realpath(path) for path in (workspace, *policy.write_paths, *policy.read_paths)]
    places.append(written.everything_of(state.principal))
    held, contracts = await rights(state), state.catalogs.current.by_name
    inputs = [item for name in declared if name in contracts for item in given(state, held, contracts[name], state.principal)]
    return label_of({*inputs, *map(_input, await state.records.read(marks.overlapping, places))})


async def of_person(state: ControlState) -> Label:
    """What a file of unknown origin inherits: all that this person was ever given, since a copy looks like any file."""
    return label_of(map(_input, await state.records.read(marks.of_person, state.principal)))


def _input(row: dict[str, Any]) -> Input:
    return Input(row["dataset"], row["version"], row["classification"], tuple(row["purposes"]), row["expires_at"])


async def known_to(state: ControlState, names: Iterable[str]) -> set[str]:
    """Those datasets that this person may know of; of what people published, what was given to them."""
    policy, held, contracts = state.effective(), await rights(state), state.catalogs.current.by_name
    mine = {row["dataset"] for row in await state.records.read(marks.of_person, state.principal)}
    seen = {name for name in names if name in contracts and held.access(contracts[name], policy, state.clock()).listed}
    return seen | {name for name in names if name not in contracts and name in mine}


async def shown(state: ControlState, label: Label) -> dict[str, Any]:
    """A label for its person; datasets of others that they may not know of keep their names to themselves."""
    known = await known_to(state, [item.name for item in label.inputs])
    inputs = [item if item.name in known else Input(UNKNOWN, "", item.classification, item.purposes, item.expires_at) for item in label.inputs]
    told = Label(label.classification, label.purposes, label.exhausted, label.expires_at, tuple(inputs))
    return {
        "classification": label.classification,
        "purposes": list(label.purposes),
        "expires_at": iso(label.expires_at) if label.expires_at else None,
        "inputs": [{"name": item.name, "version": item.version, "classification": item.classification} for item in inputs],
        "text": in_words(told),
    }
