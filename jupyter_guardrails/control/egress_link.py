"""Questions and answers between control and its egress worker, both ways over one socket pair: frames as on control's own socket."""

from __future__ import annotations

import array
import asyncio
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jupyter_guardrails.control import frames
from jupyter_guardrails.control.closing import close_own
from jupyter_guardrails.errors import ControlAway, GuardrailsError, from_json

log = logging.getLogger("jupyter_guardrails.control")
Question = dict[str, Any]


class Link:
    """One end. `answer(question, fds)` is called for each question of the other end; descriptors that it keeps it takes out of the list.

    `worker` is what errors call the process at one of the ends.
    """

    def __init__(
        self, connection: socket.socket, answer: Callable[[Question, list[int]], Awaitable[Question]], *, worker: str = "the network proxy"
    ) -> None:
        self._worker = worker
        connection.setblocking(False)
        self._connection = connection
        self._answer = answer
        self._waiting: dict[int, asyncio.Future[Question]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._sending = asyncio.Lock()
        self._over = False

    async def ask(self, question: Question, fds: Sequence[int] = ()) -> Question:
        """The other end's answer; the error that it raised, or ControlAway when it is gone."""
        return await (await self.begin(question, fds))

    async def begin(self, question: Question, fds: Sequence[int] = ()) -> asyncio.Future[Question]:
        """The same as soon as it is sent, when the descriptors may be closed: the answer is still to come."""
        if self._over:
            raise ControlAway(f"{self._worker} and control are not connected", next_step="try again in a moment")
        number = next(self._numbers)
        waiting: asyncio.Future[Question] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        waiting.add_done_callback(lambda _: self._waiting.pop(number, None))
        try:
            await self._send({"number": number, "question": question}, fds)
        except BaseException as error:
            waiting.cancel()
            if not isinstance(error, OSError):
                raise
            raise ControlAway(f"{self._worker} and control lost each other: {error}", next_step="try again in a moment") from error
        return waiting

    async def run(self) -> None:
        """Serve until the other end closes; whoever still waits for an answer then gets ControlAway."""
        try:
            while True:
                frame, fds = await frames.receive(self._connection)
                self._take(frame, fds)
        except (EOFError, OSError):
            return
        finally:
            self._over = True
            for task in self._tasks:
                task.cancel()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ControlAway(f"{self._worker} and control lost each other", next_step="try again in a moment"))
            self._connection.close()

    def _take(self, frame: Question, fds: list[int]) -> None:
        if "question" in frame:  # tasks begin in the order in which they were made: questions are taken up in order
            task = asyncio.get_running_loop().create_task(self._reply(frame["number"], frame["question"], fds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        frames.close_all(fds)
        waiting = self._waiting.get(frame["number"])
        if waiting is None or waiting.done():
            return  # whoever asked has gone
        if "error" in frame:
            waiting.set_exception(from_json(frame["error"]))
        else:
            waiting.set_result(frame["result"])

    async def _reply(self, number: int, question: Question, fds: list[int]) -> None:
        try:
            reply = {"number": number, "result": await self._answer(question, fds)}
        except GuardrailsError as error:
            reply = {"number": number, "error": error.to_json()}
        except Exception:  # broad: a defect of ours. It is logged, the question is refused, and the link lives on
            log.exception("a question between control and %s failed", self._worker)
            reply = {"number": number, "error": GuardrailsError("control failed").to_json()}
        finally:
            frames.close_all(fds)
        try:
            await self._send(reply)
        except OSError as error:  # `run` sees the same, and ends
            log.debug("an answer found nobody: %s", error)

    async def _send(self, message: Question, fds: Sequence[int] = ()) -> None:
        """At once where there is room. Whoever has to wait may go away and close the descriptors: the frame goes on whole, with its own."""
        await self._sending.acquire()
        try:
            data = frames.encode(message)
            sent = _at_once(self._connection, data, fds)
        except BaseException:
            self._sending.release()
            raise
        if sent == len(data):
            self._sending.release()
            return
        await asyncio.shield(self._rest(data[sent:], () if sent else [os.dup(fd) for fd in fds]))

    def _rest(self, data: bytes, copies: Sequence[int]) -> asyncio.Future[None]:
        def over(_sent: asyncio.Future[None]) -> None:
            close_own(copies)
            self._sending.release()

        sending = asyncio.ensure_future(frames.send(self._connection, data, copies))
        sending.add_done_callback(over)
        return sending


def _at_once(connection: socket.socket, data: bytes, fds: Sequence[int]) -> int:
    """How many bytes the socket took; descriptors go with the first of them."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        return connection.sendmsg([data], rights)
    except (BlockingIOError, InterruptedError):
        return 0
