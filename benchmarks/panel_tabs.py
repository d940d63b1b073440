"""Real tabs of JupyterLab beside many kernels: what they send of ours, and how long the server takes to answer, by the browser's own clock."""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from panel_browser import OURS, WAIT_MS, Lab
from panel_load import P99_MS, ask_status, by_path, kernels, quantile
from playwright.sync_api import Page, Request

from jupyter_guardrails.cli.demo_server import Server

TAB_BYTES = 400 * 2**20  # what one tab takes at most, with some to spare for the machine
SETTLE_S = 20.0  # what a start still has to ask
MEMORY = Path("/proc/meminfo")


def tabs(lab: Lab, server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Requests of ours by tab and minute and their milliseconds, while kernels run; fewer tabs where the memory has no room for all."""
    with kernels(server, arguments.kernels):
        pages, why_not = opened(lab, arguments.tabs)
        pages[0].wait_for_timeout(SETTLE_S * 1000)
        heard = listened(pages, server, arguments.seconds)
        for page in pages:
            page.close()
    ours = [took for path, took in heard.taken if OURS in path]
    a_minute = 60 / arguments.seconds / len(pages)
    figures: dict[str, Any] = {"kernels": arguments.kernels, "tabs": len(pages), "wanted": arguments.tabs, "why_not_all": why_not}
    figures |= {
        "requests": len(ours),
        "by_tab_and_minute": round(len(ours) * a_minute, 2),
        "all_by_tab_and_minute": round(len(heard.taken) * a_minute, 2),
    }
    figures |= {"failed": heard.failed, "target": P99_MS}
    if not ours:
        return figures | {"held": False}
    figures |= {"p50_ms": round(quantile(ours, 0.5), 1), "p99_ms": round(quantile(ours, 0.99), 1), "slowest_ms": round(max(ours), 1)}
    figures |= {"status_p99_ms": round(quantile([took for _, took in heard.status], 0.99), 1), "by_path_p99_ms": by_path(heard.taken)}
    return figures | {"held": not why_not and not heard.failed and figures["p99_ms"] <= P99_MS}


def opened(lab: Lab, count: int) -> tuple[list[Page], str]:
    """So many tabs with the limits in sight, each in a workspace of its own; fewer, and why, where the memory has no room."""
    pages: list[Page] = []
    for number in range(count):
        if pages and free_bytes() < TAB_BYTES:
            return pages, f"{free_bytes() >> 20} MiB of memory are left, and a tab may take {TAB_BYTES >> 20}"
        page = lab.open(f"lab/workspaces/tab{number}")
        lab.show(page, "limits")
        page.locator("#jupyter-guardrails-panel-limits section").first.wait_for(timeout=WAIT_MS)
        pages.append(page)
    return pages, ""


def free_bytes() -> int:
    """What programs can have without others being swapped out, from /proc/meminfo (proc(5))."""
    line = next(line for line in MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


@dataclass
class Heard:
    """Path and milliseconds of each answer that tabs got, and of the yardstick's beside them; what was not answered, with its reason."""

    taken: list[tuple[str, float]] = field(default_factory=list)
    status: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def note(self, request: Request) -> None:
        """One that was answered, which a refusal by the server is not."""
        timing, answer = request.timing, request.response()
        path = urlsplit(request.url).path
        if answer is None or answer.status >= 400:
            self.failed.append(f"{path}: {answer and answer.status}")
        self.taken.append((path, timing["responseEnd"] - timing["requestStart"]))

    def note_failed(self, request: Request) -> None:
        """One that nobody answered."""
        self.failed.append(f"{urlsplit(request.url).path}: {request.failure}")


def listened(pages: list[Page], server: Server, seconds: float) -> Heard:
    """What the tabs send in this time."""
    heard = Heard()
    for page in pages:
        page.on("requestfinished", heard.note)
        page.on("requestfailed", heard.note_failed)
    asking = threading.Thread(target=ask_status, args=(server, time.monotonic() + seconds, heard.status))
    asking.start()
    pages[0].wait_for_timeout(seconds * 1000)
    for page in pages:
        page.remove_listener("requestfinished", heard.note)
        page.remove_listener("requestfailed", heard.note_failed)
    asking.join()
    return heard
