"""Broken and hostile requests against the proxy; no connection may leave but to the approved host. A packet socket sees every attempt.

test_control_fuzz_egress.py runs this file with pytest in namespaces, as test_control_egress.py does with egress_network.py, whose servers it uses.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import struct
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest
from data_world import DataWorld
from egress_mutations import HELLO, mutant
from egress_network import HERE, HTTP, SERVER, talk

pytest_plugins = ("egress_network",)
TOTAL = 100_000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 10_000
AT_ONCE = 24
PATIENCE_S = 60.0
GROWTH_BYTES = 48 << 20
EVERY_PROTOCOL = 3  # ETH_P_ALL
# classic BPF over an IP header: pass what begins a TCP connection, every UDP datagram, and all of IPv6
FILTER = (
    *((0x30, 0, 0, 0), (0x54, 0, 0, 0xF0), (0x15, 0, 7, 0x40), (0x30, 0, 0, 9), (0x15, 5, 0, 17), (0x15, 0, 5, 6)),
    *((0xB1, 0, 0, 0), (0x50, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0x40), (0x06, 0, 0, 0)),
)
POLICY = """\
apiVersion: guardrails/v1
rules:
  - name: out
    for: everyone
    network:
      allow:
        - {host: packages.example.com, port: 80, private: 10.77.0.0/24}
        - {host: packages.example.com, port: 443, private: 10.77.0.0/24}
        - {host: loop.example.com, port: "*", private: 0.0.0.0/0}
        - {host: meta.example.com, port: "*", private: 0.0.0.0/0}
        - {host: own.example.com, port: "*", private: 0.0.0.0/0}
        - unnamed.example.com:80
"""


class Sentinel:
    """Counts by (address, port) every connection that begins on any interface of this network namespace."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, int]] = Counter()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL))
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in FILTER))
        self._socket.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", len(FILTER), ctypes.addressof(code)))  # SO_ATTACH_FILTER
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._drain()
        threading.Thread(target=self._watch, daemon=True).start()

    def _drain(self) -> None:
        """Away with what came before the filter."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
        self._socket.setblocking(True)

    def _watch(self) -> None:
        protocol_at = {4: 9, 6: 6}
        while data := self._socket.recv(128):
            version = data[0] >> 4
            if version in protocol_at and data[protocol_at[version]] in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
                header = 4 * (data[0] & 15) if version == 4 else 40
                family, place = (socket.AF_INET, data[16:20]) if version == 4 else (socket.AF_INET6, data[24:40])
                self.seen[socket.inet_ntop(family, place), int.from_bytes(data[header + 2 : header + 4], "big")] += 1

    def lost(self) -> int:
        """Packets that it had no room for."""
        return struct.unpack("II", self._socket.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path, POLICY)
    yield world
    world.close()


@pytest.fixture
def sentinel(proxy):
    subprocess.run(["ip", "route", "replace", "default", "via", SERVER], check=True)  # every address of the internet lies beyond the servers
    return Sentinel()


def test_the_sentinel_sees_what_it_should(sentinel):
    for place in ((SERVER, 81), ("93.184.216.34", 4433), (HERE, 23), ("127.0.0.1", 25)):
        with socket.socket() as probe, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            probe.settimeout(0.2)
            probe.connect_ex(place)
            other.sendto(b"x", (SERVER, 53))
        assert _wait(lambda place=place: sentinel.seen[place] and sentinel.seen[SERVER, 53])


@pytest.mark.timeout(3600)
def test_no_mutated_request_reaches_anything_but_the_approved_host(proxy, world, sentinel):
    assert talk(proxy, HTTP % (b"packages.example.com", b"first")).startswith(b"HTTP/1.1 200 ")
    worker = world.state().egress.pid
    asyncio.run(send_all(proxy, range(500), Counter()))
    before = resident_bytes(worker)
    tally: Counter[str] = Counter()
    asyncio.run(send_all(proxy, range(TOTAL), tally))
    print(f"{TOTAL} requests: {dict(tally.most_common())}; the worker grew by {(resident_bytes(worker) - before) >> 10} KiB; {dict(sentinel.seen)}")
    assert world.state().egress.pid == worker
    assert set(sentinel.seen) == {tuple(proxy), (SERVER, 80), (SERVER, 443)}
    assert sentinel.lost() == 0
    assert min(tally[status] for status in ("200", "400", "403")) > TOTAL / 100
    assert resident_bytes(worker) - before < GROWTH_BYTES
    assert world.audited("network.proxy") == []  # no worker ended
    assert_nothing_was_smuggled(proxy)


def assert_nothing_was_smuggled(proxy) -> None:
    """Of all that the approved host received, each is a TLS handshake for it or one request that the proxy wrote, for that host."""
    received = json.loads(talk(proxy, HTTP % (b"packages.example.com", b"log")).partition(b"\r\n\r\n")[2])
    assert len(received) > TOTAL / 20
    requests = [data for data in received if not data.encode("latin-1").startswith(HELLO[:1])]
    assert all("packages.example.com" in data and "other.example.com" not in data for data in received if data not in requests)
    for data in requests:
        head = data.partition("\r\n\r\n")[0]
        names = [line.partition(":")[0].lower() for line in head.split("\r\n")[1:]]
        assert head.split("\r\n")[1] == "Host: packages.example.com", data
        assert names.count("host") == 1, data
        assert names.count("content-length") + names.count("transfer-encoding") <= 1, data


async def send_all(address, numbers, tally) -> None:
    """The mutants of these numbers, some at once; what came back is counted by status."""
    todo = iter(numbers)

    async def some() -> None:
        for number in todo:
            one = mutant(number)
            try:
                answer = await asyncio.wait_for(exchange(address, one.data), PATIENCE_S)
            except TimeoutError:
                pytest.fail(f"no end of mutant {number}: {one.data!r}")
            status = answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else "nothing" if not answer else "odd"
            tally[status] += 1
            assert status in ("200", "400", "403", "502", "nothing"), (number, one.data, answer[:300])
            assert b"control failed" not in answer, (number, one.data)
            assert status == "200" or not one.unbroken, (number, answer[:300])

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def exchange(address, data: bytes) -> bytes:
    """Everything that comes back on a connection of its own."""
    reader, writer = await asyncio.open_connection(*address)
    answer = b""
    try:
        writer.write(data)
        writer.write_eof()
        while part := await reader.read(1 << 16):
            answer += part
    except ConnectionError:  # cut: what came before counts
        return answer
    finally:
        writer.close()
    return answer


def resident_bytes(pid: int) -> int:
    """A process's memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _wait(found) -> bool:
    """Whether `found()` became true: the sentinel's thread has no event for a place."""
    gate = threading.Event()
    return any(found() or gate.wait(0.02) for _ in range(250))
