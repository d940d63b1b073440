"""Orders to the mounters: each launch hands over the socket of its own, and a kernel's root holds what its lease grants."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from jupyter_guardrails.control import written
from jupyter_guardrails.control.closing import close_all
from jupyter_guardrails.control.dataset_files import file_of
from jupyter_guardrails.control.interface.messages import Admission, KernelRoot, LaunchMounter
from jupyter_guardrails.control.listeners import descriptor_of_kind
from jupyter_guardrails.control.state import ControlState, Operations, log
from jupyter_guardrails.errors import BadRequest, LimitReached, MounterAway, NotFound
from jupyter_guardrails.sandbox import wire

ANSWER_S = 10.0
MAX_LAUNCHES = 64  # of one account: each is a descriptor of control's
KEPT = "mounter."  # how the names begin under which mounters' sockets are kept


@dataclass
class Mounter:
    """One launch's mounter, seen from here."""

    connection: socket.socket
    principal: str
    waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    orders: int = field(default_factory=lambda: secrets.randbits(48))  # an answer to the control before this one is nobody's

    async def order(self, body: dict[str, Any], process: int) -> dict[str, Any]:
        """Its answer; MounterAway when it has ended or takes too long."""
        self.orders += 1
        number = self.orders
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting[number] = answer
        try:
            wire.send_in_memory(self.connection, {"id": number, **body}, [process])
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except (OSError, TimeoutError) as error:
            raise _away(str(error) or "no answer in time") from error
        finally:
            self.waiting.pop(number, None)

    def hear(self) -> bool:
        """Take one answer; False when it has ended."""
        answer: dict[str, Any] = {}
        try:
            answer, fds = wire.receive_in_memory(self.connection, discard=close_all)
            close_all(fds)  # an answer has none
        except BlockingIOError:
            return True
        except OSError as error:
            log.error("the mounter can't be heard: %s", error)
        except (ValueError, LookupError) as error:
            log.error("the mounter said something that makes no sense: %s", error)
            return True
        for number, waiting in list(self.waiting.items()):
            if not waiting.done() and (not answer or number == answer.get("id")):
                waiting.set_result(answer) if answer else waiting.set_exception(_away("it has ended"))
        return bool(answer)


async def register(state: ControlState, request: LaunchMounter, fds: list[int]) -> dict[str, Any]:
    """Take a launch's mounter over."""
    if len(fds) != 1:
        raise BadRequest("a mounter is one socket")
    if sum(1 for mounter in state.mounters.values() if mounter.principal == state.principal) >= MAX_LAUNCHES:
        raise LimitReached(f"{state.principal} has {MAX_LAUNCHES} launched servers on this machine already", next_step="end some of them")
    launch = secrets.token_hex(8)
    connection = descriptor_of_kind(fds.pop(), socket.AF_UNIX, socket.SOCK_SEQPACKET)
    await asyncio.to_thread(state.store.put, _kept_as(launch, state.principal), [connection.fileno()])
    _follow(state, launch, state.principal, connection)
    return {"launch": launch}


def take_again(state: ControlState) -> None:
    """The mounters of a control before this one."""
    for name, fds in state.store.came(KEPT):
        launch, _, quoted = name.partition(".")
        principal = unquote(quoted)
        _follow(state, launch, principal, descriptor_of_kind(fds[0], socket.AF_UNIX, socket.SOCK_SEQPACKET))


def _kept_as(launch: str, principal: str) -> str:
    """The name in the store, which may hold no colon and no control character."""
    return f"{KEPT}{launch}.{quote(principal, safe='')}"


def _follow(state: ControlState, launch: str, principal: str, connection: socket.socket) -> None:
    mounter = Mounter(connection, principal)
    state.mounters[launch] = mounter
    asyncio.get_running_loop().add_reader(connection, _hear, state, launch, mounter)


def _hear(state: ControlState, launch: str, mounter: Mounter) -> None:
    if not mounter.hear():
        asyncio.get_running_loop().remove_reader(mounter.connection)
        mounter.connection.close()
        state.mounters.pop(launch, None)
        state.store.remove(_kept_as(launch, mounter.principal))


async def give(state: ControlState, request: KernelRoot, fds: list[int]) -> dict[str, Any]:
    """Have a root given to the process of an admitted lease."""
    admission = state.granted_by(request.lease)
    if admission is None:
        raise NotFound(f"there is no lease {request.lease}")
    mounter = state.mounters.get(request.launch)
    if mounter is None or mounter.principal != state.principal:
        raise _away("it has ended")
    if len(fds) != 1:
        raise BadRequest("a root is for one process")
    granted = await asyncio.to_thread(_granted, admission)
    asked = request.model_dump(include={"read", "write", "temporary", "covers", "terminal", "fresh_proc"}) | {"device": request.devices}
    answer = await mounter.order({"asked": asked, "granted": granted, "shm_bytes": admission.shm_bytes}, fds[0])
    if "error" not in answer and "written" in answer:  # a launch from before an upgrade doesn't say it
        written.remember(state, fds[0], answer["written"])
    return {key: value for key, value in answer.items() if key in ("missing", "error")}


def _granted(admission: Admission) -> dict[str, list[dict[str, Any]]]:
    """What this lease grants, each with the device and inode that it has now: the mounter shows that very file or none."""
    return {
        "read": [*_with_files(admission.read_paths), *_with_data(admission.datasets.values())],
        "write": _with_files(admission.write_paths),
        "device": _with_files(admission.devices),
    }


def _with_data(paths: Iterable[str]) -> list[dict[str, Any]]:
    """A dataset's place has no symbolic link on the way: one that is there now leads elsewhere than what was approved."""
    found = [(path, file_of(path)) for path in paths]
    return [{"path": path, "file": list(file)} for path, file in found if file]


def _with_files(paths: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        try:
            now = os.stat(path)
        except OSError:
            continue  # not there, or not for this account: the kernel's report names it as missing
        found.append({"path": path, "file": [now.st_dev, now.st_ino]})
    return found


def _away(why: str) -> MounterAway:
    return MounterAway(
        f"no kernel can get a root of its own: the mounter does not answer ({why})", next_step="save your work and start the server again"
    )


OPERATIONS: Operations = {LaunchMounter: register, KernelRoot: give}
