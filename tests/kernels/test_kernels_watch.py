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

    def __init__(self, mib=60, program=HOLD):
        self.process = subprocess.Popen([sys.executable, "-c", program, str(mib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.idle, self.ended, self.was_gone, self.told, self.interrupts = 0.0, [], 0, [], 0

    def running(self):
        return self.process.poll() is None

    def idle_s(self):
        return self.idle

    async def interrupt(self):
        self.interrupts += 1

    async def end(self, reason, *, restart):
        self.ended.append((reason, restart))

    def say(self, text):
        self.told.append(text)

    async def gone(self):
        self.was_gone += 1

    def stop(self):
        """It ends, and its child with it, when its input does."""
        self.process.communicate(timeout=30)


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


def told(phase, *, cause="budget", since="t1", say=True):
    return {"lease": "L", "cause": cause, "phase": phase, "since": since, "text": f"{cause} {phase}", "rule": "p.yaml:3 r", "say": say}


async def beats(watch, control, clock, *answers):
    """One beat for each answer of control."""
    for notices in answers:
        control.answer = {"notices": notices, "again_s": 1.0}
        clock.now += 1.0
        await watch.tick()


def test_each_phase_is_said_once_interrupted_once_and_then_the_end_comes(watch, kernel, control, clock):
    async def scene():
        await watching(watch, kernel)
        noticed, interrupted = told("noticed"), told("interrupted", since="t2")
        await beats(watch, control, clock, [told("warned", since="t0")], [noticed], [noticed], [noticed], [interrupted], [interrupted])
        assert (kernel.told, kernel.interrupts, kernel.ended) == (
            ["budget warned (p.yaml:3 r)", "budget noticed (p.yaml:3 r)", "budget interrupted (p.yaml:3 r)"],
            1,
            [],
        )
        await beats(watch, control, clock, [told("ended", since="t3")])

    asyncio.run(scene())
    assert kernel.ended == [("budget ended (p.yaml:3 r)", False)]


def test_what_was_called_off_is_said_and_may_come_again(watch, kernel, control, clock):
    async def scene():
        await watching(watch, kernel)
        await beats(watch, control, clock, [told("noticed")], [told("off", since="t2")], [], [told("noticed", since="t3")])

    asyncio.run(scene())
    assert [text.split()[1] for text in kernel.told] == ["noticed", "off", "noticed"]
    assert kernel.ended == []


def test_what_is_for_the_panel_alone_is_not_said_and_a_front_end_is_told_to_look(kernel, control, clock):
    hints = []
    watch = Watch(control.call, clock=clock, hint=hints.append)

    async def scene():
        await watching(watch, kernel)
        await beats(watch, control, clock, [told("warned", cause="idle", say=False)], [told("warned", cause="idle", say=False)])

    asyncio.run(scene())
    assert (kernel.told, hints) == ([], ["K"])


def test_a_kernel_that_does_nothing_is_not_interrupted(watch, kernel, control, clock):
    kernel.idle = 30.0

    async def scene():
        await watching(watch, kernel)
        await beats(watch, control, clock, [told("interrupted")])

    asyncio.run(scene())
    assert (kernel.interrupts, len(kernel.told)) == (0, 1)


class Slow(Kernel):
    """Its lease is given back first, as of a kernel of Jupyter's; the rest takes longer than the watch lives without it."""

    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    async def end(self, reason, *, restart):
        self.watch.discard("L")
        while not self.watch._task.done():
            await asyncio.sleep(0.01)
        await super().end(reason, restart=restart)


@pytest.mark.parametrize("answer", [{"notices": [told("ended")]}, {"end": [{"lease": "L", "reason": "over"}]}])
def test_the_end_of_the_last_kernel_outlives_the_watch_over_it(watch, control, clock, answer):
    kernel = Slow(watch)
    control.answer = answer

    async def scene():
        watch.add(admission(), kernel_id="K", pid=kernel.process.pid, watched=kernel)
        async with asyncio.timeout(30):
            while not kernel.ended:
                await asyncio.sleep(0.01)

    try:
        asyncio.run(scene())
    finally:
        kernel.stop()
    assert len(kernel.ended) == 1


@pytest.mark.parametrize(("idle", "ends"), [(0.0, 0), (30.0, 1)])
def test_what_is_used_again_in_the_last_moment_is_not_ended_for_idleness(watch, kernel, control, clock, idle, ends):
    async def scene():
        await watching(watch, kernel)
        clock.now += 60.0
        kernel.idle = idle
        await beats(watch, control, clock, [told("ended", cause="idle")])

    asyncio.run(scene())
    assert len(kernel.ended) == ends


def test_control_is_told_again_when_it_asks_for_it(watch, kernel, control, clock):
    async def scene():
        await watching(watch, kernel)
        await watch.tick()
        for again_s, later, heard in ((2.0, 1.0, 1), (2.0, 9.0, 2), (2.0, 1.0, 2), (2.0, 1.0, 3)):
            control.answer = {"again_s": again_s}
            clock.now += later
            await watch.tick()
            assert len(control.sent) == heard

    asyncio.run(scene())


WITH_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "PROGRAM"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print("ready", flush=True)
sys.stdin.read()
child.kill()
"""
BUSY = WITH_CHILD.replace("PROGRAM", "while True: pass")
RESTING = WITH_CHILD.replace("PROGRAM", "import time; time.sleep(600)")


@pytest.mark.parametrize(("program", "idle_s"), [(BUSY, 0.0), (RESTING, 12.0)])
def test_a_child_that_works_is_use_and_one_that_sleeps_is_not(watch, control, clock, program, idle_s):
    """The clock of the test says how long a look lasts; the processor time is real."""
    kernel = Kernel(program=program)
    kernel.idle = 1000.0

    async def scene():
        await watching(watch, kernel, idle_s=60)
        await watch.tick()
        begin = watch.samples()["K"].cpu_s
        while program is BUSY and watch.samples()["K"].cpu_s - begin < 0.8:
            await watch.tick()
        clock.now += 12.0
        await watch.tick()

    try:
        asyncio.run(scene())
    finally:
        kernel.stop()
    assert watch.samples()["K"].idle_s == idle_s


def test_keep_counts_as_use(watch, kernel, clock):
    kernel.idle = 1000.0

    async def scene():
        await watching(watch, kernel)
        clock.now += 500.0
        await watch.tick()
        assert watch.samples()["K"].idle_s == 500.0
        watch.keep("K")
        watch.keep("another")
        await watch.tick()

    asyncio.run(scene())
    assert watch.samples()["K"].idle_s == 0.0


def test_stop_ends_it_for_good_with_the_reason(watch, kernel):
    async def scene():
        await watching(watch, kernel)
        assert (watch.watches("K"), watch.watches("another")) == (True, False)
        await watch.stop("another", "no")
        await watch.stop("K", "stopped by you")

    asyncio.run(scene())
    assert kernel.ended == [("stopped by you", False)]


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
