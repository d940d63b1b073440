"""The API of a server with many kernels under what many tabs send: one tab is recorded, and clients send just that, each from another moment on."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from panel_browser import Lab, Sent, recorded

from jupyter_guardrails.cli.demo_server import Server

P99_MS = 50.0
RECORDED_S = 30.0  # two rounds of what is asked seldom
STATUS_S = 0.5  # between two requests of the yardstick


def load(lab: Lab, server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Latencies of our API in milliseconds while kernels run and tabs ask."""
    with kernels(server, arguments.kernels):
        page = lab.open()
        lab.show(page, "limits")
        recorded(page, 10)
        pattern = recorded(page, RECORDED_S)
        page.close()
        times = replay(server, pattern, arguments)
    ours = [taken for path, taken in times if "/guardrails/" in path]
    figures = {"kernels": arguments.kernels, "tabs": arguments.tabs, "requests": len(ours), "p50_ms": round(quantile(ours, 0.5), 1)}
    figures |= {"p99_ms": round(quantile(ours, 0.99), 1), "slowest_ms": round(max(ours), 1), "target": P99_MS}
    status = [taken for path, taken in times if path == "/api/status"]
    others = [taken for path, taken in times if "/guardrails/" not in path and path != "/api/status"]
    figures |= {"status_p99_ms": round(quantile(status, 0.99), 1), "jupyter_p99_ms": round(quantile(others, 0.99), 1)}
    return figures | {"by_path_p99_ms": by_path(times), "held": figures["p99_ms"] <= P99_MS}


@contextlib.contextmanager
def kernels(server: Server, count: int) -> Iterator[None]:
    """So many run for the length of this block."""
    with ThreadPoolExecutor(4) as pool:
        started = [*pool.map(lambda _: server.request("POST", "/api/kernels", {"name": "bench"}).json()["id"], range(count))]
    yield
    for kernel in started:
        server.request("DELETE", f"/api/kernels/{kernel}")


def by_path(times: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The slowest in a hundred of each of our paths."""
    paths = {path.partition("?")[0] for path, _ in times if "/guardrails/" in path}
    return {path: round(quantile([taken for one, taken in times if one.partition("?")[0] == path], 0.99), 1) for path in sorted(paths)}


def replay(server: Server, pattern: Sequence[Sent], arguments: argparse.Namespace) -> list[tuple[str, float]]:
    """Path and milliseconds of each request of all tabs, each of which begins the recording at another place, and of the yardstick."""
    times: list[tuple[str, float]] = []
    end = time.monotonic() + arguments.seconds
    asked = sorted((one for one in pattern if one.method == "GET"), key=lambda one: one.after_s)

    def tab(number: int) -> None:
        shift = RECORDED_S * number / arguments.tabs
        plan = sorted(((one.after_s + shift) % RECORDED_S, one.path) for one in asked)
        send_all(server, plan, end, times)

    threads = [threading.Thread(target=tab, args=(number,)) for number in range(arguments.tabs)]
    threads.append(threading.Thread(target=ask_status, args=(server, end, times)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def ask_status(server: Server, end: float, times: list[tuple[str, float]]) -> None:
    """The yardstick: what Jupyter itself takes to answer, until the end."""
    send_all(server, [(STATUS_S * at, "/api/status") for at in range(int(RECORDED_S / STATUS_S))], end, times)


def send_all(server: Server, plan: Sequence[tuple[float, str]], end: float, times: list[tuple[str, float]]) -> None:
    """Send a plan's requests at their seconds over one connection, again and again until the end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    begin = time.monotonic()
    while True:
        for after_s, path in plan:
            due = begin + after_s
            if due >= end:
                connection.close()
                return
            time.sleep(max(0.0, due - time.monotonic()))
            at = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"token {server.token}"})
            answer = connection.getresponse()
            answer.read()
            times.append((path, (time.perf_counter() - at) * 1000))
            assert answer.status < 400, f"{path} answered {answer.status}"
        begin += RECORDED_S


def quantile(values: Sequence[float], part: float) -> float:
    """The value that so large a part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
