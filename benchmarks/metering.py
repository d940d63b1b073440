"""What measuring costs: 1,000 kernels of three processes each, once a second; and the usual way to do it, by psutil, in the same run.

    .venv/bin/python benchmarks/metering.py [--kernels 1000] [--rounds 10]

The processes are real and sleep. To hold: 5 % of a core at one look a second, and a fifth of psutil's way (`Process(pid).children(recursive=True)`
and `memory_info()` of each, for each kernel) or less; that way costs the same for each kernel, so it is taken for a tenth of them, times ten.
Both must find the same processes. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from jupyter_guardrails.sandbox.meter import ProcessTable

SHARE, RATIO = 0.05, 5.0
TENTH = 10
FAMILY = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
os.setsid()
roots = []
for _ in range(int(sys.argv[1])):
    root = os.fork()
    if root == 0:
        for _ in range(2):
            if os.fork() == 0:
                break
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True: signal.pause()
    roots.append(root)
print(*roots, flush=True)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""
Found = dict[int, tuple[int, int]]  # root -> processes, bytes


def main() -> int:
    """0 when both targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="looks of ours (default: %(default)s)")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20 * arguments.kernels), hard), hard))
    with subprocess.Popen([sys.executable, "-c", FAMILY, str(arguments.kernels)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as family:
        try:
            assert family.stdout
            roots = [int(word) for word in family.stdout.readline().split()]
            _wait_for(roots, 3)
            report = compare(roots, arguments.rounds)
        finally:
            os.kill(family.pid, signal.SIGTERM)
    print(
        f"{report['kernels']} kernels, {report['processes']} processes: {report['ours_ms']:.1f} ms a look, {report['share']:.1%} of a core at one a "
        f"second (to hold: {SHARE:.0%}); psutil's usual way {report['psutil_ms']:.0f} ms, {report['ratio']:.0f} times as much (to hold: {RATIO:.0f})"
    )
    print(f"psutil in one pass over all processes, without making trees: {report['psutil_one_pass_ms']:.0f} ms")
    print(json.dumps(report))
    return 0 if report["share"] <= SHARE and report["ratio"] >= RATIO else 1


def compare(roots: list[int], rounds: int) -> dict[str, float]:
    """Processor time of one look of each way; on a tenth of the kernels they must agree."""
    table = ProcessTable()
    seen, theirs = _ours(table, roots), _psutil(roots[::TENTH])
    assert {root: seen[root][0] for root in theirs} == {root: count for root, (count, _) in theirs.items()}
    ours = statistics.median(_cpu_s(lambda: _ours(table, roots)) for _ in range(rounds))
    usual = _cpu_s(lambda: _psutil(roots[::TENTH])) * len(roots) / len(roots[::TENTH])
    one_pass = statistics.median(_cpu_s(_psutil_in_one_pass) for _ in range(3))
    table.close()
    report = {"kernels": len(roots), "processes": sum(count for count, _ in seen.values()), "ours_ms": 1e3 * ours, "psutil_ms": 1e3 * usual}
    report |= {"share": ours, "ratio": usual / ours, "psutil_one_pass_ms": 1e3 * one_pass, "one_pass_ratio": one_pass / ours}
    return {key: round(value, 4) for key, value in report.items()}


def _ours(table: ProcessTable, roots: list[int]) -> Found:
    snapshot = table.read()
    samples = {root: snapshot.tree(root) for root in roots}
    return {root: (len(sample.pids), sample.memory_bytes) for root, sample in samples.items()}


def _psutil(roots: list[int]) -> Found:
    found = {}
    for root in roots:
        process = psutil.Process(root)
        everyone = [process, *process.children(recursive=True)]
        found[root] = (len(everyone), sum(one.memory_info().rss for one in everyone))
    return found


def _psutil_in_one_pass() -> Found:
    """What psutil costs where somebody takes the trouble: every process once, the trees still to be made."""
    return {one.pid: (one.info["ppid"], one.info["memory_info"].rss) for one in psutil.process_iter(["ppid", "memory_info", "cpu_times"])}


def _cpu_s(look: Callable[[], Found]) -> float:
    begin = time.process_time()
    look()
    return time.process_time() - begin


def _wait_for(roots: list[int], each: int) -> None:
    table = ProcessTable()
    while sum(count for count, _ in _ours(table, roots).values()) < each * len(roots):
        time.sleep(0.1)
    table.close()


if __name__ == "__main__":
    sys.exit(main())
