"""The way out through a company's own proxy: it resolves the names, so of those only what control approved can be checked here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_guardrails.control.egress_relay import CHUNK_BYTES, Stream
from jupyter_guardrails.control.egress_request import Request
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.policy.hosts import HostIndex, NetworkEntry, parse_entry

MOST_HEAD_BYTES = 64 << 10


class Unreachable(GuardrailsError):
    """An approved host that has no address, or doesn't answer, or that the company's proxy doesn't reach."""

    status, code = 502, "unreachable"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The company's proxy. `direct`: hosts that are reached without it."""

    host: str
    port: int
    authorization: str
    direct: HostIndex

    def carries(self, request: Request) -> bool:
        """Whether this host is reached through it."""
        return self.direct.first(request.host, request.port) is None

    async def connect(self, request: Request, timeout_s: float) -> Stream:
        """A connection to it, for a tunnel already through to the host; Unreachable with what it answered."""
        try:
            async with asyncio.timeout(timeout_s):
                stream = Stream(*await asyncio.open_connection(self.host, self.port, limit=CHUNK_BYTES))
                return await self._through(stream, request) if request.is_tunnel else stream
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise Unreachable(f"the company's proxy {self.host}:{self.port} does not answer: {error or 'no answer in time'}") from error

    async def _through(self, stream: Stream, request: Request) -> Stream:
        lines = [f"CONNECT {request.place} HTTP/1.1", f"Host: {request.place}"]
        lines += [f"Proxy-Authorization: {self.authorization}"] if self.authorization else []
        await stream.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = (await stream.reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1")
        status = answer.split(" ")[1:2]
        if status and status[0].startswith("2"):
            return stream
        stream.writer.close()
        message = f"the company's proxy {self.host}:{self.port} does not let {request.place} through: {answer[:200]}"
        raise Unreachable(message, next_step="ask your admin: its rules are not those of this machine")

    def head(self, request: Request) -> bytes:
        """A plain request as a proxy takes it."""
        return request.head(upstream=True, authorization=self.authorization)


def upstream_of(told: dict[str, Any] | None) -> Upstream | None:
    """What control told, ready to use."""
    if told is None:
        return None
    return Upstream(told["host"], told["port"], told["authorization"], HostIndex(_entries(told["direct"])))


def _entries(hosts: Sequence[str]) -> tuple[NetworkEntry, ...]:
    return tuple(parse_entry(f"[{host}]:*" if ":" in host else f"{host}:*") for host in hosts)
