"""Audit records of the network stay few: counted by kind, bounded under a flood (also of a real proxy)."""

import asyncio
import socket

import pytest
from data_world import DataWorld, Loop

from jupyter_guardrails.control import egress
from jupyter_guardrails.control.egress_tally import EVERY_S, MOST_LINES, OTHERS, Tally


class Desk:
    def __init__(self):
        self.written, self.now_s = [], 0.0
        self.tally = Tally(self.write, lambda: self.now_s)

    async def write(self, action, place, allowed, reason, rule, **more):
        self.written.append((action, place, allowed, reason))

    def connect(self, place, allowed=True):
        asyncio.run(self.tally.connection(place, allowed, "because", "r:1"))

    def tell(self, **how):
        asyncio.run(self.tally.tell(**how))


def test_the_first_is_told_at_once_and_the_rest_after_a_minute():
    desk = Desk()
    for _ in range(1000):
        desk.connect("a.example:443")
    assert desk.written == [("network.connect", "a.example:443", True, "because")]
    desk.tell()
    assert len(desk.written) == 1
    desk.now_s += EVERY_S
    desk.tell()
    assert desk.written[1:] == [("network.connect", "a.example:443", True, "999 more connections: because")]


def test_allowed_and_refused_are_kinds_of_their_own():
    desk = Desk()
    desk.connect("a.example:443")
    desk.connect("a.example:443", allowed=False)
    assert [allowed for _, _, allowed, _ in desk.written] == [True, False]


def test_bytes_are_added_up():
    desk = Desk()
    for up in (1, 10, 100):
        asyncio.run(desk.tally.traffic("a.example:443", "r:1", up, 2 * up))
    desk.tell(at_once=True)
    assert [reason for *_, reason in desk.written] == ["1 bytes sent, 2 bytes received", "2 more connections: 110 bytes sent, 220 bytes received"]


def test_a_flood_of_places_is_bounded_and_every_one_counted():
    desk = Desk()
    for number in range(10_000):
        desk.connect(f"h{number}.example:443", allowed=False)
    desk.tell(at_once=True)
    assert len(desk.written) == MOST_LINES + 1
    assert desk.written[-1][1] == OTHERS
    assert desk.written[-1][3].startswith(f"{10_000 - MOST_LINES} more connections")


@pytest.mark.slow
def test_a_flood_through_a_real_proxy_writes_few_records_and_loses_no_count(tmp_path):
    world, loop = DataWorld(tmp_path), Loop()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    handle = loop.run(egress.serve(world.state(), world.kernel(), listener.detach()))
    for _ in range(300):
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(b"GET http://a.example/ HTTP/1.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
    loop.run(handle.close())
    loop.run(world.state().egress.stop())
    first, rest = world.audited("network.connect")
    assert not first["allowed"]
    assert rest["reason"].startswith("299 more connections: ")
    loop.close()
    world.close()
