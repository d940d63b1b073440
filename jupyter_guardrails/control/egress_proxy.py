"""One kernel's proxy (CONNECT and plain HTTP) in the egress worker: names are resolved here, and only after control approved them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.control import addresses
from jupyter_guardrails.control.egress_link import Link
from jupyter_guardrails.control.egress_relay import CHUNK_BYTES, Relay, Stream, first_hello
from jupyter_guardrails.control.egress_request import Request, parse_request
from jupyter_guardrails.control.egress_upstream import Unreachable, Upstream, upstream_of
from jupyter_guardrails.control.listeners import Conversations
from jupyter_guardrails.control.tls_hello import ALERT_ACCESS_DENIED, HANDSHAKE
from jupyter_guardrails.errors import BadRequest, GuardrailsError, LimitReached, Refused
from jupyter_guardrails.policy import hosts

log = logging.getLogger("jupyter_guardrails.control")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request's head and a connection may take, and how many connections a kernel may have."""

    head_s: float
    connect_s: float
    most: int
    upstream: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Control's answer about one request. `private`: the ranges that the entries for its `host:port` name."""

    blocks: bool
    reason: str
    rule: str
    next_step: str
    private: tuple[str, ...]


class Proxy:
    """Answers on one kernel's listener until `close()`."""

    def __init__(self, key: int, link: Link, listener: socket.socket, limits: Limits) -> None:
        self.key = key
        self.link = link
        self.limits = limits
        self.upstream = upstream_of(limits.upstream)
        self._open: dict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._conversations = Conversations(listener, self._converse, name=f"proxy {key}")

    async def close(self) -> None:
        """Stop listening and cut every connection; returns when each has been counted."""
        self._conversations.close()
        await self._conversations.ended()

    def cut(self, place: str) -> None:
        """End every connection to this `host:port`."""
        for task in self._open.pop(place, ()):
            task.cancel()

    async def _converse(self, connection: socket.socket) -> None:
        """One connection; nothing that goes wrong in it reaches another one."""
        client = Stream(*await asyncio.open_connection(sock=connection, limit=CHUNK_BYTES))
        try:
            await self._answer(client)
        except GuardrailsError as error:
            await self._say(client, error)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a proxied connection of kernel %d ended: %s", self.key, error)
        except asyncio.CancelledError:
            client.writer.transport.abort()  # the lease has ended: nothing more goes out
            raise
        except Exception:  # broad: a defect of ours: this connection is refused, it is logged, the others go on
            log.exception("a proxied connection of kernel %d failed", self.key)
            await self._say(client, GuardrailsError("control failed"))
        finally:
            await client.close()

    async def _answer(self, client: Stream) -> None:
        if self._conversations.is_beyond(self.limits.most):
            raise LimitReached(f"more than {self.limits.most} connections at once", next_step="close some, or try again")
        request = await self._asked(client)
        verdict = await self._judge(request)
        if verdict.blocks:
            raise _refused(request, verdict)
        counted: Relay | None = None
        with self._cuttable(request):
            try:
                counted = Relay(client, await self._connect(request, verdict))
                await self._relay(counted, request, verdict)
            finally:
                if counted is not None:
                    counted.server.writer.close()
                await self._ended(request, verdict, counted)

    @contextlib.contextmanager
    def _cuttable(self, request: Request) -> Iterator[None]:
        """While this runs, `cut` ends the current task."""
        task = asyncio.current_task()
        assert task is not None
        self._open[request.place].add(task)
        try:
            yield
        finally:
            tasks = self._open.get(request.place, set())
            tasks.discard(task)
            if not tasks:
                self._open.pop(request.place, None)

    async def _asked(self, client: Stream) -> Request:
        return await _request(client, self.limits.head_s)

    async def _say(self, client: Stream, error: GuardrailsError) -> None:
        await _say(client, error)

    async def _judge(self, request: Request) -> Verdict:
        found = await self._ask("judge", request)
        return Verdict(found["blocks"], found["reason"], found["rule"], found["next_step"], tuple(found["private"]))

    async def _ended(self, request: Request, verdict: Verdict, relay: Relay | None) -> None:
        counts = {} if relay is None else {"up": relay.up, "down": relay.down}
        await self._ask("ended", request, rule=verdict.rule, private=verdict.private, **counts)

    async def _refuse(self, request: Request, verdict: Verdict, reason: str) -> None:
        """Have control record what was found here: an address or a TLS name that may not be."""
        await self._ask("refused", request, rule=verdict.rule, reason=reason)

    async def _ask(self, what: str, request: Request, **more: Any) -> dict[str, Any]:
        return await self.link.ask({"key": self.key, "what": what, "host": request.host, "port": request.port, "place": request.place, **more})

    async def _relay(self, relay: Relay, request: Request, verdict: Verdict) -> None:
        if not request.is_tunnel:
            way = self._way(request)
            await relay.exchange(request, way.head(request) if way else request.head())
            return
        await relay.client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        first, objection = await first_hello(relay.client, request.host)
        if not objection:
            await relay.tunnel(first)
            return
        await self._refuse(request, verdict, objection)
        if first[:1] != bytes([HANDSHAKE]):
            raise Refused(f"{request.place}: {objection}", rule=verdict.rule)
        await relay.client.send(ALERT_ACCESS_DENIED)

    async def _connect(self, request: Request, verdict: Verdict) -> Stream:
        """A connection to the first address of the host that is allowed and answers; names that the company's proxy resolves are its to judge."""
        way = self._way(request)
        if way and hosts.address(request.host) is None:
            return await way.connect(request, self.limits.connect_s)
        try:
            found = await addresses.resolve(request.host, request.port, timeout_s=self.limits.connect_s)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"the name {request.host} cannot be resolved: {error or 'no answer'}") from error
        objections = {address: addresses.objection(address, verdict.private) for address in found}
        allowed = [address for address, objection in objections.items() if not objection]
        if not allowed:
            reason = "; ".join(f"{request.host} leads to {address}, which is {objection}" for address, objection in objections.items())
            await self._refuse(request, verdict, reason)
            raise Refused(reason, rule=verdict.rule, next_step="the admin can name the range: {host: …, port: …, private: 10.0.0.0/8}")
        if way:
            return await way.connect(request, self.limits.connect_s)
        return await _first_that_answers(allowed, request.port, self.limits.connect_s)

    def _way(self, request: Request) -> Upstream | None:
        """The company's proxy, where this host is reached through it."""
        return self.upstream if self.upstream is not None and self.upstream.carries(request) else None


async def _request(client: Stream, timeout_s: float) -> Request:
    try:
        async with asyncio.timeout(timeout_s):
            return parse_request(await client.reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as error:
        raise BadRequest("the head of the request is too long") from error


async def _first_that_answers(found: list[addresses.Address], port: int, timeout_s: float) -> Stream:
    problem: Exception = OSError("no address")
    for address in found:
        try:
            async with asyncio.timeout(timeout_s):
                return Stream(*await asyncio.open_connection(str(addresses.unwrapped(address)), port, limit=CHUNK_BYTES))
        except (OSError, TimeoutError) as error:
            problem = error
    raise Unreachable(f"{found[-1]} port {port} does not answer: {problem or 'no answer in time'}")


def _refused(request: Request, verdict: Verdict) -> Refused:
    plain = f"{request.place} is not on the approved network list"
    reason = "" if verdict.reason == plain else f"{verdict.reason}. "
    return Refused(f"{plain} (rule {verdict.rule})", next_step=f"{reason}{verdict.next_step}")


async def _say(client: Stream, error: GuardrailsError) -> None:
    """The refusal in the status line, where pip, curl and requests show it, and at length in the body."""
    said = [error.message, f" (rule {error.rule})" if error.rule else "", f". Next step: {error.next_step}" if error.next_step else ""]
    line = "".join(c if c.isprintable() else " " for c in "".join(said))[:800]
    status = 503 if error.status in (429, 500, 503) else error.status
    body = f"guardrails: {error}\n".encode()
    head = (
        f"HTTP/1.1 {status} guardrails: {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError):  # the client is gone: nobody is left to tell
        await client.send(head.encode("ascii", "backslashreplace") + body)
        client.end()
