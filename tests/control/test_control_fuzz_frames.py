"""Mutated frames against a real control process: its own socket, and a kernel's channel. None is granted what it may not have, none ends control."""

import array
import contextlib
import json
import os
import re
import socket
import stat
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from data_world import POLICY, DataWorld
from frame_mutations import Vocabulary, sent
from resting import resting_pid

from jupyter_guardrails.control.channel_operations import OPERATIONS
from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import REQUESTS, Beat, KernelAdmit, KernelBeat, Kernels, KernelStarted, Me

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(3600)]
TOTAL = 50_000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 5_000  # for each of the two
AT_ONCE = 6
BEAT_EVERY_S = 10.0
PROCESS = re.compile(r"/proc/\d+/stat")
GROWTH_BYTES = 64 << 20
REPORT = {"guarantees": [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]}
WITH_KERNELS = POLICY.replace("    data: {read:", "    kernels: {profiles: [small], default: small, max: 20}\n    data: {read:").replace(
    "rules:\n", "profiles:\n  small: {memory: 1GiB, cpus: 1}\nrules:\n"
)


@dataclass
class Target:
    """A control with a channel of one of its kernels."""

    world: DataWorld
    own: object
    name: str
    lease: str
    flights: Path

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.own.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> list[str]:
        """What it has open but the records, of which each of its threads has a connection, and the processes of the machine, which it keeps open
        to look at them again. Root's only: it is not dumpable."""
        found = []
        for link in Path(f"/proc/{self.own.process.pid}/fd").iterdir() if os.geteuid() == 0 else ():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(link.readlink()))
        return [what for what in found if "records.sqlite" not in what and not PROCESS.fullmatch(what)]


@pytest.fixture
def target(tmp_path, capfd):
    world = DataWorld(tmp_path, WITH_KERNELS)
    flights = world.dataset("nyc/flights")
    for name, classification in (("hr/headcount", "confidential"), ("hr/salaries", "restricted")):
        world.dataset(name, classification)
    own = start_own_control(Settings(world.policy_file, world.folder, tmp_path / "state", tmp_path / "c.sock", True, "ana"))
    name = f"gr-fuzz-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(64)
        lease = own.client.admit(KernelAdmit(kernel_id="k", kernelspec="python3", workspace="/w", key="k")).lease
        own.client.call(KernelStarted(lease=lease, pid=resting_pid(), report=REPORT, listeners=["channel"]), fds=[listener.fileno()])
    over = threading.Event()
    beating = threading.Thread(target=beat, args=(own, lease, over))
    beating.start()
    yield Target(world, own, name, lease, flights)
    over.set()
    beating.join()
    own.stop()
    world.close()


def beat(own, lease, over):
    """A lease without beats ends after a minute."""
    while not over.wait(BEAT_EVERY_S):
        own.client.call(KernelBeat(beats=[Beat(lease=lease, cpu_s=0.1, memory_bytes=1, memory_peak_bytes=1)]))


def vocabulary(target, operations, whole, token=None):
    names = ["nyc/flights", "hr/headcount", "hr/salaries", "no/such"]
    values = {
        "name": names,
        "dataset": names,
        "q": ["flights", "salaries", ""],
        "file": ["", "x.parquet", "../salaries.parquet"],
        "days": [1, 30, 365],
    }
    values |= {"purpose": ["a churn study"], "path": [str(target.flights), str(target.world.data / "hr/salaries.parquet"), "/etc/passwd"]}
    values |= {"lease": ["none"], "kernel_id": ["k", "k2"], "kernelspec": ["python3"], "workspace": ["/nowhere"], "key": ["a", "b", "c"]}
    values |= {
        "pid": [os.getpid(), 0, -1],
        "report": [REPORT, {"guarantees": []}, {}],
        "listeners": [["channel"], ["proxy"], ["channel", "proxy"], []],
    }
    values |= {"profile": ["small", "large"], "notebook": ["a.ipynb"], "id": ["s-1"], "submission": ["s-1"], "leases": [["none"]], "limit": [1, 10]}
    values |= {"beats": [[{"lease": "none", "cpu_s": 1, "memory_bytes": 1, "memory_peak_bytes": 1}]], "read": [[]], "write": [[]], "devices": [[]]}
    return Vocabulary(operations, values, whole, token)


def test_frames_on_controls_socket(target, capfd):
    fields = {op: list(kind.model_fields) for op, kind in REQUESTS.items()}
    words = vocabulary(target, fields, "me", target.own.client.token)
    tally = run(target, words, str(target.own.client.socket_path), lambda data, answer, fds: check_control(words, data, answer))
    assert min(tally["ok"], tally["bad_request"], tally["refused"], tally["not_found"]) > TOTAL / 200
    assert_unharmed(target, capfd)


def test_frames_on_a_kernels_channel(target, capfd):
    words = vocabulary(target, {op: list(kind.model_fields) for op, (kind, _) in OPERATIONS.items()}, "hello")
    tally = run(target, words, f"\0{target.name}", lambda data, answer, fds: check_channel(target, answer, fds))
    assert min(tally["ok"], tally["bad_request"], tally["refused"], tally["not_found"]) > TOTAL / 200
    assert tally["descriptors"] > 0
    assert_unharmed(target, capfd)


def check_control(words, data, answer):
    """Only the token's holder is ever told anything."""
    assert not answer["ok"] or words.token.encode() in data


def check_channel(target, answer, fds):
    """Ana's kernel hears nothing of what is hidden from her, and gets descriptors of the one dataset that she may read, to read."""
    if answer["ok"]:
        assert "salaries" not in json.dumps(answer["result"])
        assert answer["result"].get("person", "ana") == "ana"
    for fd in fds:
        found = os.fstat(fd)
        assert stat.S_ISREG(found.st_mode)
        assert found.st_ino == target.flights.stat().st_ino
        with pytest.raises(OSError):
            os.pwrite(fd, b"x", 0)


def run(target, words, address, check):
    """Send all; what came back, counted by the error's code."""
    pid, tally, lock = target.own.process.pid, Counter(), threading.Lock()
    defects = []

    def one(number):
        message = sent(number, words)
        answers, fds = exchange(address, message)
        try:
            codes = ["ok" if answer["ok"] else answer["error"]["code"] for answer in answers]
            assert not message.whole or codes == ["ok"], (number, answers)
            for answer in answers:
                if "control failed" in json.dumps(answer):
                    defects.append((message.data[:500], answer["error"]["message"]))
                check(message.data, answer, fds)
        finally:
            for fd in fds:
                os.close(fd)
        with lock:
            tally.update(codes or ["nothing"])
            tally["descriptors"] += len(fds)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(TOTAL // 10)))  # threads, connections to the records and caches are there from then on
        before, open_before = target.resident_bytes(), len(target.descriptors())
        list(pool.map(one, range(TOTAL)))
    assert defects == []
    assert target.own.client.call(Me())["person"] == "ana"
    assert target.own.process.poll() is None
    assert target.own.process.pid == pid
    until = time.monotonic() + 10
    while len(left := target.descriptors()) > open_before and time.monotonic() < until:
        time.sleep(0.05)  # another process's descriptors have no event
    grown = target.resident_bytes() - before
    print(f"{TOTAL} frames: {dict(tally.most_common())}; control grew by {grown >> 10} KiB, {len(left) - open_before} descriptors")
    assert len(left) <= open_before, left
    assert grown < GROWTH_BYTES
    return tally


def exchange(address, message):
    """Every frame that comes back on a connection of its own, and the descriptors."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(address)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read to its end
            send(connection, message)
        data, fds = b"", []
        with contextlib.suppress(ConnectionResetError):
            while True:
                part, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(4 * 16), socket.MSG_CMSG_CLOEXEC)
                for _, _, payload in ancillary:
                    fds.extend(array.array("i", payload))
                if not part:
                    break
                data += part
    return list(frames_in(data)), fds


def send(connection, message):
    with open(os.devnull, "rb") as null:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()] * message.fds))] if message.fds else []
        count = connection.sendmsg([message.data], rights)
        connection.sendall(message.data[count:])
    connection.shutdown(socket.SHUT_WR)


def frames_in(data):
    while data:
        (length,) = struct.unpack(">I", data[:4])
        assert len(data) >= 4 + length, "half a frame came back"
        yield json.loads(data[4 : 4 + length])
        data = data[4 + length :]


def assert_unharmed(target, capfd):
    """The log has no defect of ours, and the lease that nobody named is still there."""
    said = capfd.readouterr()
    with capfd.disabled():
        print(*(line for line in said.out.splitlines() if " frames: " in line))
    assert "Traceback" not in said.err, said.err[-4000:]
    assert "k" in [kernel["id"] for kernel in target.own.client.call(Kernels())["kernels"]]
