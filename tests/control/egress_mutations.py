"""Broken and hostile requests to the proxy, the same for a number every time: whole requests, cut, mixed and filled with what has fooled others."""

from __future__ import annotations

import contextlib
import random
import ssl
from dataclasses import dataclass

SEED = 20260101
ALLOWED = b"packages.example.com"
WHERE = (
    *(ALLOWED, b"PACKAGES.example.com.", b"10.77.0.2", b"0xa4d0002", b"[::ffff:10.77.0.2]", b"10.77.0.9", b"10.77.0.1", b"own.example.com"),
    *(b"127.0.0.1", b"0x7f.1", b"2130706433", b"017700000001", b"[::1]", b"[::ffff:7f00:1]", b"loop.example.com", b"localhost", b"0", b"[::]"),
    *(b"169.254.169.254", b"meta.example.com", b"[64:ff9b::a9fe:a9fe]", b"[2002:7f00:1::]", b"224.0.0.1", b"255.255.255.255", b"93.184.216.34"),
    *(b"other.example.com", b"unlisted.example.com", b"unnamed.example.com", b"packages.example.com.evil.example", b"evil.packages.example.com"),
    *(b"packages.example.com@10.77.0.9", b"10.77.0.9\\@packages.example.com", b"packages%2eexample.com", b"packages.example.com#@10.77.0.9"),
    *(b"p\xc3\xa4ckages.example.com", b"packages.example.com\0.evil.example", b"packages.example.com%00", b"xn--packages.example.com", b"*", b""),
)
PORTS = (b"80", b"443", b"81", b"22", b"0", b"65536", b"080", b"+80", b"-1", b"80 ", b"8\xc2\xb20", b"443:81", b"")
PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\0",
        b"\t",
        b" ",
        b":",
        b"@",
        b"\\",
        b"#",
        b"?",
        b"//",
        b"%0d%0a",
        b"\xff\xfe",
        b"\x16\x03\x01\x00\xff\x01",
    ),
    *(b"Host: 10.77.0.9\r\n", b"Host : evil.example\r\n", b" folded: line\r\n", b"Connection: content-length, host\r\n", b"Upgrade: websocket\r\n"),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: " + b"9" * 40 + b"\r\n",
    ),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding:\x0bchunked\r\n", b"TE: trailers\r\n"),
    *(
        b"GET http://10.77.0.9/ HTTP/1.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n",
        b"HTTP/1.1",
        b"HTTP/0.9",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ),
    *(b"ffffffff\r\n", b"0\r\n\r\n", b"5;ext=\r\nhello\r\n", b"X: " + b"y" * 5000 + b"\r\n", b"X: y\r\n" * 250),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """What a client sends, and whether it is a whole request to the allowed place that must be answered."""

    data: bytes
    unbroken: bool


def mutant(number: int) -> Mutant:
    """The request of this number; one in twenty is left whole."""
    dice = random.Random(f"{SEED}/{number}")
    if number % 20 == 0:
        return Mutant(_plain(ALLOWED, b"80", dice), True)
    data = _whole(dice)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
        data = dice.choice((_flip, _cut, _twice, _fill, _splice, _instead))(data, dice)
    return Mutant(data, False)


def _whole(dice: random.Random) -> bytes:
    host = ALLOWED if dice.random() < 0.4 else dice.choice(WHERE)
    port = dice.choice((b"80", b"443")) if dice.random() < 0.6 else dice.choice(PORTS)
    return dice.choice((_plain, _plain, _post, _chunked, _tunnel, _tunnel))(host, port, dice)


def _plain(host: bytes, port: bytes, dice: random.Random) -> bytes:
    return b"GET http://%s%s/%d HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n\r\n" % (host, b":" + port if port != b"80" else b"", dice.randrange(99), host)


def _post(host: bytes, port: bytes, dice: random.Random) -> bytes:
    return b"POST http://%s:%s/p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" % (host, port)


def _chunked(host: bytes, port: bytes, dice: random.Random) -> bytes:
    return b"POST http://%s:%s/p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n" % (host, port)


def _tunnel(host: bytes, port: bytes, dice: random.Random) -> bytes:
    inside = dice.choice((HELLO, HELLO, OTHER_HELLO, b"GET / HTTP/1.1\r\nHost: 10.77.0.9\r\n\r\n", b"SSH-2.0-x\r\n", b""))
    return b"CONNECT %s:%s HTTP/1.1\r\nHost: %s\r\n\r\n%s" % (host, port, host, inside)


def _flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start + dice.randrange(40) :]


def _twice(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[: start + dice.randrange(60)] + data[start:]


def _fill(data: bytes, dice: random.Random) -> bytes:
    at = dice.choice((dice.randrange(len(data) + 1), data.find(b"\r\n") + 2, len(data)))
    return data[:at] + dice.choice(PIECES) + data[at:]


def _splice(data: bytes, dice: random.Random) -> bytes:
    other = _whole(dice)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other)) :]


def _instead(data: bytes, dice: random.Random) -> bytes:
    return data.replace(dice.choice((ALLOWED, b"443", b"80", b"http", b"\r\n")), dice.choice((*WHERE, *PORTS, b"https", b"file", b"\n")), 1)


def _hello(name: str) -> bytes:
    """The bytes that OpenSSL itself sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


HELLO, OTHER_HELLO = _hello(ALLOWED.decode()), _hello("other.example.com")
