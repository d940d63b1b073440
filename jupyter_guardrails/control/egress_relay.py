"""Bytes between a kernel's client and a server: both ways of a tunnel, or one request and its answer; counted, and ended when idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from jupyter_guardrails.control.egress_request import Request
from jupyter_guardrails.control.tls_hello import NotTls, client_hello, server_name
from jupyter_guardrails.errors import BadRequest

CHUNK_BYTES = 256 << 10
IDLE_S = 900.0
HELLO_S = 15.0
CLOSE_S = 30.0


@dataclass
class Stream:
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write and wait until the buffer has room."""
        self.writer.write(data)
        await self.writer.drain()

    def end(self) -> None:
        """Say that nothing more comes from here."""
        with contextlib.suppress(OSError, RuntimeError):  # the other side is gone already
            if self.writer.can_write_eof():
                self.writer.write_eof()

    async def close(self) -> None:
        """Close when what was written has gone out, at once where that cannot be."""
        self.writer.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
            return
        finally:
            self.writer.transport.abort()


@dataclass
class Relay:
    """A client and a server, with the bytes that went `up` to the server and `down` to the client."""

    client: Stream
    server: Stream
    up: int = 0
    down: int = 0
    idle_s: float = field(default_factory=lambda: IDLE_S)
    last_s: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def tunnel(self, first: bytes) -> None:
        """Both ways until both sides have ended; `first` are bytes already read from the client."""
        await self._to_server(first)
        await _until_all(self._pump_up(), self._pump_down_to_end())

    async def exchange(self, request: Request, head: bytes) -> None:
        """One request with its body, and its answer until the server closes. What the client sends behind it goes nowhere."""
        await self._to_server(head)
        body = asyncio.create_task(self._body(request))
        try:
            await self._pump_down()
            if body.done() and not self.down:
                await body  # it failed before the server had said anything: say why
        finally:
            body.cancel()
            await asyncio.gather(body, return_exceptions=True)

    async def _pump_up(self) -> None:
        while data := await self._read(self.client):
            await self._to_server(data)
        self.server.end()

    async def _pump_down(self) -> None:
        while data := await self._read(self.server):
            self.down += len(data)
            await self.client.send(data)

    async def _pump_down_to_end(self) -> None:
        await self._pump_down()
        self.client.end()

    async def _to_server(self, data: bytes) -> None:
        self.up += len(data)
        await self.server.send(data)

    async def _read(self, side: Stream, count: int = CHUNK_BYTES) -> bytes:
        """Some bytes; TimeoutError when neither side has sent any for `idle_s`."""
        loop = asyncio.get_running_loop()
        while True:
            left_s = self.last_s + self.idle_s - loop.time()
            try:
                data = await asyncio.wait_for(side.reader.read(count), max(left_s, 0.001))
            except TimeoutError:
                if loop.time() - self.last_s >= self.idle_s:
                    raise
                continue  # the other direction is busy
            self.last_s = loop.time()
            return data

    async def _body(self, request: Request) -> None:
        """The request's body; when it is malformed or cut off, the server gets no more and `exchange` ends."""
        try:
            if request.body_bytes is None:
                await self._chunks()
            else:
                await self._exactly(request.body_bytes)
        except BaseException:  # whatever it was: half a body must not look like a whole one to the server
            self.server.writer.transport.abort()
            raise

    async def _exactly(self, count: int) -> None:
        while count:
            data = await self._read(self.client, min(count, CHUNK_BYTES))
            if not data:
                raise ConnectionError("the client ended inside the body")
            count -= len(data)
            await self._to_server(data)

    async def _chunks(self) -> None:
        """A chunked body, each chunk's size read and written anew; extensions and trailers stay here."""
        while size := _chunk_size(await self.client.reader.readuntil(b"\r\n")):
            await self._to_server(b"%x\r\n" % size)
            await self._exactly(size)
            if await self.client.reader.readexactly(2) != b"\r\n":
                raise BadRequest("a chunk is longer than it says")
            await self._to_server(b"\r\n")
        await self._to_server(b"0\r\n\r\n")


def _chunk_size(line: bytes) -> int:
    digits = line.removesuffix(b"\r\n").partition(b";")[0].strip(b" \t")
    if not 1 <= len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadRequest("a chunk's size is malformed")
    return int(digits, 16)


async def first_hello(client: Stream, host: str) -> tuple[bytes, str]:
    """The first bytes of a tunnel, and why they may not pass: they have to be a ClientHello for this host. An address needs no name."""
    data = bytearray()
    try:
        async with asyncio.timeout(HELLO_S):
            name = server_name(await _hello(client, data))
    except EOFError:
        return bytes(data), "the client ended before its TLS handshake"
    except NotTls as error:
        return bytes(data), f"a tunnel carries TLS only: {error}"
    except TimeoutError:
        return bytes(data), f"a tunnel carries TLS only: no handshake came within {HELLO_S:g} s"
    is_address = ":" in host or host.rpartition(".")[2].isdigit()
    if name == host or (is_address and not name):
        return bytes(data), ""
    return bytes(data), f"the TLS handshake names {name or 'no host'}, not {host}"


async def _hello(client: Stream, data: bytearray) -> bytes:
    """The ClientHello's body; every byte that was read is added to `data`."""
    while (hello := client_hello(bytes(data))) is None:
        part = await client.reader.read(CHUNK_BYTES)
        if not part:
            raise EOFError
        data += part
    return hello


async def _until_all(*work: Coroutine[Any, Any, None]) -> None:
    """Run all to their end; the first failure ends the others."""
    tasks = [asyncio.create_task(item) for item in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
