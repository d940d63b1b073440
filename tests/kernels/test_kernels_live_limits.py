"""A policy that is replaced reaches kernels that run: a real control, real kernels, real limits."""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from bombs import ARGV, run

from jupyter_guardrails.control.interface import Admission, Settings, start_own_control
from jupyter_guardrails.control.interface.messages import Audit, Kernels, LiveLimits
from jupyter_guardrails.kernels import limits as live
from jupyter_guardrails.kernels.folders import make_run_dir
from jupyter_guardrails.kernels.governed import GovernedContext, kernel_manager_class

WITHIN_S = 6.0  # it is 2 s; other tests use the machine too
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 600MiB, cpus: 2, tasks: 512}, other: {memory: 600MiB, cpus: 1}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small, other], default: small, max: 9}}]
"""


class World:
    """A control, a kernel, and what its person was told."""

    def __init__(self, root, control):
        self.root, self.control, self.told = root, control, []
        self.run_dir = make_run_dir()
        self.context = GovernedContext(control.client, root / "ws", self.run_dir, tell=lambda _, text: self.told.append(text))

    def change(self, *replaced):
        text = POLICY
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        fresh = self.root / "fresh.yaml"
        fresh.write_text(text)
        fresh.replace(self.root / "guardrails.yaml")

    async def until_told(self, word):
        begin = time.monotonic()
        while not any(word in text for text in self.told):
            assert time.monotonic() - begin < WITHIN_S, self.told
            await asyncio.sleep(0.05)

    async def with_kernel(self, scene):
        manager = kernel_manager_class(self.context, ARGV)(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(120)
            return await scene(client)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)


@pytest.fixture
def world():
    root = Path(tempfile.mkdtemp(prefix="gl-", dir="/tmp"))
    (root / "guardrails.yaml").write_text(POLICY)
    for name in ("catalog", "ws"):
        (root / name).mkdir()
    places = (root / "guardrails.yaml", root / "catalog", root / "state", root / "state" / "control.sock")
    control = start_own_control(Settings(*places, self_chosen=True))
    made = World(root, control)
    yield made
    control.stop()
    shutil.rmtree(made.run_dir)
    shutil.rmtree(root)


async def until_it_prints(client, code, wanted):
    """Control tells of a change at once; the watch holds it from its next look on, half a second later."""
    begin = time.monotonic()
    while (printed := await run(client, code)) != wanted:
        assert time.monotonic() - begin < WITHIN_S, printed
        await asyncio.sleep(0.05)


@pytest.mark.slow
def test_memory_follows_down_and_up(world):
    take = "x = None\ntry:\n    x = bytearray(300 << 20)\n    print('fine')\nexcept MemoryError:\n    print('MemoryError')"

    async def scene(client):
        assert await run(client, take) == "fine\n"
        assert await run(client, "x = None; kept = 41") == ""
        world.change(("small: {memory: 600MiB", "small: {memory: 256MiB"))
        await world.until_told("256 MiB of memory (before: 600 MiB)")
        (kernel,) = world.control.client.call(Kernels())["kernels"]
        assert kernel["memory_limit_bytes"] == 256 << 20
        await until_it_prints(client, take, "MemoryError\n")
        world.change(("small: {memory: 600MiB", "small: {memory: 800MiB"))
        await world.until_told("800 MiB of memory (before: 256 MiB)")
        await until_it_prints(client, take, "fine\n")
        assert await run(client, "print(kept + 1)") == "42\n"

    asyncio.run(world.with_kernel(scene))
    followed = [r for r in world.control.client.call(Audit())["records"] if r["action"] == "kernel.limits"]
    assert [r["allowed"] for r in followed] == [True, True]
    assert "everyone" in followed[0]["rule"]


@pytest.mark.slow
def test_a_limit_below_what_is_in_use_ends_nothing(world):
    """It can't grow, and what it gives back is gone."""

    async def scene(client):
        assert await run(client, "kept = b'1' * (400 << 20); print('has it')") == "has it\n"
        world.change(("small: {memory: 600MiB", "small: {memory: 256MiB"))
        await world.until_told("256 MiB of memory (before: 600 MiB)")
        await asyncio.sleep(1.5)  # three looks of a kernel at rest
        assert "MemoryError" in await run(client, "more = bytearray(100 << 20)")
        assert await run(client, "print(len(kept) >> 20); del kept") == "400\n"
        await until_it_prints(client, "print(len(bytearray(150 << 20)) >> 20)", "150\n")

    asyncio.run(world.with_kernel(scene))
    assert not any("interrupted" in text or "ended" in text for text in world.told), world.told


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_processors_of_running_threads_follow(world):
    started = "import threading, os, subprocess\nstop = threading.Event()\nfor _ in range(3): threading.Thread(target=stop.wait).start()\n"
    started += "child = subprocess.Popen(['sleep', '60'])\n"
    ask = "print({len(os.sched_getaffinity(int(t))) for p in (os.getpid(), child.pid) for t in os.listdir(f'/proc/{p}/task')})"

    async def scene(client):
        assert await run(client, started) == ""
        assert await run(client, ask) == "{2}\n"
        world.change(("small: {memory: 600MiB, cpus: 2", "small: {memory: 600MiB, cpus: 1"))
        await world.until_told("1 processor (before: 2)")
        assert await run(client, ask) == "{1}\n"
        assert await run(client, "print(len(os.sched_getaffinity(subprocess.Popen(['sleep', '9']).pid)))") == "1\n"
        world.change(("600MiB, cpus: 2", "600MiB, cpus: 2"))
        await world.until_told("2 processors (before: 1)")
        assert await run(client, ask) == "{2}\n"
        await run(client, "stop.set(); child.kill()")

    asyncio.run(world.with_kernel(scene))


@pytest.mark.slow
def test_a_profile_that_is_gone_leaves_the_kernel_its_limits_and_says_so_once(world):
    async def scene(client):
        only_other = ("profiles: [small, other], default: small", "profiles: [other], default: other")
        world.change(("small: {memory: 600MiB, cpus: 2, tasks: 512}", "fresh: {memory: 300MiB, cpus: 1}"), only_other)
        await world.until_told("the profile small is no longer in the policy")
        world.change(only_other)
        await world.until_told("you may no longer use the profile small")
        await asyncio.sleep(2.5)  # two more questions
        assert len(world.told) == 2
        assert await run(client, "print(len(bytearray(300 << 20)))") == f"{300 << 20}\n"

    asyncio.run(world.with_kernel(scene))


@pytest.mark.slow
def test_life_time_follows_and_ends_the_kernel(world):
    async def ending():
        manager = kernel_manager_class(world.context, ARGV)(kernel_name="python3")
        await manager.start_kernel()
        world.change(("tasks: 512}", "tasks: 512, lifetime: 1s}"))
        begin = time.monotonic()
        while manager.provisioner.running():
            assert time.monotonic() - begin < 2 * WITHIN_S, world.told
            await asyncio.sleep(0.05)

    asyncio.run(ending())
    assert any("its profile lets it run for 1 s" in text for text in world.told), world.told


BASE = {
    "lease": "L",
    "principal": "ana",
    "policy_digest": "",
    "profile": "small",
    "rule": "",
    "mode": "enforce",
    "cpus": 2.0,
    "tasks": 9,
    "shm_bytes": 1,
}
NOW = {"lease": "L", "rule": "p.yaml:3 everyone", "memory_bytes": 512 << 20, "cpus": 2.0, "tasks": 9, "shm_bytes": 1}


def changed(**numbers):
    return live.change(Admission(**BASE, memory_bytes=512 << 20), LiveLimits(**NOW | numbers))


def test_the_sentence_says_what_holds_now_and_what_only_after_a_restart():
    assert changed().said == ""
    assert changed(memory_bytes=256 << 20).said == (
        "the policy changed: this kernel may now use 256 MiB of memory (before: 512 MiB) (p.yaml:3 everyone)"
    )
    both = changed(cpus=1.0, tasks=5, file_size_bytes=1000)
    assert "thread pools keep their size until a restart" in both.said
    assert "new limits for processes and the size of files hold after a restart" in both.said
    assert (both.admission.cpus, both.admission.tasks) == (1.0, 5)
    stays = changed(stays="the profile small is no longer in the policy", memory_bytes=0, cpus=0.0)
    assert stays.admission.memory_bytes == 512 << 20
    assert "goes on under the limits that it has" in stays.said
