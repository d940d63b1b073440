"""A kernel's only way out: a proxy (CONNECT and plain HTTP) on the listener that its sandbox handed over.

The listener is the identity: it lies in that kernel's network namespace. Names are resolved here, and only after the policy approved
them. It runs in control's event loop; a worker process of its own is to come (64 busy connections raised latency to 75 ms in a prototype).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from jupyter_guardrails.control import addresses
from jupyter_guardrails.control.egress_relay import CHUNK_BYTES, Relay, Stream, first_hello
from jupyter_guardrails.control.egress_request import Request, parse_request
from jupyter_guardrails.control.listeners import Conversations, take
from jupyter_guardrails.control.state import ControlState, LiveKernel, log
from jupyter_guardrails.control.tls_hello import ALERT_ACCESS_DENIED, HANDSHAKE
from jupyter_guardrails.errors import BadRequest, GuardrailsError, LimitReached, Refused
from jupyter_guardrails.policy import Decision, EffectivePolicy, Resource, decide
from jupyter_guardrails.policy.hosts import HostIndex

HEAD_S = 15.0
CONNECT_S = 15.0
MAX_CONNECTIONS = 128


class Unreachable(GuardrailsError):
    """An approved host that has no address, or doesn't answer."""

    status, code = 502, "unreachable"


async def serve(state: ControlState, live: LiveKernel, listener_fd: int) -> Egress:
    """Take the listener over and answer on it until `close()`."""
    return Egress(state, live, take(listener_fd, socket.AF_INET, socket.AF_INET6))


class Egress:
    """One kernel's proxy."""

    def __init__(self, state: ControlState, live: LiveKernel, listener: socket.socket) -> None:
        self.state = state
        self.live = live
        self._conversations = Conversations(listener, self._converse, name=f"the proxy of {live.lease}")

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self._conversations.close()

    async def _converse(self, connection: socket.socket) -> None:
        """One connection; nothing that goes wrong in it reaches another one."""
        client = Stream(*await asyncio.open_connection(sock=connection, limit=CHUNK_BYTES))
        try:
            await self._answer(client)
        except GuardrailsError as error:
            await _say(client, error)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a proxied connection of %s ended: %s", self.live.lease, error)
        except asyncio.CancelledError:
            client.writer.transport.abort()  # the lease has ended: nothing more goes out
            raise
        except Exception:  # noqa: BLE001 - a defect of ours: this connection is refused, it is logged, the others go on
            log.exception("a proxied connection of %s failed", self.live.lease)
            await _say(client, GuardrailsError("control failed"))
        finally:
            await client.close()

    async def _answer(self, client: Stream) -> None:
        if self._conversations.is_beyond(MAX_CONNECTIONS):
            raise LimitReached(f"more than {MAX_CONNECTIONS} connections at once", next_step="close some, or try again")
        request = await _request(client)
        policy = await self._policy()
        decision = decide(policy, "network.connect", Resource(request.place), self.state.clock())
        await self._audit(
            "network.connect", request, decision.allowed, decision.reason, str(decision.rule), policy_digest=policy.digest, mode=decision.mode
        )
        if decision.blocks:
            raise _refused(request, decision)
        relay = Relay(client, await self._connect(request, policy, decision))
        try:
            await self._relay(relay, request, decision)
        finally:
            relay.server.writer.close()
            await self._audit("network.bytes", request, True, f"{relay.up} bytes sent, {relay.down} bytes received", str(decision.rule))

    async def _policy(self) -> EffectivePolicy:
        await self.state.refresh()
        return self.state.effective(self.live.admission.principal)

    async def _relay(self, relay: Relay, request: Request, decision: Decision) -> None:
        if not request.is_tunnel:
            await relay.exchange(request)
            return
        await relay.client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        first, objection = await first_hello(relay.client, request.host)
        if not objection:
            await relay.tunnel(first)
            return
        await self._audit("network.connect", request, False, objection, str(decision.rule))
        if first[:1] != bytes([HANDSHAKE]):
            raise Refused(f"{request.place}: {objection}", rule=str(decision.rule))
        await relay.client.send(ALERT_ACCESS_DENIED)

    async def _connect(self, request: Request, policy: EffectivePolicy, decision: Decision) -> Stream:
        """A connection to the first address of the host that is allowed and answers."""
        try:
            found = await addresses.resolve(request.host, request.port, timeout_s=CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"the name {request.host} cannot be resolved: {error or 'no answer'}") from error
        objections = {address: addresses.objection(address, _private(policy, request)) for address in found}
        allowed = [address for address, objection in objections.items() if not objection]
        if not allowed:
            reason = "; ".join(f"{request.host} leads to {address}, which is {objection}" for address, objection in objections.items())
            await self._audit("network.connect", request, False, reason, str(decision.rule))
            raise Refused(reason, rule=str(decision.rule), next_step="the admin can name the range: {host: …, port: …, private: 10.0.0.0/8}")
        return await _first_that_answers(allowed, request.port)

    async def _audit(self, action: str, request: Request, allowed: bool, reason: str, rule: str, **more: Any) -> None:
        said: dict[str, Any] = {"allowed": allowed, "reason": reason, "rule": rule, "principal": self.live.admission.principal, **more}
        await self.state.audit(action, request.place, **said, kernel=self.live.kernel_id)


async def _request(client: Stream) -> Request:
    try:
        async with asyncio.timeout(HEAD_S):
            return parse_request(await client.reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as error:
        raise BadRequest("the head of the request is too long") from error


def _private(policy: EffectivePolicy, request: Request) -> tuple[str, ...]:
    """The private ranges that the entries for this `host:port` name."""
    entries = (value.value for value in policy.network_allow)
    return tuple(text for entry in entries if HostIndex((entry,)).first(request.host, request.port) is not None for text in entry.private)


async def _first_that_answers(found: list[addresses.Address], port: int) -> Stream:
    problem: Exception = OSError("no address")
    for address in found:
        try:
            async with asyncio.timeout(CONNECT_S):
                return Stream(*await asyncio.open_connection(str(addresses.unwrapped(address)), port, limit=CHUNK_BYTES))
        except (OSError, TimeoutError) as error:
            problem = error
    raise Unreachable(f"{found[-1]} port {port} does not answer: {problem or 'no answer in time'}")


def _refused(request: Request, decision: Decision) -> Refused:
    message = f"{request.place} is not on the approved network list (rule {decision.rule})"
    return Refused(message, next_step=f"{decision.reason}. {decision.next_step}")


async def _say(client: Stream, error: GuardrailsError) -> None:
    """The refusal in the status line, where pip, curl and requests show it, and at length in the body."""
    line = "".join(c if c.isprintable() else " " for c in f"{error.message}{f' (rule {error.rule})' if error.rule else ''}")[:800]
    status = 503 if error.status in (429, 500, 503) else error.status
    body = f"guardrails: {error}\n".encode()
    head = (
        f"HTTP/1.1 {status} guardrails: {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError):  # the client is gone: nobody is left to tell
        await client.send(head.encode("ascii", "backslashreplace") + body)
        client.end()
