"""The table of processes: what it keeps open belongs to processes and not to their numbers."""

import gc
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_guardrails.sandbox import meter
from jupyter_guardrails.sandbox.meter import ProcessTable

TREE = """
import subprocess, sys
children = [subprocess.Popen(['sleep', '60']) for _ in range(3)]
print('up', flush=True)
sys.stdin.read()
for child in children: child.kill()
"""


def test_it_sees_what_psutil_sees():
    table = ProcessTable()
    with subprocess.Popen([sys.executable, "-c", TREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout.readline() == "up\n"
        process = psutil.Process(started.pid)
        for _ in range(2):  # the second time from what is open
            tree = table.read().tree(started.pid)
            assert set(tree.pids) == {started.pid, *(child.pid for child in process.children(recursive=True))}
            assert tree.memory_bytes == pytest.approx(sum(psutil.Process(pid).memory_info().rss for pid in tree.pids), rel=0.3)  # they still start
            assert tree.tasks == 4
    assert table.read().tree(started.pid).pids == ()
    table.close()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_number_that_another_process_has_by_now_is_that_other_process():
    table = ProcessTable()
    for _ in range(20):
        first = subprocess.Popen(["sleep", "60"])
        before = table.read().processes[first.pid]
        time.sleep(3 / meter.TICKS)  # start times are counted in ticks of the clock
        first.kill()
        first.wait()
        if second := start_as(first.pid):
            break
    try:
        after = table.read().processes[first.pid]
        assert (after.pid, after.started > before.started) == (before.pid, True)
    finally:
        second.kill()
        second.wait()
        table.close()


def start_as(pid):
    """A process of that number, or None: the kernel can be told which one comes next, and somebody else may take it first, and keep it."""
    for _ in range(20):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "60"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    return None


def test_what_has_ended_uses_no_memory_and_what_can_not_be_read_keeps_what_it_had(monkeypatch):
    process = subprocess.Popen(["sleep", "60"])
    seen = ProcessTable().read().processes[process.pid]
    assert seen.memory_bytes > 0
    assert meter._proportional(seen) > 0
    process.kill()
    process.wait()
    assert meter._proportional(seen) == 0

    def refused(*_):
        raise PermissionError

    monkeypatch.setattr("builtins.open", refused)
    assert meter._proportional(seen) == seen.memory_bytes


def test_it_keeps_a_quarter_of_the_descriptors_at_most_and_gives_them_back():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what earlier tests left to it must not be closed in between
    before = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        table = ProcessTable()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(len(table.read().processes) > 16 for _ in range(2))  # others start and end in between
    assert len(os.listdir("/proc/self/fd")) <= before + 16
    table.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_processor_time_of_one_process_and_of_none():
    table = ProcessTable()
    assert table.cpu_s(os.getpid()) > 0
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert table.cpu_s(gone.pid) == 0
    assert meter.start_time(gone.pid) is None
    table.close()


def test_the_end_of_an_owner_that_never_closed_it_gives_them_back():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    table = ProcessTable()
    assert table.read().processes
    assert len(os.listdir("/proc/self/fd")) > before
    del table
    assert len(os.listdir("/proc/self/fd")) <= before
