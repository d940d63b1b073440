"""Control sees kernels itself: a server that lies is charged for what is seen, an honest one for what it says; only its own processes count."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from resting import resting_pid

from jupyter_guardrails.control.interface.messages import Beat, KernelAdmit, KernelBeat, Kernels, KernelSettle, KernelStarted
from jupyter_guardrails.control.sampling import Sampler, resume, start_of
from jupyter_guardrails.errors import Refused
from jupyter_guardrails.records import leases, open_records
from jupyter_guardrails.records.leases import Use
from jupyter_guardrails.sandbox import meter

MIB = 1 << 20
NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
BUSY = """
import subprocess, sys
held = b"x" * (64 << 20)
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print("busy", flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.fixture
def busy():
    """A process that holds 64 MiB and has a child that computes."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "busy\n"
    yield process
    process.stdin.close()
    process.wait()


def until(condition, *, patience_s=30.0):
    """Ask again and again: what is waited for is the processor time of another process, of which nobody is told."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
    return found


def follow(sampler, pid, **more):
    sampler.follow("L", pid=pid, started=meter.start_time(pid), most_bytes=1 << 40, **more)


def begin(client, pid, key="k"):
    guarantees = [{"name": name, "held": True, "how": "", "next_step": ""} for name in ("files", "network")]
    admission = client.admit(KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace="/w", key=key))
    client.call(KernelStarted(lease=admission.lease, pid=pid, report={"guarantees": guarantees}))
    return admission


def beat(client, admission, *, cpu_s=0.0, memory=0):
    return client.call(KernelBeat(beats=[Beat(lease=admission.lease, cpu_s=cpu_s, memory_bytes=memory, memory_peak_bytes=memory)]))


def test_a_server_that_says_nothing_was_used_is_charged_for_what_control_sees(world, busy):
    client = world.start_with_ttl(3.0).client  # a look each half a second
    admission = begin(client, busy.pid)

    def charged():
        beat(client, admission)
        kernel = client.call(Kernels())["kernels"][0]
        return kernel["cpu_s"] > 0.5 and kernel["memory_bytes"] > 64 * MIB

    until(charged)
    client.call(KernelSettle(lease=admission.lease, reason="shut down"))


def test_a_server_that_says_more_is_charged_for_what_it_says(world):
    client = world.start().client
    admission = begin(client, resting_pid())
    beat(client, admission, cpu_s=50.0, memory=512 * MIB)
    kernel = client.call(Kernels())["kernels"][0]
    assert (kernel["cpu_s"], kernel["memory_bytes"]) == (50.0, 512 * MIB)


def test_a_whole_tree_is_seen(busy):
    sampler = Sampler()
    follow(sampler, busy.pid)

    def looked():
        sampler.look()
        return sampler.seen("L").cpu_s > 0.3

    until(looked)
    assert sampler.charged("L", Use(0.0, 0, 0)).memory_bytes > 64 * MIB
    assert sampler.charged("other", Use(1.0, 2, 3)) == Use(1.0, 2, 3)


def test_memory_that_is_about_what_the_server_says_is_taken_from_it(busy):
    """The plain sum of resident sizes counts shared pages more than once."""
    sampler = Sampler()
    follow(sampler, busy.pid)
    sampler.look()
    said = int(sampler.seen("L").memory_bytes / 1.2)
    assert sampler.charged("L", Use(0.0, said, said)).memory_bytes == said
    assert sampler.charged("L", Use(0.0, 1, 1)).memory_bytes > 64 * MIB


def test_no_more_memory_is_charged_than_the_profile_gives(busy):
    sampler = Sampler()
    sampler.follow("L", pid=busy.pid, started=meter.start_time(busy.pid), most_bytes=10 * MIB)
    sampler.look()
    assert sampler.charged("L", Use(0.0, 0, 0)).memory_bytes == 10 * MIB


def test_a_later_process_of_the_same_number_is_never_charged(busy):
    sampler = Sampler()
    sampler.follow("L", pid=busy.pid, started=meter.start_time(busy.pid) - 1, most_bytes=1 << 40)
    sampler.look()
    assert (sampler.seen("L").cpu_s, sampler.seen("L").memory_bytes) == (0.0, 0)
    follow(sampler, busy.pid)
    sampler.look()
    assert sampler.seen("L").memory_bytes > 64 * MIB


def test_what_was_seen_stays_when_the_process_is_gone_and_a_restart_counts_on(busy):
    sampler = Sampler()
    follow(sampler, busy.pid)

    def looked():
        sampler.look()
        return sampler.seen("L").cpu_s

    until(looked)
    busy.stdin.close()
    busy.wait()
    seen = sampler.seen("L").cpu_s
    sampler.look()
    assert (sampler.seen("L").cpu_s, sampler.seen("L").memory_bytes) == (seen, 0)
    follow(sampler, resting_pid(), charged_s=0.0)
    sampler.look()
    assert sampler.seen("L").cpu_s == pytest.approx(seen + meter.sample(resting_pid()).cpu_s)


def test_a_control_that_was_started_again_counts_on_from_what_was_charged(busy):
    sampler = Sampler()
    row = {"id": "L", "pid": busy.pid, "pid_started": meter.start_time(busy.pid), "cpu_s": 100.0, "memory_limit_bytes": 1 << 40}
    before = meter.sample(busy.pid).cpu_s
    resume(sampler, [row, {"id": "M", "pid": None, "pid_started": None}])
    sampler.look()
    assert 100.0 <= sampler.seen("L").cpu_s <= 100.0 + meter.sample(busy.pid).cpu_s - before
    assert sampler.seen("M").cpu_s == 0.0


def test_the_process_must_be_there_the_accounts_and_no_one_above_control():
    assert start_of(resting_pid(), uid=os.getuid(), person="ana") == meter.start_time(resting_pid())
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, os.getpid(), os.getppid(), 1, 0, -1):
        with pytest.raises(Refused, match="no running process of ana's kernels"):
            start_of(pid, uid=os.getuid(), person="ana")


def test_another_accounts_process_is_refused():
    """To control, this test's processes are those of somebody else."""
    with pytest.raises(Refused, match="no running process of ben's"):
        start_of(resting_pid(), uid=os.getuid() + 1, person="ben")


def test_of_an_account_that_control_cannot_see_the_word_is_taken():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert start_of(ended.pid, uid=4_000_000_000, person="ana") is None


def test_a_refused_process_releases_the_lease(desk):
    admission = desk.admit()
    with pytest.raises(Refused, match="no running process"):
        desk.ask(KernelStarted(lease=admission.lease, pid=os.getpid(), report={"guarantees": []}))
    assert desk.ask(Kernels())["kernels"] == []


def test_use_is_charged_once_whoever_was_first_to_see_it(tmp_path):
    """In turn the server's sum and control's are ahead by what happened between two looks."""
    records = open_records(tmp_path / "r.sqlite")
    asked = {"kernel_id": "k", "kernelspec": "s", "workspace": "/w", "profile": "p", "rule": "r", "policy_digest": "d"}
    wanted = leases.Wanted(id="L", key="k", principal="ana", kind="kernel", memory_limit_bytes=1, cpus=1.0, **asked)
    records.write_sync(leases.reserve, wanted, now=NOW, ttl_s=60.0, max_kernels=1)
    for said, seen in ((10.0, 9.0), (19.0, 20.0), (30.0, 29.0), (0.5, 30.0), (1.5, 30.2)):
        records.write_sync(leases.beat, {"L": Use(said, 0, 0, seen_cpu_s=seen)}, "ana", now=NOW, ttl_s=60.0)
    assert records.read_sync(leases.get, "L", "ana")["cpu_s"] == 31.5, "the server counted from nothing after 30"
    records.close()
