"""Limits where the launcher confines the server: whoever holds the kernels must still reach them from its own domain."""

import os
import time

import pytest

from jupyter_guardrails.cli import demo_server

PATIENCE_S = 20.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 400MiB, cpus: 2, tasks: 300}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], max: 5}, workspace: {size: 30MiB}}]
"""
MEMFD_BOMB = "import os\nfd, x = os.memfd_create('bomb'), b'1' * (1 << 20)\nwhile True: os.write(fd, x)"
SHM_BOMB = "import os\nfile = open(f'/dev/shm/guardrails-bomb-{os.getpid()}', 'wb')\nwhile True: file.write(b'1' * (1 << 20))"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("launched")
    for name in ("work", "catalog"):
        (root / name).mkdir()
    (root / "guardrails.yaml").write_text(POLICY)
    return root


@pytest.fixture(scope="module")
def launched(place):
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = {**os.environ, "JUPYTER_NO_CONFIG": "1", **{name: str(place / path) for name, path in names.items()}}
    with demo_server.serve(["jupyter_guardrails", "server"], place / "work", environment=environment, log=place / "log") as server:
        yield server


@pytest.fixture
def kernel(launched):
    started = launched.kernel("python3")
    yield started
    started.close()


def until(question):
    deadline = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", [MEMFD_BOMB, SHM_BOMB], ids=["memfd", "shm"])
def test_memory_files_cost_a_cell(kernel, bomb):
    kernel.run("kept = 41")
    said = kernel.run(bomb).text
    assert any(word in said for word in ("KeyboardInterrupt", "OSError", "MemoryError")), said
    until(lambda: kernel.run("print(kept + 1)").text == "42\n")
    memory = kernel.server.request("GET", "/guardrails/kernels").json()["kernels"][0]
    assert memory["memory_peak_bytes"] > 200 << 20
    kernel.run("import glob; [os.remove(path) for path in glob.glob(f'/dev/shm/guardrails-bomb-{os.getpid()}')]")


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_processors_and_memory_follow_the_policy(kernel, place):
    ask = "import os; print({len(os.sched_getaffinity(int(t))) for t in os.listdir('/proc/self/task')})"
    assert kernel.run(ask).text == "{2}\n"
    fresh = place / "fresh"
    fresh.write_text(POLICY.replace("memory: 400MiB, cpus: 2", "memory: 300MiB, cpus: 1"))
    fresh.replace(place / "guardrails.yaml")
    until(lambda: kernel.run(ask).text == "{1}\n")
    # from the next look of its watch on: refused, or interrupted where it comes between two looks
    until(lambda: any(said in kernel.run("x = bytearray(350 << 20)\ndel x").text for said in ("MemoryError", "300 MiB allowed")))
    assert kernel.run("print(len(bytearray(100 << 20)))").text == f"{100 << 20}\n"


@pytest.mark.slow
def test_a_full_workspace_refuses_growth(kernel):
    kernel.run("import os, time")
    grow = "with open('large', 'wb', buffering=0) as f:\n    for _ in range(300):\n        f.write(b'1' * (1 << 20)); time.sleep(0.02)"
    said = kernel.run(grow).text
    assert "File too large" in said
    assert "your workspace is full" in said
    kernel.run("os.remove('large')")
    until(lambda: kernel.run("print(open('again', 'wb').write(b'1' * (2 << 20)))").text == f"{2 << 20}\n")
