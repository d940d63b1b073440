"""One approved `host:port` that doesn't speak HTTP, in the egress worker: each connection is a question to control, then bytes both ways.

A refusal can't be put into words here, since no protocol is known: the connection is closed, control records why.
"""

from __future__ import annotations

import socket

from jupyter_guardrails.control.egress_link import Link
from jupyter_guardrails.control.egress_proxy import Limits, Proxy, Verdict
from jupyter_guardrails.control.egress_relay import Relay, Stream
from jupyter_guardrails.control.egress_request import Request
from jupyter_guardrails.errors import GuardrailsError

IDLE_S = 86400.0  # a notebook keeps its connection to a database while it is thought about


class Forwarder(Proxy):
    """Like the proxy, for the one place that its listener stands for."""

    def __init__(self, key: int, link: Link, listener: socket.socket, limits: Limits, place: tuple[str, int]) -> None:
        super().__init__(key, link, listener, limits)
        self._request = Request("CONNECT", *place)

    async def _asked(self, client: Stream) -> Request:
        return self._request

    async def _relay(self, relay: Relay, request: Request, verdict: Verdict) -> None:
        relay.idle_s = IDLE_S
        await relay.tunnel(b"")

    async def _say(self, client: Stream, error: GuardrailsError) -> None:
        client.writer.transport.abort()
