"""Memory: the ladder as pure decisions, then a real process against it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from sandbox_bench import PYTHON

from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.headroom import END_AT, MIB, Headroom, Rung, allowances, climb, reserve_bytes, roles
from jupyter_guardrails.sandbox.meter import Process
from jupyter_guardrails.sandbox.spec import Limits

GIB = 1 << 30


def process(pid: int, parent: int, memory: int = 0, started: int = 0) -> Process:
    return Process(pid, parent, started or pid, memory, 0.0, 1)


TREE = (process(10, 1), process(11, 10), process(12, 11, 500), process(13, 12, 300), process(14, 11, 200))  # 14: a daemon that came to the warden


def test_memory_files_that_grew_on_after_an_interrupt_leave_the_program_its_reserve():
    """Without any, ZeroMQ ends it at its next connection. What its processes take themselves still counts."""
    family = roles(TREE, 12)
    assert family.main is not None
    for hidden in (400 * MIB, 560 * MIB):
        given = allowances(family, 60 * MIB + hidden, 400 * MIB, interrupted_bytes=60 * MIB, hidden=hidden)
        assert given[family.main] == 32 * MIB
        spent = allowances(family, 92 * MIB + hidden, 400 * MIB, interrupted_bytes=60 * MIB, hidden=hidden)
        assert spent[family.main] == 0


def test_roles_in_a_tree():
    for program in (12, 10):  # named, or found below the wardens
        family = roles(TREE, program)
        assert [p.pid for p in family.wardens] in ([11, 10], [10, 11])
        assert family.main.pid == 12
        assert {p.pid for p in family.others} == {13, 14}
    assert roles((process(10, 1),), 10).main.pid == 10
    assert roles((), 10).main is None


def test_allowances_are_what_is_left_and_a_reserve():
    family = roles(TREE, 12)
    growing = {p.pid: size for p, size in allowances(family, 600 * MIB, GIB, growing=True).items()}
    assert growing[12] == 424 * MIB + GIB // 25
    near = {p.pid: size for p, size in allowances(family, 1000 * MIB, GIB, busy=2).items()}
    assert (near[12], near[13]) == ((24 + 96) * MIB, (12 + 48) * MIB)  # what is left close to the limit is shared
    given = {p.pid: size for p, size in allowances(family, 600 * MIB, GIB).items()}
    assert given[12] == (424 + 96) * MIB
    assert given[13] == given[14] == (424 + 48) * MIB  # the reserve is split
    assert 10 not in given  # a warden without memory could not end the tree
    assert set(allowances(family, 2 * GIB, GIB).values()) == {0}


def test_what_is_interrupted_can_report_it_with_the_reserve_used_up():
    """Once: what it then takes is gone, and nobody else has it."""
    family = roles(TREE, 12)
    for used, left in ((1150 * MIB, 32 * MIB), (1170 * MIB, 12 * MIB), (1182 * MIB, 0), (1200 * MIB, 0)):
        given = {p.pid: size for p, size in allowances(family, used, GIB, interrupted_bytes=1150 * MIB).items()}
        assert (given[12], given[13], given[14]) == (left, 0, 0)
    given = allowances(family, 75 * MIB, 64 * MIB, interrupted_bytes=75 * MIB)  # reporting must not lead to the end
    assert 0 < given[family.main] <= (END_AT * 64 - 75) * MIB
    rung, action = climb(Rung(), family, 1150 * MIB, GIB, now=1.0)
    assert (action.kind, rung.interrupted_bytes) == ("interrupt", 1150 * MIB)
    rung, action = climb(rung, family, 1182 * MIB, GIB, now=5.0)
    assert (action.kind, rung.interrupted_bytes) == ("kill_child", 1150 * MIB)
    assert climb(rung, family, 900 * MIB, GIB, now=6.0)[0] == Rung()


@pytest.mark.parametrize(("limit", "expected"), [(128 * MIB, 32 * MIB), (512 * MIB, 512 * MIB // 10), (8 * GIB, 96 * MIB)])
def test_the_reserve_fits_the_limit(limit, expected):
    assert reserve_bytes(limit) == expected


def steps(*shares: float, tree: tuple[Process, ...] = TREE, every_s: float = 0.6) -> list[str]:
    rung, kinds = Rung(), []
    for number, share in enumerate(shares):
        rung, action = climb(rung, roles(tree, 12), int(share * GIB), GIB, now=100 + number * every_s)
        kinds.append(action.kind)
    return kinds


def test_the_ladder():
    assert steps(0.5, 1.0, 1.04) == ["none"] * 3
    assert steps(1.1, 1.1, 1.1) == ["interrupt", "none", "kill_child"]
    assert steps(1.1, 0.9, 1.1) == ["interrupt", "none", "interrupt"]  # it worked; the next time starts anew
    assert steps(1.6, 1.6) == ["interrupt", "end"]
    assert steps(1.6, 1.6, 1.6, 1.6, every_s=0.11) == ["interrupt", "none", "none", "end"]  # the interrupt gets a moment
    assert steps(2.1, 2.1, every_s=0.1) == ["interrupt", "end"]
    assert steps(1.6, 1.2, 1.6) == ["interrupt", "none", "kill_child"]  # one sample past the end is not enough
    alone = TREE[:3]
    assert steps(*[1.1] * 7, tree=alone) == ["interrupt", "none", "none", "none", "none", "interrupt", "none"]


def test_the_biggest_child_goes_and_never_the_program():
    _, action = climb(Rung(over_since=0, interrupted_at=0, samples_over=5), roles(TREE, 12), 2 * GIB // 2 * 11 // 10, GIB, now=2)
    assert (action.kind, action.pid) == ("kill_child", 13)
    assert "MiB" in action.detail


def test_a_line_of_stat_with_brackets_in_the_name():
    line = b"77 (a) (b c) S 5 77 77 0 -1 0 0 0 0 0 3 1 2 4 20 0 6 0 999 1000 25 " + b"0 " * 20
    parsed = meter.parse_stat(line)
    assert (parsed.pid, parsed.parent, parsed.started, parsed.tasks, parsed.memory_bytes) == (77, 5, 999, 6, 25 * meter.PAGE)
    assert parsed.cpu_s == 10 / meter.TICKS


def test_the_sum_of_a_real_tree():
    code = "import subprocess, sys; x = bytearray(50 << 20); c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); sys.stdin.read()"
    with subprocess.Popen([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        child = int(started.stdout.readline())
        sample = meter.sample(started.pid)
        assert sample.pids == (started.pid, child)
        assert 50 * MIB < meter.exact(sample).memory_bytes <= sample.memory_bytes < 100 * MIB
        os.kill(child, 9)
        started.kill()
    assert meter.sample(started.pid).pids == ()


class Keeper:
    """Ticks a Headroom in a thread, as a server's watch does, and notes the peak."""

    def __init__(self, started: object, limit: int, *, by_program: bool = False) -> None:
        self.headroom = Headroom(started.report.pid if by_program else started.process.pid, limit)
        self.process, self.peak, self.actions = started.process, 0, []
        self._tick()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while self.process.poll() is None:
            self._tick()
            time.sleep(self.headroom.interval_s)

    def _tick(self) -> None:
        sample = meter.sample(self.process.pid)
        if sample.memory_bytes > self.peak:
            self.peak = max(self.peak, meter.exact(sample).memory_bytes)
        action = self.headroom.tick(sample)
        self.headroom.carry_out(action)
        self.actions += [action.kind] if action.kind != "none" else []


def bomb(sandbox, code: str, limit: int, **keeper: bool):
    """Run `code` after `go`, with `kept` set before it; the answers and the keeper."""
    program = f"import sys\nkept = 'still here'\nprint('up', flush=True)\nsys.stdin.readline()\n{code}\nprint(kept, flush=True)\n"
    started = sandbox.start(PYTHON, "-c", program, limits=Limits(memory_bytes=limit), require=("memory",), popen={"stdin": subprocess.PIPE})
    assert started.process.stdout.readline() == "up\n"
    watched = Keeper(started, limit, **keeper)
    out, err = started.process.communicate("go\n", timeout=50)
    return out, err, watched


CATCH = "try:\n    x = {}\n    print('got it')\nexcept MemoryError:\n    print('MemoryError')"


@pytest.mark.parametrize("by_program", [False, True])
def test_too_much_at_once_is_an_error_in_the_cell(sandbox, by_program):
    out, _, watched = bomb(sandbox, CATCH.format("bytearray(4 << 30)"), GIB, by_program=by_program)
    assert out == "MemoryError\nstill here\n"
    assert watched.peak < 0.2 * GIB
    out, _, _ = bomb(sandbox, CATCH.format("bytearray(200 << 20)"), GIB)
    assert out == "got it\nstill here\n"


@pytest.mark.slow
def test_numpy_too(sandbox):
    ones = CATCH.format("np.ones(1 << 29)")
    program = f"import sys, numpy as np\nkept = 'still here'\nprint('up', flush=True)\nsys.stdin.readline()\n{ones}\nprint(kept)"
    started = sandbox.start(sys.executable, "-c", program, limits=Limits(memory_bytes=GIB), popen={"stdin": subprocess.PIPE})
    assert started.process.stdout.readline() == "up\n"
    Keeper(started, GIB)
    assert started.process.communicate("go\n", timeout=50)[0] == "MemoryError\nstill here\n"


def test_growing_in_steps_is_stopped_near_the_limit(sandbox):
    """By the error; or by the interrupt above it, where the machine is so busy that 16 MiB come between two looks."""
    grow = (
        "import signal\n"
        "def stop(*_):\n    if x is not None: raise KeyboardInterrupt\n"  # sent while the error is on its way already, it must not hit what follows
        "signal.signal(signal.SIGINT, stop)\nx = []\n"
        "try:\n    try:\n        while True: x.append(bytearray(b'1' * (16 << 20)))\n    finally: x = None\n"
        "except (MemoryError, KeyboardInterrupt):\n    x = None\n    print('stopped')"
    )
    out, err, watched = bomb(sandbox, grow, 256 * MIB)
    assert out == "stopped\nstill here\n", err
    assert watched.peak < 1.5 * 256 * MIB


def test_shared_memory_escapes_the_error_but_not_the_ladder(sandbox):
    """Shared mappings don't count as data: an interrupt ends what maps them."""
    one_more = "m = mmap.mmap(-1, 8 << 20); m.write(b'1' * (8 << 20)); x.append(m); time.sleep(0.05)"
    grow = (
        f"import mmap, time\nx = []\ntry:\n    for _ in range(40):\n        {one_more}\n    print('not stopped')\n"
        "except KeyboardInterrupt:\n    x = None\n    print('interrupted')"
    )
    out, err, watched = bomb(sandbox, grow, 128 * MIB)
    assert out == "interrupted\nstill here\n", err
    assert watched.actions[0] == "interrupt"
    assert watched.peak < 1.5 * 128 * MIB


def test_a_child_goes_before_its_parent(sandbox):
    fill = "m = mmap.mmap(-1, 150 << 20)\nfor _ in range(150 << 8): m.write(page)"  # nothing that its own limit would refuse
    eat = f"import mmap, signal, time\nsignal.signal(2, 1)\npage = b'1' * 4096\n{fill}\ntime.sleep(60)"
    code = f"import signal, subprocess\nsignal.signal(2, 1)\nc = subprocess.Popen([sys.executable, '-c', {eat!r}])\nprint(c.wait(30))"
    out, _, watched = bomb(sandbox, code, 128 * MIB)
    assert out == "-9\nstill here\n"
    assert watched.actions[0] == "interrupt"
    assert "kill_child" in watched.actions


def test_what_nothing_stops_is_ended(sandbox):
    eat = (
        "import mmap, signal, time\nsignal.signal(2, 1)\nm = mmap.mmap(-1, 300 << 20)\nfor _ in range(300 << 8): m.write(b'1' * 4096)\ntime.sleep(30)"
    )
    out, _, watched = bomb(sandbox, eat, 128 * MIB)
    assert out == ""
    assert watched.actions[-1] == "end"
    assert watched.process.returncode == -15


def test_a_file_that_is_only_mapped_is_not_what_memory_is_limited_for(sandbox):
    """A data set that is read through a mapping is resident, and the system can take it back."""
    (sandbox.workspace / "large").write_bytes(b"1" * (200 * MIB))
    read = "import mmap, time\nf = open('large', 'rb')\nm = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\nprint(sum(m[::4096]) > 0)\ntime.sleep(1)"
    out, err, watched = bomb(sandbox, read, 128 * MIB)
    assert out == "True\nstill here\n", err
    assert watched.actions == []
