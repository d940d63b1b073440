"""What guardrails cost at each file: open and close, stat, listdir in a governed kernel against the same code in a plain one, in one run.

    .venv/bin/python benchmarks/file_open.py [--n 10] [--dir .bench]

Each round runs the same cell in one kernel of each server in turn; the files lie in the workspace. To hold: each <= 1.5 of plain. The last line
is JSON, with microseconds of one call.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from notebook_wall import make_environment, servers_of

from jupyter_guardrails.cli.demo_server import Kernel

PREPARE = """\
import json, os, time
os.makedirs("deep/er/still", exist_ok=True)
for number in range(200):
    open(f"deep/er/still/{number}", "w").close()

def per_call_us(call, count):
    begin = time.perf_counter()
    for number in range(count):
        call(f"deep/er/still/{number % 200}")
    return (time.perf_counter() - begin) / count * 1e6

def listed(_path):
    os.listdir("deep/er/still")

def opened(path):
    os.close(os.open(path, os.O_RDONLY))

def python_opened(path):
    open(path).close()
"""
MEASURE = """\
print(json.dumps({"open": per_call_us(opened, 20000), "python_open": per_call_us(python_opened, 10000), \
"stat": per_call_us(os.stat, 20000), "listdir": per_call_us(listed, 1000)}))
"""


def main() -> int:
    """Measure, print a line for readers and one for programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10, help="rounds (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the kernels' environment is made and kept (default: %(default)s)")
    arguments = parser.parse_args()
    share = make_environment(arguments.dir.resolve())
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, servers_of(share, Path(place)) as servers:
        kernels = {name: server.kernel("bench", notebook="files.ipynb") for name, server in servers.items()}
        times = measure(kernels, arguments.n)
    report = summary(times)
    print(", ".join(f"{call}: ratio {ratio:.2f}" for call, ratio in report["ratios"].items()) + f" ({report['n']} rounds)")
    print(json.dumps(report))
    return 0


def measure(kernels: dict[str, Kernel], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Microseconds of one call, by server and round."""
    for kernel in kernels.values():
        kernel.run(PREPARE)
        kernel.run(MEASURE)  # the first one fills the caches
    times: dict[str, list[dict[str, float]]] = {name: [] for name in kernels}
    for number in range(rounds):
        for name in sorted(kernels, reverse=bool(number % 2)):
            times[name].append(json.loads(kernels[name].run(MEASURE).text))
    return times


def summary(times: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians by call and their ratios."""
    medians = {name: {call: statistics.median(one[call] for one in rounds) for call in rounds[0]} for name, rounds in times.items()}
    ratios = {call: round(medians["governed"][call] / plain, 3) for call, plain in medians["plain"].items()}
    report = {f"{name}_us": {call: round(value, 3) for call, value in calls.items()} for name, calls in medians.items()}
    return {"n": len(times["plain"]), "worst": max(ratios.values()), "ratios": ratios, **report}


if __name__ == "__main__":
    sys.exit(main())
