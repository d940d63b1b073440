"""The panel in a real Chromium beside JupyterLab itself: bundle, first paint, scrolling, traffic, and the API under many kernels and tabs.

    .venv/bin/python benchmarks/panel.py [bundle|paint|scroll|idle|load|tabs …] [--n 5] [--kernels 50] [--tabs 20] [--seconds 60] [--dir .bench]

One governed JupyterLab with --datasets contracts. `paint` loads it --n times with the panel in its layout; a script of ours marks when JupyterLab
says that it is restored, and when the panel was drawn. `scroll` has the list of datasets and a plain list of as many rows scroll in one tab: what
a busy machine drops, it drops of both. `idle` counts our requests of a tab that is left alone for --idle seconds, its panel shut. `load` starts
real kernels, records what one tab with the limits in sight sends, and lets --tabs clients send just that, JupyterLab's own requests included,
each beginning at another moment; `/api/status` is asked beside them. `tabs` opens --tabs real tabs with the limits in sight beside the kernels, as
many as the memory has room for, and takes what they send, and how long each answer took, by the browser's own clock: where browser and server
share few processors, its figures are of both. To hold: bundle <= 60 kB gzipped; painted <= 200 ms after JupyterLab is ready, at most one request
of ours before; frames late <= 5 % more than the plain list's; <= 1 request in 30 s; p99 <= 50 ms. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from notebook_wall import make_environment
from panel_browser import Lab, lab_of, painted, recorded, scrolled
from panel_load import load, quantile
from panel_tabs import tabs

from jupyter_guardrails.cli import demo_server
from jupyter_guardrails.cli.demo_server import Server

BUNDLE = Path(__file__).parents[1] / "jupyter_guardrails/labextension/static"
BUNDLE_BYTES, PAINTED_MS, LATE_SHARE, IDLE_S = 60_000, 200.0, 0.05, 30.0
FRAME_MS = 1000 / 60
FRAMES = 300
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  tiny: {memory: 512MiB, cpus: 1}
rules:
  - name: room-for-everyone
    for: everyone
    kernels: {profiles: [tiny], default: tiny, max: MAX, terminals: tiny}
    data: {read: ["part0/*"], request: ["*/*"], browse: all}
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: d{number}
name: table{number}
version: 1.0.0
status: active
domain: part{part}
description: {{purpose: "Table {number} of those that the list is measured with"}}
team: {{name: owners, members: [{{username: carol, role: owner}}]}}
servers: [{{server: local, type: local, path: {path}, format: csv}}]
schema: [{{name: table{number}, physicalType: table, properties: [{{name: x, logicalType: integer}}]}}]
customProperties: [{{property: guardrails.classification, value: internal}}]
"""


def main() -> int:
    """Print the figures beside their targets; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="which (default: all)")
    parser.add_argument("--n", type=int, default=5, help="loads of the page (default: %(default)s)")
    parser.add_argument("--kernels", type=int, default=50, help="that run (default: %(default)s)")
    parser.add_argument("--tabs", type=int, default=20, help="that ask (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of load (default: %(default)s)")
    parser.add_argument("--idle", type=float, default=180.0, help="seconds that a tab is left alone (default: %(default)s)")
    parser.add_argument("--datasets", type=int, default=5000, help="in the catalogue (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the kernels' environment is made and kept (default: %(default)s)")
    arguments = parser.parse_args()
    wanted = arguments.parts or [*PARTS]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    report, missed = measure(wanted, arguments)
    print(json.dumps(report | {"missed": missed}))
    return int(bool(missed))


def measure(wanted: Sequence[str], arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Each part's figures, and the names of those that missed their target."""
    report: dict[str, Any] = {}
    share = make_environment(arguments.dir.resolve())
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, serving(Path(place), share, arguments) as server:
        with lab_of(f"http://127.0.0.1:{server.port}/", server.token) as lab:
            lab.leave_open(lab.open())
            for name in wanted:
                report[name] = PARTS[name](lab, server, arguments)
                print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in report[name].items()), flush=True)
    return report, [name for name, figures in report.items() if not figures["held"]]


@contextlib.contextmanager
def serving(place: Path, share: Path, arguments: argparse.Namespace) -> Iterator[Server]:
    """A governed JupyterLab of one person."""
    for folder in ("work", "catalog", "data"):
        (place / folder).mkdir()
    (place / "guardrails.yaml").write_text(POLICY.replace("MAX", str(arguments.kernels + 5)))
    data = place / "data" / "x.csv"
    data.write_text("x\n1\n")
    for number in range(arguments.datasets):
        text = CONTRACT.format(number=number, part=number % 10, path=data)
        (place / "catalog" / f"{number}.odcs.yaml").write_text(text)
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    environment = {**os.environ, "JUPYTER_PATH": str(share), **{name: str(place / value) for name, value in names.items()}}
    module = ["jupyter_guardrails", "lab", "--LabApp.expose_app_in_browser=True"]
    with demo_server.serve(module, place / "work", environment=environment, log=place / "log") as server:
        yield server


def bundle(_lab: Lab, _server: Server, _arguments: argparse.Namespace) -> dict[str, Any]:
    """Bytes of JavaScript that each page loads, as a server sends them compressed; the tabs of the main area come when one is opened."""
    size = sum(len(gzip.compress(path.read_bytes())) for path in BUNDLE.glob("*.js") if not path.name.startswith(("tabs.", "job.")))
    return {"bytes": size, "target": BUNDLE_BYTES, "held": size <= BUNDLE_BYTES}


def paint(lab: Lab, _server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians of --n loads, after one that fills the browser's cache."""
    painted(lab)
    rounds = [painted(lab) for _ in range(arguments.n)]
    figures = {name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]}
    return figures | {"target": PAINTED_MS, "held": figures["painted_ms"] <= PAINTED_MS and figures["requests_before"] <= 1}


def scroll(lab: Lab, _server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Shares of frames that came a frame late or more, and the slowest in a hundred."""
    deltas = scrolled(lab, FRAMES, arguments.datasets)
    late = {name: sum(delta > 1.5 * FRAME_MS for delta in one) / len(one) for name, one in deltas.items()}
    figures: dict[str, Any] = {f"{name}_late": round(share, 4) for name, share in late.items()}
    figures |= {f"{name}_p99_ms": round(quantile(one, 0.99), 1) for name, one in deltas.items()}
    return figures | {"frames": FRAMES, "target": f"{LATE_SHARE} more than plain", "held": late["panel"] <= late["plain"] + LATE_SHARE}


def idle(lab: Lab, server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Our requests of a tab with a notebook and its kernel, its panel shut."""
    write_notebook(server)
    page = lab.open("lab/tree/idle.ipynb")
    page.evaluate("() => jupyterapp.commands.execute('application:toggle-right-area')")
    page.locator("#jupyter-guardrails-panel").wait_for(state="hidden")
    recorded(page, 10)  # what the start still has to ask
    sent = recorded(page, arguments.idle)
    page.close()
    ours = sum(one.is_ours for one in sent)
    allowed = arguments.idle / IDLE_S + 1  # the window may begin just before one
    return {"ours": ours, "all": len(sent), "seconds": arguments.idle, "target": f"1 in {IDLE_S:.0f} s", "held": ours <= allowed}


def write_notebook(server: Server) -> None:
    """An empty one with the kernel of these measurements."""
    metadata = {"kernelspec": {"name": "bench", "display_name": "bench", "language": "python"}}
    content = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    server.request("PUT", "/api/contents/idle.ipynb", {"type": "notebook", "content": content})


PARTS: dict[str, Callable[[Lab, Server, argparse.Namespace], dict[str, Any]]] = {
    "bundle": bundle,
    "paint": paint,
    "scroll": scroll,
    "idle": idle,
    "load": load,
    "tabs": tabs,
}

if __name__ == "__main__":
    sys.exit(main())
