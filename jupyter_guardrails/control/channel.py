"""A kernel's channel: a listening unix socket from its sandbox, on which each process in it may have a connection of its own.

The listener is the identity: who can connect to it is inside that kernel. So nothing in a frame says who asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from typing import Any

from pydantic import ValidationError

from jupyter_guardrails.control import channel_operations, channel_publishing, channel_scans, channel_sql, closing, frames
from jupyter_guardrails.control.closing import close_own
from jupyter_guardrails.control.listeners import Conversations, take
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel, log
from jupyter_guardrails.errors import BadRequest, GuardrailsError, NotFound


def _without_files(operation: channel_operations.Operation) -> channel_publishing.Operation:
    """Most questions come without descriptors; those that came all the same are left to whoever closes them."""

    async def answered(state: ControlState, live: LiveKernel, arguments: Any, _fds: list[int]) -> Answer:
        return await operation(state, live, arguments)

    return answered


WITHOUT_FILES = {**channel_operations.OPERATIONS, **channel_scans.OPERATIONS, **channel_sql.OPERATIONS}
OPERATIONS = {op: (kind, _without_files(operation)) for op, (kind, operation) in WITHOUT_FILES.items()} | channel_publishing.OPERATIONS
MAX_CONNECTIONS = 128  # beyond it the one that was silent for longest goes; clients connect again by themselves
MAX_FRAME_BYTES = 64 << 10
SEND_S = 30.0


async def serve(state: ControlState, live: LiveKernel, listener_fd: int) -> Channel:
    """Take the listener over and answer on it until `close()`."""
    return Channel(state, live, take(listener_fd, socket.AF_UNIX))


class Channel:
    """One kernel's channel."""

    def __init__(self, state: ControlState, live: LiveKernel, listener: socket.socket) -> None:
        # a worker's token says what its submission may do; this is the kernel's own conversation
        self.state = dataclasses.replace(state, principal=live.admission.principal, worker=None)
        self.live = live
        self._listener = listener
        self._conversations = Conversations(listener, self._converse, name=f"the channel of {live.lease}", most=MAX_CONNECTIONS)

    def close(self) -> None:
        """Stop listening and cut every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # for the copy that is kept for another control as well
        self._conversations.close()

    async def _converse(self, connection: socket.socket) -> None:
        """Questions and answers in turn until the client goes away or breaks the protocol."""
        closing.ACCOUNT.set(self.live.lease)
        while not closing.is_held_up(self.live.lease) and await self._exchange(connection):
            self._conversations.spoke()

    async def _exchange(self, connection: socket.socket) -> bool:
        """One question and its answer; false when what came was no frame, since nothing after it can be trusted to begin one."""
        try:
            frame, came = await frames.receive(connection, limit_bytes=MAX_FRAME_BYTES)
        except BadRequest as error:
            await self._send(connection, frames.encode({"id": None, "ok": False, "error": error.to_json()}))
            return False
        try:
            reply = await self._reply(frame, came)
        finally:
            frames.close_all(came)
        await self._send(connection, *reply)
        return True

    async def _send(self, connection: socket.socket, data: bytes, fds: tuple[int, ...] = ()) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await frames.send(connection, data, fds)
        finally:
            close_own(fds)

    async def _reply(self, frame: dict[str, Any], came: list[int]) -> tuple[bytes, tuple[int, ...]]:
        """The answer to one frame as bytes and file descriptors; whatever goes wrong is an answer too."""
        number = frame.get("id")
        try:
            answer = await self.answer(frame, came)
            return frames.encode({"id": number, "ok": True, "result": answer.result}), answer.fds
        except GuardrailsError as error:
            problem = error
        except UnicodeEncodeError:  # JSON can say what no text is; records and files refuse it
            problem = BadRequest(frames.HALF_A_CHARACTER)
        except Exception as error:  # noqa: BLE001 - a defect of ours: nothing is given out, it is logged, and the channel lives on
            log.exception("channel operation %.100r failed", frame.get("op"))
            problem = GuardrailsError(f"control failed: {type(error).__name__}", next_step="see control's log, and report it")
        return frames.encode({"id": number, "ok": False, "error": problem.to_json()}), ()

    async def answer(self, frame: dict[str, Any], came: list[int] | None = None) -> Answer:
        """The answer to one frame, or the error that it raises; `came` are the descriptors that came with it, which stay the caller's."""
        if frame.get("v") != 1:
            raise BadRequest("frames have `v: 1`")
        op = str(frame.get("op"))
        kind, operation = OPERATIONS.get(op, (None, None))
        if kind is None or operation is None:
            raise NotFound(f"there is no operation {op[:100]!r}", next_step=f"there are: {', '.join(OPERATIONS)}")
        try:
            arguments = kind.model_validate(frame.get("args", {}))
        except ValidationError as error:
            mistakes = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise BadRequest(f"{frame['op']}: {mistakes}") from error
        await self.state.refresh()
        return await operation(self.state, self.live, arguments, came or [])
