"""The watch over real processes, with a clock that the test turns."""

import asyncio
import subprocess
import sys

import pytest

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import KernelLimits
from jupyter_guardrails.kernels.watch import Watch

MIB = 1 << 20
HOLD = "import signal, sys; signal.signal(2, signal.SIG_IGN); kept = b'x' * (int(sys.argv[1]) << 20); print('ready', flush=True); sys.stdin.read()"


class Kernel:
    """A process that the watch asks about and ends."""

    def __init__(self, mib=60):
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.idle, self.ended, self.was_gone, self.told = 0.0, [], 0, []

    def running(self):
        return self.process.poll() is None

    def idle_s(self):
        return self.idle

    async def end(self, reason, *, restart):
        self.ended.append((reason, restart))

    def say(self, text):
        self.told.append(text)

    async def gone(self):
        self.was_gone += 1

    def stop(self):
        self.process.kill()
        self.process.communicate()


class Control:
    """What is sent, and the answers that the test wants."""

    def __init__(self):
        self.sent, self.answer, self.limits = [], {}, {}

    async def call(self, request):
        if isinstance(request, KernelLimits):
            return self.limits
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def kernel():
    started = Kernel()
    yield started
    started.stop()


@pytest.fixture
def control():
    return Control()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(control, clock):
    return Watch(control.call, clock=clock)


def admission(**changes):
    base = {
        "lease": "L",
        "principal": "ana",
        "policy_digest": "",
        "profile": "p",
        "rule": "",
        "mode": "enforce",
        "cpus": 1,
        "tasks": 9,
        "shm_bytes": 0,
    }
    return Admission(**{**base, "memory_bytes": 512 * MIB, **changes})


async def watching(watch, kernel, **changes):
    """Add, and stop the background task: the test ticks itself."""
    watch.add(admission(**changes), kernel_id="K", pid=kernel.process.pid, watched=kernel)
    watch._task.cancel()
    await asyncio.sleep(0)


def test_it_measures_a_tree_and_tells_control_every_ten_seconds(watch, kernel, control, clock):
    async def scene():
        await watching(watch, kernel)
        await watch.tick()
        clock.now += 5
        await watch.tick()
        clock.now += 6
        await watch.tick()

    asyncio.run(scene())
    assert watch.samples()["K"].memory_bytes > 60 * MIB
    assert [len(request.beats) for request in control.sent] == [1, 1]
    assert control.sent[-1].beats[0].memory_peak_bytes >= 60 * MIB
    assert kernel.ended == []


def test_control_can_end_a_kernel_with_its_reason(watch, kernel, control):
    control.answer = {"end": [{"lease": "L", "reason": "the budget is used up"}, {"lease": "unknown", "reason": "x"}]}

    async def scene():
        await watching(watch, kernel)
        await watch.tick()

    asyncio.run(scene())
    assert kernel.ended == [("the budget is used up", False)]


def test_control_that_is_away_ends_nothing_and_is_asked_again(watch, kernel, control, clock):
    control.answer = errors.ControlAway("gone")

    async def scene():
        await watching(watch, kernel)
        await watch.tick()
        control.answer, clock.now = {}, clock.now + 11
        await watch.tick()

    asyncio.run(scene())
    assert len(control.sent) == 2
    assert kernel.ended == []


@pytest.mark.parametrize(("changes", "idle", "later", "word"), [({"idle_s": 60}, 61, 0, "not used"), ({"lifetime_s": 60}, 0, 61, "lets it run")])
def test_idle_and_life_time_end_a_kernel_for_good(watch, kernel, clock, changes, idle, later, word):
    async def scene():
        await watching(watch, kernel, **changes)
        await watch.tick()
        assert kernel.ended == []
        kernel.idle, clock.now = idle, clock.now + later
        await watch.tick()

    asyncio.run(scene())
    ((reason, restart),) = kernel.ended
    assert word in reason
    assert restart is False


def test_a_kernel_far_over_its_memory_is_ended_with_the_reason(watch, control, clock):
    big = Kernel(mib=200)

    async def scene():
        await watching(watch, big, memory_bytes=80 * MIB)
        for _ in range(3):
            await watch.tick()
            clock.now += 1

    try:
        asyncio.run(scene())
    finally:
        big.stop()
    assert any("80 MiB" in reason and restart for reason, restart in big.ended)


def test_an_ended_kernel_gets_the_time_to_be_restarted_before_it_counts_as_gone(watch, kernel, clock):
    async def scene():
        await watching(watch, kernel)
        await watch.tick()
        kernel.stop()
        for seconds, gone in ((0, 0), (10, 0), (10, 1), (10, 1)):
            clock.now += seconds
            await watch.tick()
            assert kernel.was_gone == gone

    asyncio.run(scene())


def test_a_restart_goes_on_counting_under_the_same_lease(watch, kernel, clock):
    second = Kernel(mib=10)

    async def scene():
        await watching(watch, kernel)
        await watch.tick()
        first = watch.samples()["K"]
        watch.pause("L")
        assert watch.samples() == {}
        await watching(watch, second)
        clock.now += 1
        await watch.tick()
        assert watch.samples()["K"].cpu_s >= first.cpu_s
        assert watch.discard("L").memory_peak_bytes >= first.memory_peak_bytes
        assert watch.discard("L").cpu_s == 0

    try:
        asyncio.run(scene())
    finally:
        second.stop()


def test_the_task_runs_while_there_are_kernels_and_ends_after(watch, kernel):
    async def scene():
        watch.add(admission(), kernel_id="K", pid=kernel.process.pid, watched=kernel)
        task = watch._task
        watch.discard("L")
        await asyncio.wait_for(task, 5)

    asyncio.run(scene())
