"""Stations: processes of their authors' accounts that start promotion workers on control's order. Control never runs a person's code as itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_guardrails.control.closing import close_all
from jupyter_guardrails.control.listeners import descriptor_of_kind
from jupyter_guardrails.control.state import ControlState, log
from jupyter_guardrails.errors import BadRequest, LimitReached
from jupyter_guardrails.sandbox import wire

MAX_STATIONS = 64  # of one account
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended: its exit code, the end of what it said, whether we ended it, and whether its station is gone, so that nobody knows."""

    code: int
    said: str
    by_us: bool
    gone: bool = False


@dataclass
class Station:
    """One station, seen from here, with what its workers work on."""

    connection: socket.socket
    principal: str
    works: dict[str, asyncio.Future[Ended]] = field(default_factory=dict)

    def tell(self, body: dict[str, Any], *fds: int) -> bool:
        """Whether the order could be sent; one that takes none is as good as gone."""
        try:
            wire.send_in_memory(self.connection, body, fds)
        except OSError as error:
            log.error("a station of %s takes no orders: %s", self.principal, error)
            return False
        return True

    def hear(self) -> bool:
        """Take one report; False when it has ended, or says what makes no sense."""
        try:
            report, fds = wire.receive_in_memory(self.connection, discard=close_all)
            close_all(fds)  # a report has none
            if not report:
                return False
            ended = Ended(int(report["code"]), str(report["said"])[-4000:], by_us=False)
            work = self.works.pop(str(report["submission"]), None)
        except BlockingIOError:
            return True
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.error("a station of %s said something that makes no sense: %s", self.principal, error)
            return False
        if work is not None and not work.done():
            work.set_result(ended)
        return True

    def end(self) -> None:
        """Nothing is heard of its workers any more."""
        self.connection.close()
        while self.works:
            _, work = self.works.popitem()
            if not work.done():
                work.set_result(Ended(-1, "", by_us=False, gone=True))


def register(state: ControlState, fds: list[int]) -> None:
    """Take a station over."""
    if len(fds) != 1:
        raise BadRequest("a station is one socket")
    if sum(1 for station in state.stations if station.principal == state.principal) >= MAX_STATIONS:
        raise LimitReached(f"{state.principal} has {MAX_STATIONS} servers on this machine already", next_step="end some of them")
    station = Station(descriptor_of_kind(fds.pop(), socket.AF_UNIX, socket.SOCK_SEQPACKET), state.principal)
    state.stations.append(station)
    asyncio.get_running_loop().add_reader(station.connection, _hear, state, station)


def _hear(state: ControlState, station: Station) -> None:
    if not station.hear():
        _forget(state, station)


def _forget(state: ControlState, station: Station) -> None:
    if station in state.stations:
        state.stations.remove(station)
        asyncio.get_running_loop().remove_reader(station.connection)
        station.end()


def is_there(state: ControlState) -> bool:
    """Whether somebody can work for this principal."""
    return any(station.principal == state.principal for station in state.stations)


async def run(state: ControlState, submission: str, order: dict[str, Any], frozen: Sequence[int]) -> Ended:
    """Have the principal's newest station start a worker, and wait for its end. `frozen`: the job's notebooks, in order."""
    station = next((one for one in reversed(state.stations) if one.principal == state.principal), None)
    if station is None:
        return Ended(-1, "", by_us=False, gone=True)
    work: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    station.works[submission] = work
    if not station.tell({"do": "start", "order": order}, *frozen):
        _forget(state, station)
    try:
        return await work
    finally:
        station.works.pop(submission, None)


async def stop(state: ControlState, submission: str) -> None:
    """End a submission's worker; returns when it is gone, or its station was cut off for not saying so."""
    for station in [one for one in state.stations if submission in one.works]:
        work = station.works[submission]
        if station.tell({"do": "stop", "submission": submission}):
            await asyncio.wait([work], timeout=STOP_S)
        if not work.done():
            _forget(state, station)


def end_all(state: ControlState) -> None:
    """Control ends: stations end their workers, and look for the next control."""
    for station in list(state.stations):
        _forget(state, station)
