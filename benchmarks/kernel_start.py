"""What guardrails cost at a kernel's start: governed against plain, in turn, in one run.

    .venv/bin/python benchmarks/kernel_start.py [--n 20] [--dir .demo]

Each round starts a kernel over REST and a websocket, waits for the first reply to `1`, and shuts it down. To hold: start <= 1.05 of plain,
start and shut down <= 1.5. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from jupyter_guardrails.cli import demo_server, demo_setup
from jupyter_guardrails.cli.demo_server import Server


def main() -> int:
    """Measure, print a line for readers and one for programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20, help="rounds (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="the demo's folder, whose kernel environment both use")
    arguments = parser.parse_args()
    folder = demo_setup.set_up(arguments.dir, say=lambda text: print(text, file=sys.stderr))
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        times = measure(folder, Path(place), arguments.n)
    report = summary(times)
    print(
        f"kernel start: {report['governed_start_s']:.3f} s governed, {report['plain_start_s']:.3f} s plain, ratio {report['start_ratio']:.2f}; "
        f"start and shut down: ratio {report['whole_ratio']:.2f} ({report['n']} rounds each)"
    )
    print(json.dumps(report))
    return 0


def measure(folder: demo_setup.DemoFolder, place: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(start, start and shut down) in seconds of each round, for both servers."""
    for name in ("governed", "plain"):
        (place / name).mkdir()
    governed_environment = {**os.environ, **folder.environment(person="ana", state=place / "state")}
    plain_environment = {**os.environ, "JUPYTER_PATH": str(folder.jupyter_path), "JUPYTER_NO_CONFIG": "1"}
    governed = demo_server.serve(["jupyter_guardrails", "server"], place / "governed", environment=governed_environment, log=place / "governed.log")
    plain = demo_server.serve(["jupyter_server"], place / "plain", environment=plain_environment, log=place / "plain.log")
    with governed as governed_server, plain as plain_server:
        servers = {"governed": governed_server, "plain": plain_server}
        for server in servers.values():
            one_round(server)  # the first one fills the disk's and Python's caches
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for number in range(rounds):
            for name in sorted(servers, reverse=bool(number % 2)):
                times[name].append(one_round(servers[name]))
    return times


def one_round(server: Server) -> tuple[float, float]:
    """Seconds until the first reply, and until the kernel is shut down."""
    begin = time.perf_counter()
    kernel = server.kernel(demo_setup.KERNELSPEC)
    reply = kernel.run("1")
    started = time.perf_counter()
    kernel.close()
    ended = time.perf_counter()
    assert reply.status == "ok", reply.text
    return started - begin, ended - begin


def summary(times: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Medians and their ratios."""
    start = {name: statistics.median(one[0] for one in rounds) for name, rounds in times.items()}
    whole = {name: statistics.median(one[1] for one in rounds) for name, rounds in times.items()}
    report = {"n": len(times["plain"]), "start_ratio": start["governed"] / start["plain"], "whole_ratio": whole["governed"] / whole["plain"]}
    report |= {f"{name}_start_s": value for name, value in start.items()} | {f"{name}_whole_s": value for name, value in whole.items()}
    return {key: round(value, 4) for key, value in report.items()}


if __name__ == "__main__":
    sys.exit(main())
