"""Control on a disk of 12 MiB that runs full under load. test_control_full_disk.py runs this with pytest in a mount namespace of its own."""

import json
import sqlite3
import subprocess
import threading
import time

import pytest

from jupyter_guardrails.cli import doctor_state
from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelBeat, Kernels, KernelSettle, KernelStarted, Me
from jupyter_guardrails.errors import LimitReached, RecordsUnwritable
from jupyter_guardrails.records import audit, open_records
from tests.control.conftest import GOOD_REPORT, made_world
from tests.control.resting import resting_pid

PATIENCE_S = 60.0
TTL_S = 3.0  # shorter than the disk stays full: without care the leases would be over


@pytest.fixture
def small_disk():
    """A world whose state directory is a filesystem of 12 MiB."""
    with made_world() as world:
        state = world.settings.state_dir
        state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "records", str(state)], check=True)
        try:
            yield world
        finally:
            for own in world.started:
                own.stop()
            subprocess.run(["umount", "-l", str(state)], check=True)


class Kernel:
    """What a server tells control about one kernel."""

    def __init__(self, client, key):
        self.client = client
        self.lease = client.admit(KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace="/w", key=key)).lease
        client.call(KernelStarted(lease=self.lease, pid=resting_pid(), report=GOOD_REPORT))

    def beat(self, cpu_s):
        beat = Beat(lease=self.lease, cpu_s=cpu_s, memory_bytes=1 << 20, memory_peak_bytes=1 << 20)
        return self.client.call(KernelBeat(beats=[beat]))["end"]

    def settle(self):
        self.client.call(KernelSettle(lease=self.lease, reason="shut down"))


class Load:
    """Four people's worth of starts and ends, until told to stop; refusals are kept."""

    def __init__(self, client):
        self.client, self.refused, self.confirmed, self.others = client, [], [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(4)]
        for thread in self._threads:
            thread.start()

    def _run(self, number):
        count = 0
        while not self._stop.wait(0.02):  # refusals are records too: without a pause they alone would fill the disk
            count += 1
            try:
                kernel = Kernel(self.client, f"load-{number}-{count}")
                self.confirmed.append(kernel.lease)
                kernel.settle()
            except RecordsUnwritable as error:
                self.refused.append(error)
            except LimitReached:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it was, the test shows it
                self.others.append(error)
                return

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def take_all(file, size):
    while True:
        file.write(b"x" * size)


def fill(folder):
    """Take every byte that is left."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with pytest.raises(OSError, match="No space left"):
                take_all(file, size)
    return folder / "ballast"


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def integrity(state):
    """SQLite's own check, the chain's, and every line of the file as JSON."""
    with sqlite3.connect(f"file:{state / 'records.sqlite'}?mode=ro", uri=True) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    records = open_records(state / "records.sqlite")
    try:
        verified = records.read_sync(audit.verify_table)
    finally:
        records.close()
    assert verified.ok, verified.problems
    lines = [json.loads(line) for line in (state / "audit.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, verified.count + 1))
    return lines


def test_a_disk_that_runs_full_refuses_starts_and_recovers_by_itself(small_disk):
    state = small_disk.settings.state_dir
    own = small_disk.start_with_ttl(TTL_S)
    kept = Kernel(own.client, "kept")
    stop = threading.Event()
    ends, beats = [], []

    def keep_beating():
        while not stop.wait(0.3):
            try:
                beats.append(1)
                ends.extend(kept.beat(float(len(beats))))
            except RecordsUnwritable:
                continue  # as a server does: the next one says it all

    beating = threading.Thread(target=keep_beating)
    beating.start()
    load = Load(own.client)
    try:
        until(lambda: len(load.confirmed) > 20)
        ballast = fill(state)
        full_at = time.monotonic()
        until(lambda: len(load.refused) > 10 and time.monotonic() > full_at + 2 * TTL_S)  # beats alone may still find room in the log of SQLite
        assert own.client.call(Me())["person"] == "ana", "what needs no record is answered as ever"
        own.client.call(Kernels())
        refusal = str(load.refused[-1])
        before = len(load.confirmed)
        ballast.unlink()
        until(lambda: len(load.confirmed) > before + 20)
    finally:
        load.stop()
        stop.set()
        beating.join()
    assert "the records can't be written: no space left on the disk of" in refusal
    assert f"{state} (0 MiB free)" in refusal
    assert "next: free some space there" in refusal
    assert load.others == []
    assert ends == [], "a kernel that went on was told to end"
    until(lambda: any(line["action"] == "records.recovered" for line in small_disk.audit_lines()))
    own.stop()
    lines = integrity(state)
    told = [line for line in lines if line["action"] == "records.recovered"]
    assert told
    assert "could not be recorded" in told[0]["reason"]
    check_nothing_confirmed_is_lost(state, load.confirmed, kept.lease, beats)


def check_nothing_confirmed_is_lost(state, confirmed, kept, beats):
    with sqlite3.connect(f"file:{state / 'records.sqlite'}?mode=ro", uri=True) as connection:
        known = dict(connection.execute("select id, cpu_s from leases"))
        assert set(confirmed) <= set(known)
        assert known[kept] == pytest.approx(len(beats)), "a beat that was refused is made up for by the next"
        charged, leased = connection.execute("select (select sum(cpu_s) from charges), (select sum(cpu_s) from leases)").fetchone()
        assert charged == pytest.approx(leased)


def test_doctor_says_that_a_disk_is_small(small_disk):
    state = small_disk.settings.state_dir
    free = doctor_state.free_bytes(state / "not" / "there" / "yet")
    assert 10 << 20 < free <= 12 << 20
    told = "\n".join(doctor_state.lines(str(state), free))
    assert f"{free >> 20} MiB free" in told
    assert "then nothing new starts" in told
    assert "next: make room there" in told
    assert doctor_state.lines(str(state), 2 << 30) == [f"state      {state}"]


def test_control_that_is_started_on_a_full_disk_says_so(small_disk, capfd):
    state = small_disk.settings.state_dir
    small_disk.start().stop()
    ballast = fill(state)
    with pytest.raises(Exception, match="control ended at start"):
        small_disk.start()
    assert "no space left" in capfd.readouterr().err.lower()
    ballast.unlink()
    Kernel(small_disk.start().client, "after")
    integrity(state)
