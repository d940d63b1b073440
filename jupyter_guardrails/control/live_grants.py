"""Grants reach kernels that run, and revocations too: what a person may read now is what their kernels see, within two seconds.

A kernel whose root a mounter gave has what was granted to it later at $GUARDRAILS_DATA/NAME, and loses it, and what it was started with, when the
access ends: a revocation, an expiry, a suspension, another policy, the end of break-glass. Where there is no mounter, a kernel reads by its channel.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jupyter_guardrails.catalog.labels import Input
from jupyter_guardrails.control import datasets, labels, rights
from jupyter_guardrails.control.dataset_files import file_of
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.live_orders import Basis, Outcome, Wanted, carry_out, mounter_of, place_of, shown_by
from jupyter_guardrails.control.repeating import repeat
from jupyter_guardrails.control.rights import Rights
from jupyter_guardrails.control.state import ControlState, LiveKernel, log
from jupyter_guardrails.errors import GroupsUnknown, GuardrailsError, PolicyError
from jupyter_guardrails.policy import EffectivePolicy
from jupyter_guardrails.records.standing import Standing, in_force

EVERY_S = 1.0
MOST_LIVE = 256  # mounts of one kernel beside those of its start; beyond them each dataset comes when it is asked for by name
MOST_RECORDS = 100  # of one start
ALL = "all datasets"


@dataclass(frozen=True, slots=True)
class Person:
    """Whose kernels they are: the policy, grants and stops for them now."""

    policy: EffectivePolicy
    held: Rights
    basis: Basis


async def grant(state: ControlState, live: LiveKernel, name: str, path: str) -> str | None:
    """Show a file or folder to a running kernel: its path there, None where this host or kernel can't. The caller has decided that it may."""
    shown = shown_by(live)
    if mounter_of(state, live) is None or live.kind == "clean_run":
        return None
    async with shown.busy:
        person = await _person(state, live.admission.principal)
        if person is not None:
            shown.asked[name] = path
            await _apply(state, live, person)
    return seen_at(live, name, path) or None


async def revoke(state: ControlState, live: LiveKernel, name: str) -> None:
    """Show it no longer, unless its person may read it all the same; what is open in the kernel stays open."""
    shown = shown_by(live)
    shown.asked.pop(name, None)
    if mounter_of(state, live) is not None:
        async with shown.busy:
            person = await _person(state, live.admission.principal)
            if person is not None:
                await _apply(state, live, person)


async def path_in(state: ControlState, live: LiveKernel, name: str, path: str) -> str | None:
    """Where this kernel sees a dataset that its person may read: its own place, or below its folder; None where it can't."""
    shown = shown_by(live)
    async with shown.busy:  # an order that is under way may be taking it: what it was made from is older than what the caller decided
        seen = seen_at(live, name, path)
        if seen == path or (seen and shown.files.get(name) == await asyncio.to_thread(file_of, path)):
            return seen
    return await grant(state, live, name, path)  # also where the file was written anew in its place


def seen_at(live: LiveKernel, name: str, path: str) -> str:
    """Where it sees that dataset already; empty for one that it doesn't."""
    shown = shown_by(live)
    if live.admission.datasets.get(name) == path and name not in shown.shut:
        return path
    return _in_folder(live, name) if shown.live.get(name) == path else ""


def names(live: LiveKernel) -> list[str]:
    """All datasets that it sees by path."""
    shown = shown_by(live)
    return sorted(({*live.admission.datasets} - shown.shut) | {*shown.live})


def dataset_at(live: LiveKernel, path: str, known: Container[str]) -> str:
    """The dataset whose place in the kernel's folder a path is, or lies in; empty for any other path."""
    folder = place_of(live).folder
    below = os.path.relpath(os.path.normpath(path), folder) if folder else ".."
    parts = below.split("/")
    longest_first = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in longest_first if name in known), "") if parts[0] != ".." else ""


async def given_at_start(state: ControlState, admission: Admission, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The audit records of the datasets whose paths a kernel is started with; beyond MOST_RECORDS one for all, and its lease has their names."""
    said = {"principal": row["principal"], "kernel": row["kernel_id"], "notebook": row["notebook"], "policy_digest": row["policy_digest"]}
    what = "given to this kernel at its start"
    if len(admission.datasets) > MOST_RECORDS:
        return [state.audit_fields("data.read", f"{len(admission.datasets)} datasets", None, reason=f"their paths were {what}", **said)]
    person = await _person(state, admission.principal)
    records = []
    for name in admission.datasets:
        contract = state.catalogs.current.by_name.get(name)
        decision = person.held.access(contract, person.policy, state.clock()).decision if contract and person else None
        version = f"version {contract.version}: " if contract else ""
        records.append(state.audit_fields("data.read", name, decision, **said | {"reason": f"{version}its path was {what}"}))
    return records


async def follow_forever(state: ControlState) -> None:
    """Each second, for all that run; also after control was started again."""
    await repeat(functools.partial(follow, state), every_s=EVERY_S, name="data of kernels that run")


async def follow(state: ControlState) -> None:
    """Have each kernel see what its person may read now; one that takes long holds up no other."""
    kernels = [live for live in state.kernels.values() if place_of(live).launch]
    if not kernels:
        return
    standing = await state.records.read(in_force, now=state.clock())
    now: dict[str, Basis | None] = {}
    for name in {live.admission.principal for live in kernels}:
        state.spawn(state.groups.refresh(name), f"the groups of {name}")  # a directory that is slow holds nobody up
        now[name] = _basis(state, name, standing)
    for live in kernels:
        basis = now[live.admission.principal]
        if basis is not None and not basis.same(shown_by(live).known) and not shown_by(live).busy.locked():
            state.spawn(_follow_one(state, live), f"data of kernel {live.kernel_id}")


async def _follow_one(state: ControlState, live: LiveKernel) -> None:
    async with shown_by(live).busy:
        person = await _person(state, live.admission.principal)
        if person is not None:
            await _apply(state, live, person)


def _basis(state: ControlState, name: str, standing: Standing) -> Basis | None:
    """None while nobody can tell what the policy means for this person: what runs goes on as it is."""
    try:
        policy = state.effective(name)
    except (PolicyError, GroupsUnknown):
        return None
    return Basis(state.catalogs.current, (policy.digest, *policy.groups), standing.of(name))


async def _person(state: ControlState, name: str) -> Person | None:
    """The same with all that the decisions take."""
    held, standing = await state.records.read(_read, name, state.clock())
    basis = _basis(state, name, standing)
    return Person(state.effective(name), held, basis) if basis else None


def _read(connection: Connection, name: str, now: datetime) -> tuple[Rights, Standing]:
    return rights.read(connection, name, now=now), in_force(connection, now=now)


async def _apply(state: ControlState, live: LiveKernel, person: Person) -> None:
    """One order, and the record of what came of it."""
    shown, wanted = shown_by(live), await _wanted(state, live, person)
    if mounter_of(state, live) is None:
        shown.known = person.basis
        for name in (shown.live.keys() - wanted.live.keys()) | (wanted.shut.keys() - shown.shut):
            await _tell(state, live, name, "the mounter of its launch has ended", action="data.revoke")
        return
    try:
        outcome = await carry_out(state, live, wanted)
    except GuardrailsError as error:
        shown.known, shown.failures = None, shown.failures + 1
        if shown.failures > 1:  # tried again each second: a kernel that is just ending is no failure
            await _tell(state, live, ALL, error.message, action="data.revoke")
        return
    shown.failures = 0
    before = Outcome(shown.live, shown.files, shown.shut, {})
    shown.live, shown.files, shown.shut, shown.known = outcome.live, outcome.files, outcome.shut, person.basis
    await _record(state, live, person, before, outcome)


async def _wanted(state: ControlState, live: LiveKernel, person: Person) -> Wanted:
    shown, start = shown_by(live), live.admission.datasets
    now = await datasets.by_path(state, person.held, person.policy, state.clock())
    own = {name: path for name, path in start.items() if now.get(name) == path}
    shut = {name: path for name, path in start.items() if name not in own}
    shown.asked = {name: path for name, path in shown.asked.items() if _may(state, person, name)}
    if live.kind == "clean_run":  # it reads what its job declares
        return Wanted({}, own, shut)
    granted = {name: path for name, path in now.items() if name in person.held.grants or name in person.held.exempt}
    later = {name: path for name, path in {**shown.asked, **granted, **now}.items() if name not in own}
    return Wanted(dict(list(later.items())[:MOST_LIVE]), own, shut)


def _may(state: ControlState, person: Person, name: str) -> bool:
    """Whether its file may be shown: what is masked, filtered or bound to a purpose never is."""
    contract = state.catalogs.current.by_name.get(name)
    access = person.held.access(contract, person.policy, state.clock()) if contract is not None else None
    return access is not None and access.granted and access.bounds.raw


async def _record(state: ControlState, live: LiveKernel, person: Person, before: Outcome, now: Outcome) -> None:
    """What came and what went, each with the decision that it follows from; and, once, what could not be done."""
    came = {name for name, path in now.live.items() if before.live.get(name) != path}
    for name in sorted(came | (before.shut - now.shut)):
        await _audit(state, live, person, name, "data.read", "its path was given to this running kernel")
    for name in sorted((before.live.keys() - now.live.keys()) | (now.shut - before.shut)):
        await _audit(state, live, person, name, "data.revoke", "its path was taken from this running kernel; what is open there stays open")
    told = shown_by(live).told
    for name in told.keys() - now.trouble.keys():
        told.pop(name)
    for name, reason in now.trouble.items():
        taken = name in before.live or name in live.admission.datasets
        await _tell(state, live, name, reason, action="data.revoke" if taken else "data.read")


async def _audit(state: ControlState, live: LiveKernel, person: Person, name: str, action: str, what: str) -> None:
    contract, principal = state.catalogs.current.by_name.get(name), live.admission.principal
    said: dict[str, Any] = {"reason": f"{what} (it is no longer in the catalogue)", "rule": ""}
    given: list[Input] = []
    if contract is not None:
        decision = person.held.access(contract, person.policy, state.clock()).decision
        said = {"reason": f"version {contract.version}: {what} ({decision.reason})", "rule": decision.rule}
        given = labels.given(state, person.held, contract, principal, decision)
    fields = state.audit_fields(action, name, **said, kernel=live.kernel_id, principal=principal)
    await labels.record_read(state, live, given, fields, allowed=action == "data.read")


async def _tell(state: ControlState, live: LiveKernel, name: str, reason: str, *, action: str) -> None:
    """Once, in the log and in the record."""
    told = shown_by(live).told
    if told.get(name) == reason or live.lease not in state.kernels:
        return
    told[name] = reason
    log.error("what kernel %s of %s sees of %s could not be changed: %s", live.kernel_id, live.admission.principal, name, reason)
    said = {"allowed": False, "kernel": live.kernel_id, "principal": live.admission.principal}
    await state.audit(action, name, None, reason=f"this running kernel's paths are as before: {reason}", **said)


def _in_folder(live: LiveKernel, name: str) -> str:
    return f"{place_of(live).folder}/{name}"
