"""Control's socket: one request a connection, checked (peer's uid, token, shape), handed to its operation, answered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import os
import socket
import struct
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.control import (
    admission,
    audit,
    datasets,
    frames,
    keeping,
    launch,
    limits_follow,
    more,
    people,
    requests,
    roots,
    submissions,
    would_refuse,
)
from jupyter_guardrails.control.interface.client import OTHER_TOKEN
from jupyter_guardrails.control.interface.messages import REQUESTS, Request
from jupyter_guardrails.control.state import Answer, ControlState, Operations, log
from jupyter_guardrails.errors import BadRequest, GuardrailsError, NotFound, Refused

OPERATIONS: Operations = {
    **admission.OPERATIONS,
    **limits_follow.OPERATIONS,
    **keeping.OPERATIONS,
    **more.OPERATIONS,
    **people.OPERATIONS,
    **audit.OPERATIONS,
    **launch.OPERATIONS,
    **roots.OPERATIONS,
    **datasets.OPERATIONS,
    **requests.OPERATIONS,
    **submissions.OPERATIONS,
    **would_refuse.OPERATIONS,
}
KERNEL_OPS = frozenset({"kernel.admit", "kernel.started", "kernel.beat", "kernel.limits", "kernel.settle"})
WORKER_OPS = KERNEL_OPS | {"me", "datasets.show", "submissions.show", "worker.progress", "worker.finish"}
RECEIVE_S = 5.0  # a request is sent at once: whoever takes longer isn't one of ours
SEND_S = 30.0
MAX_WAITING = 64  # connections without a whole request; beyond it the oldest goes, so that idle ones keep nobody out


class Service:
    """Answers requests on a listening unix socket until it is cancelled."""

    def __init__(self, state: ControlState) -> None:
        self.state = state
        self._waiting: dict[socket.socket, asyncio.Task[None]] = {}
        self._conversations: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept for ever; requests already received are answered when this is cancelled."""
        try:
            while True:
                await self._accept(listener)
        finally:
            for task in self._waiting.values():
                task.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:  # out of file descriptors, most likely: make room and go on
            log.error("can't accept a connection: %s", error)
            self._evict()
            await asyncio.sleep(0.05)
            return
        if len(self._waiting) >= MAX_WAITING:
            self._evict()
        task = loop.create_task(self._converse(connection))
        self._waiting[connection] = task
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    def _evict(self) -> None:
        """End the connection that has kept us waiting longest."""
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._waiting.pop(oldest).cancel()

    async def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError, TimeoutError):  # the peer went away: nobody is left to tell
            data, fds = await self._reply(connection)
            try:
                async with asyncio.timeout(SEND_S):
                    await frames.send(connection, data, fds)
            finally:
                frames.close_all(list(fds))

    async def _reply(self, connection: socket.socket) -> tuple[bytes, tuple[int, ...]]:
        """The answer to the request on this connection, as bytes and file descriptors."""
        number: Any = None
        fds: list[int] = []
        try:
            frame, fds = await self._request(connection)
            number = frame.get("id")
            return await self._outcome(frame, fds)
        except GuardrailsError as error:
            return frames.encode({"id": number, "ok": False, "error": error.to_json()}), ()
        finally:
            frames.close_all(fds)

    async def _request(self, connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
        """A whole frame from a peer of our own uid."""
        try:
            _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
            async with asyncio.timeout(RECEIVE_S):
                frame, fds = await frames.receive(connection)
        finally:
            self._waiting.pop(connection, None)
        if uid != os.getuid():
            frames.close_all(fds)
            raise Refused(f"uid {uid} may not speak to this control", next_step="start your own: `jupyter guardrails lab`")
        return frame, fds

    async def _outcome(self, frame: dict[str, Any], fds: list[int]) -> tuple[bytes, tuple[int, ...]]:
        try:
            answer = await self.answer(frame, fds)
            return frames.encode({"id": frame.get("id"), "ok": True, "result": answer.result}), answer.fds
        except GuardrailsError:
            raise
        except UnicodeEncodeError as error:  # JSON can say what no text is; records and files refuse it
            raise BadRequest(frames.HALF_A_CHARACTER) from error
        except Exception as error:  # broad: a defect of ours. Nothing was granted, it is logged, and control lives on
            log.exception("operation %.100r failed", frame.get("op"))
            raise GuardrailsError(f"control failed: {type(error).__name__}", next_step="see control's log, and report it") from error

    async def answer(self, frame: dict[str, Any], fds: list[int]) -> Answer:
        """The operation's answer to one frame, or the error that it raises."""
        worker = self._authenticate(frame)
        request = parse(frame)
        if worker is not None and request.op not in WORKER_OPS:
            raise Refused(f"a worker may not ask for {request.op}")
        state = dataclasses.replace(self.state, worker=worker)
        await state.refresh()
        outcome = await OPERATIONS[type(request)](state, request, fds)
        return outcome if isinstance(outcome, Answer) else Answer(outcome)

    def _authenticate(self, frame: dict[str, Any]) -> str | None:
        """None for the token's holder, the submission for one of our workers; Refused for everyone else."""
        token = str(frame.get("token", "")).encode("utf-8", "replace")
        if hmac.compare_digest(token, self.state.token.encode()):
            return None
        for secret, submission in self.state.worker_tokens.items():
            if hmac.compare_digest(token, secret.encode()):
                return submission
        raise Refused(OTHER_TOKEN, next_step="only the launcher's own processes may speak to control")


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
