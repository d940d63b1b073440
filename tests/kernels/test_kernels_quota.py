"""A workspace that is full refuses growth, costs no session, and takes files again when something was deleted."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from bombs import Range, run

from jupyter_guardrails.kernels.governed import kernel_manager_class
from jupyter_guardrails.kernels.quota import SMALL_FILE, Usage, WorkspaceQuota, sized
from jupyter_guardrails.kernels.quota_walk import Walk, deleted_bytes
from jupyter_guardrails.sandbox import meter

MIB = 1 << 20
PATIENCE_S = 15.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 600MiB, cpus: 2}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small]}, workspace: {size: 40MiB}}]
"""
FILL = """
import time
written = 0
with open('{name}', 'wb', buffering=0) as file:
    while written < {mib}:
        written += file.write(b'1' * (1 << 20)) / (1 << 20)
        time.sleep(0.02)
print('filled')
"""


def walked(root):
    walk = Walk(str(root))
    while not walk.step(0.001):
        pass
    return walk


def grown(root):
    return walked(root).used_bytes - Path(root).lstat().st_blocks * 512


def put(path, size=5 * MIB):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1" * size)


def test_blocks_count_and_each_hard_link_once(tmp_path):
    put(tmp_path / "a" / "one")
    assert 5 * MIB <= grown(tmp_path) < 6 * MIB
    os.link(tmp_path / "a" / "one", tmp_path / "again")
    (tmp_path / "pointer").symlink_to(tmp_path / "a" / "one")
    assert 5 * MIB <= grown(tmp_path) < 6 * MIB
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    assert 5 * MIB <= grown(tmp_path) < 6 * MIB
    put(tmp_path / "two")
    assert 10 * MIB <= grown(tmp_path) < 11 * MIB
    assert {os.path.basename(path) for _, path in walked(tmp_path).biggest} >= {"two"}


def test_a_walk_stays_on_its_filesystem():
    path = Path("/dev/shm") / f"guardrails-test-{uuid.uuid4().hex}"
    put(path)
    try:
        assert grown("/dev/shm") >= 5 * MIB
        assert grown("/dev") < 5 * MIB
    finally:
        path.unlink()


def test_what_is_deleted_and_still_open_counts_once(tmp_path):
    code = f"import os, sys\nf = open('gone', 'wb')\nf.write(b'1' * {5 * MIB})\nf.flush()\ng = os.dup(f.fileno())\nos.unlink('gone')\n"
    code += "print('up', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        process.stdout.readline()
        assert grown(tmp_path) == 0
        assert deleted_bytes(str(tmp_path), [process.pid]) == 5 * MIB
        assert deleted_bytes("/elsewhere", [process.pid]) == 0
        process.kill()


class Trees:
    """A quota with a process that it may hold."""

    def __init__(self, root, limit, *, ignore=True):
        self.quota = WorkspaceQuota(root)
        self.quota.set_limit(limit, "p.yaml:1 x")
        number = "IGN" if ignore else "DFL"
        code = f"import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_{number}); print('up', flush=True); sys.stdin.read()"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def look(self):
        return self.quota.look([(self.process.pid, meter.sample(self.process.pid))])

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_S
        said = []
        while not condition():
            assert time.monotonic() < deadline, self.quota.usage
            said += filter(None, [self.look()])
            time.sleep(0.05)
        return said + list(filter(None, [self.look()]))

    def largest(self):
        return resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[0]


@pytest.fixture
def trees(tmp_path):
    made = []

    def make(limit, **more):
        made.append(Trees(tmp_path, limit, **more))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.communicate()
        one.quota.set_limit(None, "")


def test_full_holds_growth_says_so_once_and_lets_go_again(trees, tmp_path):
    held = trees(20 * MIB)
    assert held.until(lambda: held.quota.usage.measured) == []
    put(tmp_path / "data" / "large.bin", 17 * MIB)
    (near,) = held.until(lambda: held.quota.usage.used_bytes > 16 * MIB)
    assert near.startswith("your workspace fills up: 17")
    put(tmp_path / "more.bin", 8 * MIB)
    (full,) = held.until(lambda: held.quota.usage.full)
    assert full.startswith("your workspace is full: 25")
    assert "data/large.bin (17 MiB), more.bin (8 MiB)" in full
    assert "p.yaml:1 x" in full
    assert held.largest() == SMALL_FILE
    for number in range(20):  # it grows all the same, by small files
        put(tmp_path / f"small-{number}", MIB - 4096)
    assert held.until(lambda: held.largest() == 0) == []
    for path in (tmp_path / "more.bin", *tmp_path.glob("small-*"), tmp_path / "data" / "large.bin"):
        path.unlink()
    (room,) = held.until(lambda: held.largest() == resource.RLIM_INFINITY)
    assert room.startswith("your workspace has room again")


def test_a_program_that_a_refused_write_would_end_is_left_alone(trees, tmp_path):
    spared = trees(MIB, ignore=False)
    put(tmp_path / "large", 2 * MIB)
    spared.until(lambda: spared.quota.usage.full)
    assert spared.largest() == resource.RLIM_INFINITY
    assert signal.SIGXFSZ == 25


def test_without_a_limit_nothing_is_measured_or_held(trees, tmp_path):
    free = trees(None)
    assert free.look() == ""
    assert free.quota.usage == Usage(rule="p.yaml:1 x")
    assert free.quota._walker is None


@pytest.mark.parametrize(("size", "words"), [(0, "0 bytes"), (300 << 10, "300 KiB"), (8_800_000_000, "8.2 GiB")])
def test_sizes_in_words(size, words):
    assert sized(size) == words


@pytest.mark.slow
def test_a_real_kernel_fills_its_workspace_and_goes_on():
    async def scene(place):
        manager = kernel_manager_class(place.context, [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(120)
        try:
            assert await run(client, "kept = 41\n" + FILL.format(name="fine.bin", mib=10)) == "filled\n"
            said, traceback = await fill(client, FILL.format(name="large.bin", mib=400))
            assert "OSError: [Errno 27] File too large" in said
            assert "guardrails: this file can't grow: your workspace is full" in traceback
            await until(lambda: place.told_all("your workspace is full:"))
            assert await run(client, "print(kept + 1, open('note.txt', 'w').write('small files can be written'))") == "42 26\n"
            assert await run(client, "import os; os.remove('large.bin')") == ""
            await until(lambda: place.told_all("room again"))
            assert await run(client, FILL.format(name="fine.bin", mib=5)) == "filled\n"
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)

    with Range() as place:
        (place.root / "guardrails.yaml").write_text(POLICY)
        place.told_all = lambda words: any(words in text for told in place.told.values() for text in told)
        asyncio.run(scene(place))


async def fill(client, code):
    lines, errors = [], []

    def hear(message):
        if message["msg_type"] == "error":
            errors.append(f"{message['content']['ename']}: {message['content']['evalue']}")
            lines.extend(message["content"]["traceback"])

    await client.execute_interactive(code, output_hook=hear, timeout=60)
    return "".join(errors), "\n".join(lines)


async def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
