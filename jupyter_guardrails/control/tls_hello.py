"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), read from the bytes that a client sends first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_HELLO_BYTES = 64 << 10
MAX_RECORD_BYTES = 1 << 14
HANDSHAKE, CLIENT_HELLO, SERVER_NAME, HOST_NAME = 22, 1, 0, 0
ALERT_ACCESS_DENIED = b"\x15\x03\x01\x00\x02\x02\x31"  # fatal alert 49: the client's error then says "access denied"


class NotTls(ValueError):
    """The bytes are not the start of a well-formed TLS handshake."""


@dataclass
class _Bytes:
    """A cursor that refuses to read past its end."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise NotTls("the ClientHello is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> _Bytes:
        """What stands behind a length of `size` bytes."""
        return _Bytes(self.take(self.number(size)))

    @property
    def left(self) -> bool:
        return self.at < len(self.data)


def client_hello(data: bytes) -> bytes | None:
    """The body of the ClientHello at the start of a byte stream, None while more is needed; NotTls when it is something else."""
    handshake = b"".join(_records(data))
    wanted = int.from_bytes(handshake[1:4], "big")
    if (handshake and handshake[0] != CLIENT_HELLO) or wanted > MAX_HELLO_BYTES:
        raise NotTls("the bytes do not begin with a ClientHello")
    return handshake[4 : 4 + wanted] if len(handshake) >= 4 + wanted else None


def _records(data: bytes) -> Iterator[bytes]:
    """What the TLS records carry, the last of which may not have come whole."""
    if data and data[0] != HANDSHAKE:
        raise NotTls("the bytes are not a TLS handshake")
    at = 0
    while len(data) >= at + 5:
        kind, major, length = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != HANDSHAKE or major != 3 or not 0 < length <= MAX_RECORD_BYTES:
            raise NotTls("the bytes are not a TLS handshake")
        yield data[at + 5 : at + 5 + length]
        at += 5 + length


def server_name(hello: bytes) -> str:
    """The one host name that a ClientHello asks for, in lower case; empty when it has none; NotTls when it is malformed."""
    cursor = _Bytes(hello)
    cursor.take(2 + 32)
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        cursor.block(size)
    if not cursor.left:
        return ""
    extensions, found = cursor.block(2), []
    while extensions.left:
        kind, body = extensions.number(2), extensions.block(2)
        if kind == SERVER_NAME:
            found += _names(body)
    if len(found) > 1:
        raise NotTls("the ClientHello names several hosts")
    return found[0] if found else ""


def _names(extension: _Bytes) -> list[str]:
    entries, names = extension.block(2), []
    while entries.left:
        kind, name = entries.number(1), entries.block(2)
        if kind != HOST_NAME or not name.data.isascii():
            raise NotTls("the server name is malformed")
        names.append(name.data.decode("ascii").lower().removesuffix("."))
    return names
