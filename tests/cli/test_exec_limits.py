"""`jupyter guardrails exec` holds its profile's limits like a kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from exec_bench import Bench

PYTHON = sys._base_executable
ALLOWED = "import resource as r\nwhile r.getrlimit(r.RLIMIT_DATA)[0] == r.RLIM_INFINITY: pass\n"  # until the first look has set what it may have
FORKS = """
import os, signal
made = []
try:
    while len(made) < 200: made.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
except OSError as error: print(len(made), type(error).__name__)
for pid in made: os.kill(pid, signal.SIGKILL)
"""
GROW = """
import resource as r, time
with open("large", "wb", buffering=0) as file:
    file.write(bytes(24 << 20))
    while r.getrlimit(r.RLIMIT_FSIZE)[0] == r.RLIM_INFINITY: time.sleep(0.02)  # until it has been seen that the workspace is full
    with open("small", "wb") as small: print(small.write(bytes(1 << 20)))
    file.write(b"x")
"""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.mark.slow
def test_memory_is_held(bench):
    fine = bench.run(PYTHON, "-c", f"{ALLOWED}print(len(bytearray(100 << 20)))")
    assert fine.stdout == f"{100 << 20}\n", fine.stderr
    assert "MemoryError" in bench.run(PYTHON, "-c", f"{ALLOWED}bytearray(300 << 20)").stderr


@pytest.mark.slow
def test_processors_are_held(bench):
    assert bench.run("nproc").stdout == "1\n"


@pytest.mark.slow
def test_shared_memory_has_the_profiles_size_and_is_its_own(bench):
    done = bench.run("sh", "-c", "head -c 30M /dev/zero > /dev/shm/fits; head -c 100M /dev/zero > /dev/shm/full; stat -c %s /dev/shm/*")
    sizes = [int(line) for line in done.stdout.split()]
    assert sizes == [30 << 20, 34 << 20]
    assert "No space left" in done.stderr
    assert not os.path.exists("/dev/shm/fits")


@pytest.mark.slow
def test_a_full_workspace_refuses_growth(bench):
    """How much comes in until it is seen depends on the disk and the machine; from then on nothing grows, and what is small is still written."""
    done = bench.run(PYTHON, "-c", GROW)
    assert "File too large" in done.stderr
    assert "your workspace is full" in done.stderr
    assert done.stdout == f"{1 << 20}\n"
    assert (bench.work / "large").stat().st_size == 24 << 20


@pytest.mark.slow
def test_tasks_are_held(tmp_path):
    if os.getuid() != 0:
        assert_tasks_held(Bench(tmp_path).run(PYTHON, "-c", FORKS))
        return
    account = "nobody"
    if subprocess.run([sys.executable, "-c", "import jupyter_guardrails"], user=account, cwd="/", check=False, capture_output=True).returncode:
        pytest.skip("another account can't run this interpreter, and Linux counts no processes of root")
    bench = Bench(tmp_path)
    for folder in (tmp_path, *(above for above in tmp_path.parents if above.is_relative_to("/tmp") and above != Path("/tmp"))):
        folder.chmod(0o755)
    subprocess.run(["chown", "-R", account, str(tmp_path)], check=True)
    assert_tasks_held(bench.run(PYTHON, "-c", FORKS, account=account))


def assert_tasks_held(done):
    made, error = done.stdout.split()
    assert error == "BlockingIOError"
    assert 20 < int(made) < 45
