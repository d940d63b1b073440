"""A kernel's life, governed against plain in turn, in one run: how long each turn takes, and which processes are left after it.

    .venv/bin/python benchmarks/lifecycle.py [--n 20] [--crashes 3] [--dir .bench]

Interrupt, restart, autorestart (the kernel's process exits), shutdown; then a server that is killed with kernels running. Before each of them
a cell starts a daemon that leaves its session, so that what is left can be counted: all that the server had started, and the daemons. A kernel
that died is noticed by Jupyter's restarter, which looks every 3 s. To hold: nothing left where governed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import websocket
from notebook_wall import make_environment, servers_of

from jupyter_guardrails.cli.demo_server import Kernel, Server

LEFT_AFTER_S, LEFT_AFTER_CRASH_S = 2.0, 15.0  # what is there then has been left
POLL_S = 0.01
LOST_AFTER_S, NEVER_S = 0.5, 60.0  # without an answer: what was sent was lost; the kernel is
KERNELS = 3  # of the server that is killed
DAEMON = """\
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("python3", ["python3", "-c", "import time; time.sleep(600)", "TOKEN"])
    os._exit(0)
os.wait()
"""


def main() -> int:
    """0 when nothing was left by a governed server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20, help="rounds (default: %(default)s)")
    parser.add_argument("--crashes", type=int, default=3, help="servers of each sort that are killed (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the kernels' environment is made and kept (default: %(default)s)")
    arguments = parser.parse_args()
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    left: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    share = make_environment(arguments.dir.resolve())
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, servers_of(share, Path(place)) as servers:
        for number in range(arguments.n):
            for name in sorted(servers, reverse=bool(number % 2)):
                live(servers[name], seconds[name], left[name])
    for _ in range(arguments.crashes):
        with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, servers_of(share, Path(place)) as servers:
            for name, server in servers.items():
                crash(server, seconds[name], left[name])
    report = summary(seconds, left)
    for turn, ratio in report["ratios"].items():
        governed, plain = report["governed_s"][turn], report["plain_s"][turn]
        slowest, processes = report["governed_slowest_s"][turn], report["governed_left"][turn]
        print(
            f"{turn}: {governed:.3f} s governed (slowest {slowest:.3f}), {plain:.3f} s plain, ratio {ratio:.2f}; "
            f"processes left: {processes} governed, {report['plain_left'][turn]} plain"
        )
    print(json.dumps(report))
    return int(any(report["governed_left"].values()))


def live(server: Server, seconds: dict[str, list[float]], left: dict[str, int]) -> None:
    """One kernel through all turns."""
    kernel = server.kernel("bench")
    turns: dict[str, Callable[[Server, Kernel], float]] = {
        "interrupt": interrupt,
        "restart": restart,
        "autorestart": autorestart,
        "shutdown": shutdown,
    }
    for turn, act in turns.items():
        token = uuid.uuid4().hex
        assert kernel.run(DAEMON.replace("TOKEN", token)).status == "ok"
        seconds[turn].append(act(server, kernel))
        if turn == "interrupt":
            continue  # what a cell has started lives on
        wait_for_end(lambda token=token: daemons(token), LEFT_AFTER_S)
        left[turn] += kill(daemons(token))


def interrupt(server: Server, kernel: Kernel) -> float:
    """From the request until the cell has ended and the next one has run."""
    message_id = kernel.send("import time; print('in it', flush=True); time.sleep(600)")
    while kernel.receive()["content"].get("text") != "in it\n":
        pass
    begin = time.perf_counter()
    server.request("POST", f"/api/kernels/{kernel.id}/interrupt")
    while (message := kernel.receive())["header"]["msg_type"] != "execute_reply" or message["parent_header"]["msg_id"] != message_id:
        pass
    assert message["content"]["ename"] == "KeyboardInterrupt", message["content"]
    kernel.run("1")
    return time.perf_counter() - begin


def restart(server: Server, kernel: Kernel) -> float:
    """From the request until the new kernel has run a cell."""
    kernel.run("kept = 1")
    begin = time.perf_counter()
    server.request("POST", f"/api/kernels/{kernel.id}/restart")
    assert answer(kernel, "'kept' in globals()") == "False"
    return time.perf_counter() - begin


def autorestart(server: Server, kernel: Kernel) -> float:
    """From the exit of the kernel's process until the new one has run a cell."""
    begin = time.perf_counter()
    kernel.send("import os; os._exit(1)")
    while kernel.receive()["content"].get("execution_state") != "restarting":
        pass
    assert answer(kernel, "1") == "1"
    return time.perf_counter() - begin


def answer(kernel: Kernel, code: str) -> str:
    """Over a new connection, and again where it gets none: what is sent while a kernel starts can be lost, or its output."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < NEVER_S:
        kernel.connect(timeout_s=LOST_AFTER_S)
        with suppress(websocket.WebSocketTimeoutException):
            said = kernel.run(code)
            if said.text:
                kernel.connect()
                return said.text.strip()
    raise TimeoutError(f"the kernel has not answered for {NEVER_S:.0f} s")


def shutdown(server: Server, kernel: Kernel) -> float:
    """From the request until the server says that it is gone."""
    begin = time.perf_counter()
    kernel.close()
    return time.perf_counter() - begin


def crash(server: Server, seconds: dict[str, list[float]], left: dict[str, int]) -> None:
    """Kill a server with kernels running; until nothing of them is left."""
    token = uuid.uuid4().hex
    for _ in range(KERNELS):
        assert server.kernel("bench").run(DAEMON.replace("TOKEN", token)).status == "ok"
    started = psutil.Process(server.process.pid).children(recursive=True)
    begin = time.perf_counter()
    server.process.kill()
    server.process.wait()
    wait_for_end(lambda: [*daemons(token), *filter(runs, started)], LEFT_AFTER_CRASH_S)
    seconds["server killed"].append(time.perf_counter() - begin)
    left["server killed"] += kill([*daemons(token), *filter(runs, started)])


def runs(process: psutil.Process) -> bool:
    """Whether it is there, and no zombie."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def daemons(token: str) -> list[psutil.Process]:
    """The processes of this machine that have the token among their arguments."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if token in process.cmdline():
                found.append(process)
    return found


def wait_for_end(there: Callable[[], list[psutil.Process]], most_s: float) -> None:
    """Until nothing is there, or for so long."""
    begin = time.perf_counter()
    while there() and time.perf_counter() - begin < most_s:
        time.sleep(POLL_S)


def kill(processes: list[psutil.Process]) -> int:
    """End what was left; how many that were, each once."""
    distinct = set(processes)
    for process in distinct:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return len(distinct)


def summary(seconds: dict[str, dict[str, list[float]]], left: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Medians by turn, their ratios, the slowest, and the processes left in all rounds."""
    medians = {name: {turn: statistics.median(rounds) for turn, rounds in turns.items()} for name, turns in seconds.items()}
    report: dict[str, Any] = {"n": {turn: len(rounds) for turn, rounds in seconds["plain"].items()}}
    report["ratios"] = {turn: round(medians["governed"][turn] / plain, 3) for turn, plain in medians["plain"].items()}
    for name, turns in medians.items():
        report[f"{name}_s"] = {turn: round(value, 4) for turn, value in turns.items()}
        report[f"{name}_slowest_s"] = {turn: round(max(rounds), 4) for turn, rounds in seconds[name].items()}
        report[f"{name}_left"] = {turn: left[name].get(turn, 0) for turn in turns}
    return report


if __name__ == "__main__":
    sys.exit(main())
