"""Control's socket: one request a connection, checked (peer's uid, token, shape), handed to its operation, answered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import os
import socket
from typing import Any, NamedTuple

from pydantic import ValidationError

from jupyter_guardrails.control import (
    admission,
    audit,
    backup,
    breakglass,
    cells,
    changes,
    clean_runs,
    closing,
    datasets,
    decisions,
    deployments,
    evidence,
    frames,
    giving,
    history,
    keeping,
    launch,
    limits_follow,
    more,
    notify,
    operating,
    outside,
    package_requests,
    people,
    publications,
    quality,
    requests,
    retiring,
    review_desk,
    reviews,
    roots,
    row_samples,
    run_outputs,
    sharing,
    stops,
    submissions,
    trusting,
    usage,
    would_refuse,
)
from jupyter_guardrails.control.interface.client import OTHER_TOKEN, OUTSIDE
from jupyter_guardrails.control.interface.messages import REQUESTS, Request
from jupyter_guardrails.control.peers import Peers, refuse_untranslated, uid_of
from jupyter_guardrails.control.state import Answer, ControlState, Operations, log
from jupyter_guardrails.control.waiting import Waiting
from jupyter_guardrails.errors import BadRequest, ControlAway, GuardrailsError, NotFound, Refused

OPERATIONS: Operations = {
    **admission.OPERATIONS,
    **limits_follow.OPERATIONS,
    **keeping.OPERATIONS,
    **more.OPERATIONS,
    **people.OPERATIONS,
    **audit.OPERATIONS,
    **cells.OPERATIONS,
    **clean_runs.OPERATIONS,
    **launch.OPERATIONS,
    **roots.OPERATIONS,
    **datasets.OPERATIONS,
    **quality.OPERATIONS,
    **requests.OPERATIONS,
    **package_requests.OPERATIONS,
    **changes.OPERATIONS,
    **sharing.OPERATIONS,
    **submissions.OPERATIONS,
    **would_refuse.OPERATIONS,
    **decisions.OPERATIONS,
    **giving.OPERATIONS,
    **publications.OPERATIONS,
    **reviews.OPERATIONS,
    **review_desk.OPERATIONS,
    **row_samples.OPERATIONS,
    **run_outputs.OPERATIONS,
    **evidence.OPERATIONS,
    **retiring.OPERATIONS,
    **deployments.OPERATIONS,
    **operating.OPERATIONS,
    **trusting.OPERATIONS,
    **stops.OPERATIONS,
    **breakglass.OPERATIONS,
    **history.OPERATIONS,
    **notify.OPERATIONS,
    **usage.OPERATIONS,
    **backup.OPERATIONS,
}
KERNEL_OPS = frozenset({"kernel.admit", "kernel.started", "kernel.beat", "kernel.limits", "kernel.settle"})
WORKER_OPS = KERNEL_OPS | {
    "kernel.cells",
    "me",
    "datasets.show",
    "submissions.show",
    "worker.progress",
    "worker.finish",
    "worker.inputs",
    "worker.columns",
    "worker.sample",
    "worker.reached",
    "worker.earlier",
    "worker.keep",
    "worker.part",
}
RECEIVE_S = 5.0  # a request is sent at once: whoever takes longer isn't one of ours
SEND_S = 30.0
BEFORE_CLIENT_S = 2.0  # an operation ends that much before its client stops waiting, so that the client hears why


class Peer(NamedTuple):
    """Who is on the other end: by the kernel's word, never by the request's."""

    uid: int
    principal: str
    pid: int = 0


class Service:
    """Answers requests on a listening unix socket until it is cancelled."""

    def __init__(self, state: ControlState) -> None:
        self.state = state
        self._waiting = Waiting()
        self._conversations: set[asyncio.Task[None]] = set()
        self._peers = Peers()

    async def serve(self, listener: socket.socket) -> None:
        """Accept for ever; requests already received are answered when this is cancelled."""
        try:
            while True:
                await self._accept(listener)
        finally:
            self._waiting.cancel_all()
            await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:  # out of file descriptors, most likely: make room and go on
            log.error("can't accept a connection: %s", error)
            self._waiting.evict()
            await asyncio.sleep(0.05)
            return
        try:
            uid = uid_of(connection)
            if self.state.settings.service:  # an own control's socket is for its own account alone, whatever its number
                refuse_untranslated(uid)
        except (OSError, Refused) as error:
            log.error("a connection is refused: %s", error)
            connection.close()
            return
        if self._waiting.is_full(uid) or closing.is_held_up(uid):
            connection.close()  # one account's flood is that account's own affair
            return
        task = loop.create_task(self._converse(connection, uid))
        self._waiting.add(connection, uid, task)
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, connection: socket.socket, uid: int) -> None:
        closing.ACCOUNT.set(uid)
        with connection, contextlib.suppress(OSError, EOFError, TimeoutError):  # the peer went away: nobody is left to tell
            data, fds = await self._reply(connection, uid)
            try:
                async with asyncio.timeout(SEND_S):
                    await frames.send(connection, data, fds)
            finally:
                closing.close_own(fds)

    async def _reply(self, connection: socket.socket, uid: int) -> tuple[bytes, tuple[int, ...]]:
        """The answer to the request on this connection, as bytes and file descriptors."""
        number: Any = None
        fds: list[int] = []
        try:
            frame, fds = await self._request(connection)
            number = frame.get("id")
            if frames.has_hung_up(connection):  # it waited in our queue while there was no control, and its caller gave up
                raise ControlAway("the caller did not wait for this")
            outside.require(connection, str(frame.get("op")))
            return await self._outcome(frame, fds, (await self._peer(uid))._replace(pid=outside.pid_of(connection)))
        except GuardrailsError as error:
            return frames.encode({"id": number, "ok": False, "error": error.to_json()}), ()
        finally:
            frames.close_all(fds)

    async def _request(self, connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
        """A whole frame."""
        try:
            async with asyncio.timeout(RECEIVE_S):
                return await frames.receive(connection)
        finally:
            self._waiting.received(connection)

    async def _peer(self, uid: int) -> Peer:
        """A service answers every account, each as itself; an own control its own account alone, as whom it was started."""
        if self.state.settings.service:
            return Peer(uid, await self._peers.principal(uid))
        if uid != os.getuid():
            raise Refused(f"uid {uid} may not speak to this control", next_step="start your own: `jupyter guardrails lab`")
        return Peer(uid, self.state.principal)

    async def _outcome(self, frame: dict[str, Any], fds: list[int], peer: Peer) -> tuple[bytes, tuple[int, ...]]:
        try:
            answer = await self.answer(frame, fds, peer)
            return frames.encode({"id": frame.get("id"), "ok": True, "result": answer.result}), answer.fds
        except GuardrailsError:
            raise
        except UnicodeEncodeError as error:  # JSON can say what no text is; records and files refuse it
            raise BadRequest(frames.HALF_A_CHARACTER) from error
        except Exception as error:  # broad: a defect of ours. Nothing was granted, it is logged, and control lives on
            log.exception("operation %.100r failed", frame.get("op"))
            raise GuardrailsError(f"control failed: {type(error).__name__}", next_step="see control's log, and report it") from error

    async def answer(self, frame: dict[str, Any], fds: list[int], peer: Peer | None = None) -> Answer:
        """The operation's answer to one frame, or the error that it raises; without a peer, as this control's own principal."""
        peer = peer or Peer(os.getuid(), self.state.principal)
        worker = self._authenticate(frame, peer)
        request = parse(frame)
        if worker is not None and request.op not in WORKER_OPS:
            raise Refused(f"a worker may not ask for {request.op}")
        state = dataclasses.replace(self.state, principal=peer.principal, peer_uid=peer.uid, peer_pid=peer.pid, worker=worker)
        try:
            async with asyncio.timeout(request.timeout_s - BEFORE_CLIENT_S) as bound:
                await state.refresh()
                outcome = await OPERATIONS[type(request)](state, request, fds)
        except TimeoutError as error:
            if not bound.expired():
                raise
            message = f"control did not get {request.op} done in {request.timeout_s - BEFORE_CLIENT_S:g} s"
            raise ControlAway(message, next_step="try again; your admin sees in control's log what holds it up") from error
        return outcome if isinstance(outcome, Answer) else Answer(outcome)

    def _authenticate(self, frame: dict[str, Any], peer: Peer) -> str | None:
        """None for the token's holder, the submission for its owner's worker; Refused for everyone else."""
        token = str(frame.get("token", "")).encode("utf-8", "replace")
        if hmac.compare_digest(token, self.state.token.encode()):
            return None
        for secret, worker in self.state.worker_tokens.items():
            if hmac.compare_digest(token, secret.encode()) and worker.principal == peer.principal:
                return worker.submission
        raise Refused(OTHER_TOKEN, next_step=OUTSIDE)


def parse(frame: dict[str, Any]) -> Request:
    """The typed request in a frame; BadRequest with every mistake."""
    if frame.get("v") != 1:
        raise BadRequest("requests have `v: 1`")
    kind = REQUESTS.get(str(frame.get("op")))
    if kind is None or kind not in OPERATIONS:
        raise NotFound(f"there is no operation {str(frame.get('op'))[:100]!r}")
    try:
        return kind.model_validate(frame.get("args", {}))
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise BadRequest(f"{kind.op}: {mistakes}") from error
