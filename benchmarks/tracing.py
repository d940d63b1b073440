"""What it costs to record the inputs of a clean run: notebooks of different libraries under the same sandbox, recorded and not, in turn, in one run.

    .venv/bin/python benchmarks/tracing.py [--n 5] [--dir .bench] [--only delays,pandas]

`delays` is the demo's notebook over its real data, `delays-all` the same with all rows for its model and not a sample. The others are those of
notebook_wall.py, a second or less each and most of it imports: what recording costs at its worst, since an import is a burst of opens. Each runs
as a notebook does, in a kernel, figures drawn; its time goes from its first cell's request to its last one's answer, imports included. Each ratio
is the median of the rounds' own, and beside it that of the best rounds, which a busy machine spoils less. Processor time is that of all: kernel,
what it starts, recorder. To hold: `delays` and `delays-all` <= 1.02; short ones show how much a burst costs.
Exit status 1: missed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from notebook_wall import NOTEBOOKS, make_environment

from jupyter_guardrails.cli.demo_data import write_data
from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.kernels.plan import CLIENT_DIR, DEVICES, SYSTEM_READ
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import SandboxSpec

WHOLE, ALL_ROWS, ALLOWED = "delays", "delays-all", 1.02
NO_HISTORY = "--HistoryManager.hist_file=:memory:"  # nbclient starts clean runs so: no cell waits for a disk because of the text of the one before
SAMPLE = "sample_size = 60_000"
DATASETS = ("flights", "weather", "planes")
PATIENCE_S = 120.0  # for a kernel, and for a cell


class Run(NamedTuple):
    """One run of a notebook: seconds from its first cell's request to its last one's answer, processor seconds of all, files that were told."""

    wall_s: float
    cpu_s: float
    files: int


def main() -> int:
    """Measure, print a line for each notebook and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the environment is made and kept (default: %(default)s)")
    parser.add_argument("--only", default=",".join((WHOLE, ALL_ROWS, *NOTEBOOKS)), help="which notebooks (default: all)")
    arguments = parser.parse_args()
    make_environment(arguments.dir.resolve())
    python, data = arguments.dir.resolve() / "bin" / "python", arguments.dir.resolve() / "data"
    write_data(data)
    times = {name: measure(python, data, cells_of(name), arguments.n) for name in arguments.only.split(",")}
    report = summary(times)
    for name, one in report["notebooks"].items():
        said = f"recorded {one['ratio']:.3f} of it (best {one['best_ratio']:.3f}, processor {one['cpu_ratio']:.3f})"
        print(f"{name}: {one['plain_s']:.2f} s, {said}, {one['files']} files told")
    if report["notebooks"].keys() - {WHOLE, ALL_ROWS}:
        print(f"short ones: {report['ratio']:.3f} (best {report['best_ratio']:.3f}, processor {report['cpu_ratio']:.3f}; {arguments.n} rounds)")
    held = {name: one["ratio"] for name, one in report["notebooks"].items() if name in (WHOLE, ALL_ROWS)}
    for name, ratio in held.items():
        print(f"{name}: {ratio:.3f}, {'held' if ratio <= ALLOWED else 'MISSED'} (at most {ALLOWED})")
    print(json.dumps(report))
    return int(any(ratio > ALLOWED for ratio in held.values()))


def cells_of(name: str) -> tuple[str, ...]:
    """The code of a notebook."""
    if name not in (WHOLE, ALL_ROWS):
        return NOTEBOOKS[name]
    notebook = nbformat.read(files("jupyter_guardrails.demo").joinpath("notebooks", f"{WHOLE}.ipynb"), as_version=4)
    cells = tuple(cell.source for cell in notebook.cells if cell.cell_type == "code")
    if name == WHOLE:
        return cells
    if SAMPLE not in cells[0]:
        raise SystemExit(f"{WHOLE}.ipynb has no {SAMPLE!r} any more")
    return (cells[0].replace(SAMPLE, "sample_size = 10**9"), *cells[1:])


def measure(python: Path, data: Path, cells: tuple[str, ...], rounds: int) -> dict[str, list[Run]]:
    """Each round's runs, recorded and plain, which take turns at being first."""
    found: dict[str, list[Run]] = {"plain": [], "recorded": []}
    for number in range(rounds + 1):  # the first one fills the disk's caches
        for recorded in (bool(number % 2), not number % 2):
            run = one_run(python, data, cells, recorded=recorded)
            if number:
                found["recorded" if recorded else "plain"].append(run)
    return found


def one_run(python: Path, data: Path, cells: tuple[str, ...], *, recorded: bool) -> Run:
    """Run it once in a kernel of its own, under the sandbox of a clean run and with the demo's datasets, which are told as a clean run's are."""
    paths = {f"nyc/{name}": str(data / "nyc" / f"{name}.parquet") for name in DATASETS}
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        Path(place, "bindings.json").write_text(json.dumps(paths))
        write_connection_file(os.path.join(place, "kernel.json"), transport="ipc", ip=os.path.join(place, "kernel"))
        folders = (*interpreter_folders(str(python)), str(CLIENT_DIR))
        spec = SandboxSpec(
            (str(python), "-m", "ipykernel_launcher", "-f", "kernel.json", NO_HISTORY),
            {
                **{"PATH": "/usr/bin:/bin", "HOME": place, "IPYTHONDIR": place},
                **{"PYTHONPATH": str(CLIENT_DIR), "GUARDRAILS_BINDINGS": os.path.join(place, "bindings.json")},
            },
            place,
            read=(*SYSTEM_READ, *folders, *paths.values()),
            write=(place, "/dev/shm"),
            devices=DEVICES,
            trace=recorded,
            told=(place, *paths.values()) if recorded else (),
            beside=(*SYSTEM_READ, *folders, "/dev") if recorded else (),
        )
        before = _children_s()
        started = start(spec, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall_s = _run_cells(os.path.join(place, "kernel.json"), cells)
        started.process.wait(PATIENCE_S)
        files = sum(len(batch.items) for batch in started.tracer.batches()) if started.tracer else 0
        if bool(started.tracer) != recorded:
            raise SystemExit(f"nothing was recorded: {started.report}")
        return Run(wall_s, _children_s() - before, files)


def _run_cells(connection: str, cells: tuple[str, ...]) -> float:
    """Seconds from the first cell's request to the last one's answer; the kernel is ended."""
    client = BlockingKernelClient(connection_file=connection)
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(PATIENCE_S)
        begin = time.perf_counter()
        for cell in cells:
            answer = client.execute_interactive(cell, timeout=PATIENCE_S, output_hook=lambda message: None)["content"]
            if answer["status"] != "ok":
                raise SystemExit(f"a cell ended with {answer.get('ename')}: {answer.get('evalue')}")
        return time.perf_counter() - begin
    finally:
        client.shutdown()
        client.stop_channels()


def _children_s() -> float:
    """Processor seconds of children that have ended: the kernel with what it started, and the recorder."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def summary(times: dict[str, dict[str, list[Run]]]) -> dict[str, Any]:
    """By notebook, and of all seconds of the short ones together."""
    notebooks = {name: _of_one(**one) for name, one in times.items()}
    short = [one for name, one in notebooks.items() if name not in (WHOLE, ALL_ROWS)]
    all_s = sum(one["plain_s"] for one in short) or 1.0
    ratios = ("ratio", "best_ratio", "cpu_ratio")
    together = {ratio: round(sum(one[ratio] * one["plain_s"] for one in short) / all_s, 4) for ratio in ratios}
    return together | {"notebooks": notebooks}


def _of_one(plain: list[Run], recorded: list[Run]) -> dict[str, Any]:
    walls, cpus = ([[run[at] for run in runs] for runs in (recorded, plain)] for at in (0, 1))
    return {
        "plain_s": round(statistics.median(walls[1]), 4),
        "ratio": round(statistics.median(map(operator.truediv, *walls)), 4),
        "best_ratio": round(min(walls[0]) / min(walls[1]), 4),
        "cpu_ratio": round(statistics.median(map(operator.truediv, *cpus)), 4),
        "files": max(run.files for run in recorded),
    }


if __name__ == "__main__":
    sys.exit(main())
