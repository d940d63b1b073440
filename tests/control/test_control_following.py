"""A scan under way ends when its person may no longer read what it gives: its reader hears why, and never takes it for whole."""

import asyncio
import os
import secrets
import select
import socket
import subprocess
import sys
import textwrap
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_world import POLICY, DataWorld, Loop
from scan_world import CLIENT, Kernel

from jupyter_guardrails.control import channel, following
from jupyter_guardrails.records import requests, suspensions

ROWS = 600_000
END_MARK = b"\xff\xff\xff\xff\0\0\0\0"
CLIENT_PROGRAM = """
    import sys, guarded
    reader = guarded.open("hr/streamed").scan()
    rows = next(reader).num_rows
    print("first", flush=True)
    sys.stdin.readline()
    try:
        for batch in reader:
            rows += batch.num_rows
        print("whole", rows)
    except PermissionError as error:
        print("ended", error)
"""


class Granted:
    """A world in which ana was granted a streamed dataset, and a kernel of hers."""

    def __init__(self, root, loop):
        self.loop, self.world, self.name = loop, DataWorld(root), f"gr-test-{secrets.token_hex(6)}"
        path = self.world.data / "streamed.parquet"
        numbers = pa.array(range(ROWS), pa.int64())
        pq.write_table(pa.table({"origin": pa.repeat("JFK", ROWS), "delay": numbers}), path)
        self.world.dataset("hr/streamed", "confidential", path=path, own={"delivery": "brokered"})
        self.give()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{self.name}")
        listener.listen(8)
        self.channel = loop.run(channel.serve(self.world.state(), self.world.kernel(), listener.detach()))

    def give(self):
        said = {"actor": "carol", "reason": "study", "days": 30, "rule": "r", "policy_digest": "d"}
        id = f"g-{secrets.token_hex(6)}"
        requests_of = {"id": id, "principal": "ana", "dataset": "hr/streamed", "now": self.world.now}
        self.world.records.write_sync(requests.give, **requests_of, **said)
        self.grant = id

    def started(self):
        kernel = Kernel(self.name)
        said, (fd,) = kernel.ask("datasets.scan", name="hr/streamed")
        select.select([fd], [], [])  # its first rows have come
        return kernel, said["scan"], fd

    def settled(self):
        """What was still to be recorded is."""
        tasks = self.loop.call(lambda: list(self.world.state().tasks))
        self.loop.run(asyncio.wait(tasks, timeout=20)) if tasks else None

    def close(self):
        self.loop.call(self.channel.close)
        self.loop.run(self.world.state().brokers.stop())
        self.world.close()


@pytest.fixture
def granted(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "LOOK_S", 0.02)
    loop = Loop()
    made = Granted(tmp_path, loop)
    yield made
    made.close()
    loop.close()


def revoked(granted):
    granted.world.records.write_sync(requests.revoke, granted.grant, now=granted.world.now, actor="carol", reason="it is over")


def expired(granted):
    granted.world.pass_time(days=31)


def suspended(granted):
    fields = {"now": granted.world.now, "principal": "carol", "action": "suspend", "resource": "hr/streamed", "allowed": True}
    fields |= {"reason": "leak", "rule": "r", "policy_digest": "d"}
    said = {"id": "s-1", "kind": "dataset", "name": "hr/streamed", "reason": "leak", "ends_kernels_at": None, "fields": fields}
    granted.world.records.write_sync(suspensions.suspend, **said)


def masked(granted):
    path = granted.world.folder / "hr-streamed.odcs.yaml"
    new = path.with_name(".new")  # half a contract would be none
    new.write_text(path.read_text().replace("name: origin", "name: origin\n    customProperties: [{property: guardrails.mask, value: blank}]"))
    new.replace(path)


def taken_away(granted):
    (granted.world.folder / "hr-streamed.odcs.yaml").unlink()


def denied(granted):
    granted.world.policy_file.write_text(POLICY + "  - {name: shut, for: {users: [ana]}, deny: {data: ['hr/*']}}\n")
    granted.world.state().policies.refresh()


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (revoked, "ask"),
        (expired, ""),
        (suspended, "the dataset hr/streamed was suspended by carol"),
        (masked, "masks or rows of it are others now"),
        (taken_away, "there is no dataset"),
        (denied, ""),
    ],
)
def test_a_scan_under_way_is_ended(granted, happens, words):
    kernel, scan, fd = granted.started()
    happens(granted)
    end, _ = kernel.ask("datasets.scan_end", scan=scan)  # answers when it is over, though nobody has read anything
    assert (end["code"], words in str(end)) == ("refused", True), end
    assert "this scan of hr/streamed was ended before its last row" in end["message"]
    with open(fd, "rb") as file:
        assert not file.read().endswith(END_MARK)
    granted.settled()
    ended = granted.world.audited("data.revoke")
    assert [(record["resource"], record["kernel"]) for record in ended] == [("hr/streamed", "k-1")]
    assert "a scan was ended" in ended[0]["reason"]


def test_nothing_that_concerns_others_ends_it(granted, monkeypatch):
    looks, look = threading.Semaphore(0), following._objection

    async def counted(*of):
        found = await look(*of)
        looks.release()
        return found

    monkeypatch.setattr(following, "_objection", counted)
    kernel, scan, fd = granted.started()
    first, granted.grant = granted.grant, ""
    granted.give()  # there is another grant beside the one that is revoked
    granted.world.records.write_sync(requests.revoke, first, now=granted.world.now, actor="carol", reason="one is enough")
    assert all(looks.acquire(timeout=20) for _ in range(3))
    with open(fd, "rb") as file:
        data = file.read()
    assert data.endswith(END_MARK)
    assert pa.ipc.open_stream(data).read_all().num_rows == ROWS
    assert kernel.ask("datasets.scan_end", scan=scan)[0] == {"rows": ROWS}
    assert granted.world.audited("data.revoke") == []


@pytest.mark.parametrize("happens", [revoked, None])
def test_the_client_raises_in_the_middle(granted, happens):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{granted.name}"}
    command = [sys.executable, "-c", textwrap.dedent(CLIENT_PROGRAM)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "first\n"
        if happens:
            happens(granted)
            waiting = granted.world.state().brokers.of("ana")._active
            while waiting:  # the worker has ended it; its reader has not looked yet
                waiting = granted.loop.call(lambda: granted.world.state().brokers.of("ana")._active)
        out, _ = process.communicate("\n", timeout=60)
    expected = "ended this scan of hr/streamed was ended before its last row" if happens else f"whole {ROWS}"
    assert out.startswith(expected), out
