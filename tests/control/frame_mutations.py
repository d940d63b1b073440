"""Broken and hostile frames for control's socket and for a kernel's channel, the same for a number every time."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEED = 20260102
WHOLE_EVERY = 10
HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 2**64, -(2**70), 1e308, -0.0, 0.5, "", " ", "0", "\0", "\ud800", "é" * 300, "x" * 9000, "../" * 40),
    *(
        "/etc/shadow",
        "/proc/self/environ",
        "/",
        ".",
        "nyc/flights/../../hr/salaries",
        "hr/salaries",
        "NYC/FLIGHTS",
        "nyc/flights\0",
        "file:///etc/passwd",
    ),
    *("' OR 1=1 --", "{{7*7}}", "%s%n", "\u202efdp", "\r\nX: y", "$(id)", [], {}, [[]], [None] * 500, {"": {}}, {"__class__": "x"}, ["nyc/flights"]),
    *({"op": "me"}, [["a", "b"]], [{"lease": "x"}], {"name": "nyc/flights"}, "root", "carol", "ana"),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes over a connection with so many descriptors; `whole`: it is one good frame, and its answer is ok."""

    data: bytes
    fds: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The operations with their fields, values that make sense for a field, one that always succeeds, and the token if there is one."""

    operations: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[Any]]
    whole: str
    token: str | None = None


def framed(body: bytes) -> bytes:
    """A frame with its right length."""
    return struct.pack(">I", len(body)) + body


def sent(number: int, words: Vocabulary) -> Sent:
    """The frame of this number; one in ten is left whole."""
    dice = random.Random(f"{SEED}/{words.whole}/{number}")
    if number % WHOLE_EVERY == 0:
        return Sent(framed(json.dumps({"v": 1, "id": number, "op": words.whole, "args": {}, "token": words.token}).encode()), whole=True)
    body = json.dumps(_message(number, words, dice)).encode()
    for _ in range(dice.choice((0, 0, 0, 1, 1, 3))):
        body = dice.choice((_flip, _cut, _twice, _fill))(body, dice)
    return Sent(dice.choice((_right, _right, _right, _right, _right, _wrong))(body, dice), dice.choice((0, 0, 0, 0, 1, 3, 8, 12)))


def _message(number: int, words: Vocabulary, dice: random.Random) -> dict[str, Any]:
    op = dice.choice(list(words.operations))
    args = {field: _value(field, words, dice) for field in words.operations[op] if dice.random() < 0.95}
    if dice.random() < 0.08:
        args[dice.choice(("principal", "person", "kernel", "uid", "op", "__proto__"))] = dice.choice(HOSTILE)
    message: dict[str, Any] = {"v": 1, "id": number, "op": op, "args": args, "token": words.token}
    if dice.random() < 0.3:
        message[dice.choice(("v", "id", "op", "args", "token", "token", "principal"))] = dice.choice(HOSTILE)
    if dice.random() < 0.1:
        del message[dice.choice(("v", "id", "op", "args", "token"))]
    return message


def _value(field: str, words: Vocabulary, dice: random.Random) -> Any:
    return dice.choice(words.values.get(field, HOSTILE)) if dice.random() < 0.7 else dice.choice(HOSTILE)


def _right(body: bytes, dice: random.Random) -> bytes:
    return framed(body)


def _wrong(body: bytes, dice: random.Random) -> bytes:
    """Another length than the body has, no length, or something behind it."""
    length = dice.choice((0, 1, len(body) - 1, len(body) + 1, 1 << 16, 4 << 20, (4 << 20) + 1, 2**31, 2**32 - 1))
    return dice.choice((struct.pack(">I", max(length, 0)) + body, body, framed(body) * 3, framed(body)[: dice.randrange(len(body) + 4)]))


def _flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start + dice.randrange(30) :]


def _twice(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data[: start + dice.randrange(60)] + data[start:]


def _fill(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    pieces = (
        b"[" * 3000,
        b'{"a":' * 1500,
        b"NaN",
        b"Infinity",
        b"9" * 5000,
        b"-1e999",
        b"\xff\xfe",
        b"\0",
        b'\\ud800"',
        b'"op": "me",',
        b'"v": 1,',
        b"/*",
    )
    return data[:at] + dice.choice(pieces) + data[at:]
