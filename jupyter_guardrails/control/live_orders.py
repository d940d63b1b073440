"""What one kernel sees of data while it runs, and the orders by which its mounter changes that.

Nothing is kept of what was mounted: each order says what is to be there, so a control that was started again says the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.catalog.model import Catalog
from jupyter_guardrails.control.dataset_files import file_of
from jupyter_guardrails.control.interface.live import LivePlace
from jupyter_guardrails.control.roots import Mounter
from jupyter_guardrails.control.state import ControlState, LiveKernel
from jupyter_guardrails.errors import MounterAway
from jupyter_guardrails.sandbox.meter import start_time

Paths = dict[str, str]  # dataset -> path
File = tuple[int, int]  # device and inode
NOWHERE = LivePlace(folder="", pid=0)


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything on which a person's readable datasets depend."""

    catalog: Catalog
    policy: tuple[str, ...]
    rows: frozenset[str]

    def same(self, other: Basis | None) -> bool:
        """Whether nothing has changed; catalogues are compared by identity, since each change makes a new one."""
        return other is not None and self.catalog is other.catalog and (self.policy, self.rows) == (other.policy, other.rows)


@dataclass
class Shown:
    """What a kernel sees other than at its start: datasets in its folder, and those of the start that it sees no longer."""

    live: Paths = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)  # of `live`: the very files that were put there
    shut: set[str] = field(default_factory=set)
    asked: Paths = field(default_factory=dict)  # came because its kernel named it
    known: Basis | None = None  # from what this was made; None: it has to be made anew
    failures: int = 0  # of the whole order, one after the other
    told: dict[str, str] = field(default_factory=dict)  # what could not be done, said once
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a kernel is to see: `live` in its folder, `own` at its own place as at the start, `shut` there no longer."""

    live: Paths
    own: Paths
    shut: Paths


@dataclass(frozen=True, slots=True)
class Outcome:
    """What of it is there now, what no longer, and why not the rest."""

    live: Paths
    files: dict[str, File]
    shut: set[str]
    trouble: dict[str, str]


def shown_by(live: LiveKernel) -> Shown:
    """What it sees, as far as this control has changed it."""
    if not isinstance(live.data, Shown):
        live.data = Shown()
    return live.data


def place_of(live: LiveKernel) -> LivePlace:
    """As its server said at the start; the mounter makes sure of it."""
    try:
        return LivePlace.model_validate({key: value for key, value in live.report.get("live", {}).items() if key != "started"})
    except ValidationError:
        return NOWHERE


def mounter_of(state: ControlState, live: LiveKernel) -> Mounter | None:
    """Of the launch that gave this kernel its root; None where none did, or it has ended."""
    found = state.mounters.get(place_of(live).launch)
    return found if isinstance(found, Mounter) and found.principal == live.admission.principal else None


async def carry_out(state: ControlState, live: LiveKernel, wanted: Wanted) -> Outcome:
    """Have it done; MounterAway when the whole could not be. Nothing is to be done for a kernel that has ended."""
    found = await asyncio.to_thread(_files, {**wanted.live, **wanted.own, **wanted.shut})
    folder = place_of(live).folder
    body = {kind: _named(getattr(wanted, kind), found) for kind in ("live", "own", "shut")}
    failed = await _order(state, live, {"folder": folder, **body})
    places = {name: f"{folder}/{name}" for name in wanted.live} | wanted.own | wanted.shut
    trouble = {name: failed[place] for name, place in places.items() if place in failed}
    there = {name: path for name, path in wanted.live.items() if name in found and name not in trouble}
    still = {name for name in wanted.own if name in shown_by(live).shut and (name in trouble or name not in found)}
    return Outcome(there, {name: found[name] for name in there}, {name for name in wanted.shut if name not in trouble} | still, trouble)


def _files(paths: Mapping[str, str]) -> dict[str, File]:
    """Of what is there, device and inode: the mounter shows that very file or none."""
    found = {name: file_of(path) for name, path in paths.items()}
    return {name: file for name, file in found.items() if file}


def _named(paths: Paths, found: Mapping[str, File]) -> list[dict[str, Any]]:
    return [{"name": name, "path": path, "file": list(found[name])} for name, path in paths.items() if name in found]


async def _order(state: ControlState, live: LiveKernel, order: dict[str, Any]) -> dict[str, str]:
    """Place -> why not."""
    mounter, place = mounter_of(state, live), place_of(live)
    if mounter is None:
        raise MounterAway("the mounter of its launch has ended")
    process = _process(live, place)
    if process is None:
        return {}
    try:
        answer = await mounter.order({"follow": order}, process)
    finally:
        os.close(process)
    if "error" in answer:
        raise MounterAway(f"the mounter could not change what it sees: {answer['error']}")
    return dict(answer["failed"])


def _process(live: LiveKernel, place: LivePlace) -> int | None:
    """A pidfd of its program, the caller's to close; None when the whole kernel has ended."""
    try:
        process = os.pidfd_open(place.pid)
    except OSError as error:
        if start_time(live.pid) is None:
            return None
        raise MounterAway(f"its program is not there: {error.strerror}") from error
    if start_time(place.pid) != live.report["live"].get("started"):
        os.close(process)
        raise MounterAway("its program is another process by now")
    return process
