"""What the checks of a submission cost: time and memory of reading and checking big notebooks, without the clean run.

python benchmarks/promotion.py [--cells 1000] [--mb 100]
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.promotion.checks import order, parameters, paths, secrets, size
from jupyter_guardrails.promotion.notebook import read_notebook
from jupyter_guardrails.promotion.work import Work, WorkOrder

STATIC = (order, paths, parameters, secrets, size)  # those that look at the notebook alone; each of the others asks a process
KINDS = ("picture", "text", "table")
ALLOWED_S, ALLOWED_MIB = 1.0, 300


def main() -> int:
    """Print the figures beside their targets; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["static"], default="static")
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--one", metavar="NOTEBOOK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(Path(options.one))))
        return 0
    return static(options.cells, options.mb)


def static(cells: int, mb: int) -> int:
    """Notebooks of that size with outputs of each kind, and one with a third of each; a fresh process for every one."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for kinds in (KINDS, *((kind,) for kind in KINDS)):
            path = Path(folder, "-".join(kinds) + ".ipynb")
            make(path, cells=cells, mb=mb, kinds=kinds)
            ran = subprocess.run([sys.executable, __file__, "--one", str(path)], capture_output=True, text=True, check=True)
            found = json.loads(ran.stdout)
            plain = json.loads(subprocess.run([sys.executable, "-c", PLAIN, str(path)], capture_output=True, text=True, check=True).stdout)
            print(f"{cells} cells, {path.stat().st_size / 1e6:.0f} MB of {' and '.join(kinds)}")
            print(f"  read and checked in {found['seconds']:.2f} s (processor {found['cpu']:.2f} s), {found['mib']:.0f} MiB: {found['checks']}")
            print(f"  nbformat.read alone {plain['seconds']:.2f} s, {plain['mib']:.0f} MiB; ratio of time {found['seconds'] / plain['seconds']:.2f}")
            if len(kinds) > 1:
                missed += (found["seconds"] > ALLOWED_S) + (found["mib"] > ALLOWED_MIB)
                print(f"  targets: {ALLOWED_S} s, {ALLOWED_MIB} MiB")
            path.unlink()
    return 1 if missed else 0


PLAIN = """
import json, sys, time, nbformat
from pathlib import Path
began = time.perf_counter()
nbformat.read(sys.argv[1], as_version=4)
print(json.dumps({"seconds": time.perf_counter() - began, "mib": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024}))
"""


def measure(path: Path) -> dict[str, object]:
    """Read and check one notebook in this process."""
    began, used = time.perf_counter(), time.process_time()
    order_ = order_for(path)
    work = Work(order_, ControlClient("/nowhere", ""), read_notebook(order_.frozen / path.name))
    spent = {"read": time.perf_counter() - began}
    for check in STATIC:
        at = time.perf_counter()
        result = check.run(work, lambda done, total, detail: None)
        spent[f"{check.NAME} {result.state}"] = time.perf_counter() - at
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    mib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return {"seconds": seconds, "cpu": cpu, "mib": mib, "checks": ", ".join(f"{name} {taken:.2f}" for name, taken in spent.items())}


def order_for(path: Path) -> WorkOrder:
    """An order as control gives it, for a notebook where it lies."""
    folder = path.parent / f"{path.stem}.submission"
    target = folder / "frozen" / "src" / path.name
    target.parent.mkdir(parents=True)
    target.symlink_to(path)
    said = {"socket": "/nowhere", "token": "t", "submission": "s", "folder": str(folder), "environments": str(folder), "workspace": str(path.parent)}
    said |= {"notebook": path.name, "kernelspec": None, "parameters": {}, "checks": {}, "name": "nb", "version": 1, "owner": "ana", "places": {}}
    said |= {"submitted_on": "2026-01-02", "reason": "", "policy_digest": "0", "profile": "small"}
    return WorkOrder.model_validate(said | {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 60}})


def make(path: Path, *, cells: int, mb: int, kinds: tuple[str, ...]) -> None:
    """A notebook as JupyterLab saves it; its outputs have `mb` million bytes together."""
    chance = random.Random(1)
    with path.open("w") as file:
        file.write('{"cells": [')
        for number in range(cells):
            before = max(number - 1, 0)
            source = "".join(f"value_{number}_{n} = {f'value_{before}_{n} + ' if number else ''}{n}\n" for n in range(8))
            output = output_of(kinds[number % len(kinds)], mb * 1_000_000 // cells, chance)
            cell = {"cell_type": "code", "id": f"c{number}", "metadata": {}, "execution_count": number + 1, "source": source.splitlines(True)}
            file.write(("," if number else "") + json.dumps(cell | {"outputs": [output]}, indent=1))
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
        file.write(f'], "metadata": {json.dumps(metadata)}, "nbformat": 4, "nbformat_minor": 5}}')


def output_of(kind: str, size: int, chance: random.Random) -> dict[str, object]:
    """One output of about so many bytes."""
    if kind == "picture":
        data = {"image/png": base64.b64encode(chance.randbytes(size * 3 // 4)).decode(), "text/plain": "<Figure size 640x480 with 1 Axes>"}
        return {"output_type": "display_data", "metadata": {}, "data": data}
    lines = list(_fill(_rows(kind, chance), size))
    if kind == "text":
        return {"output_type": "stream", "name": "stdout", "text": lines}
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": lines, "text/plain": "a table"}}


def _rows(kind: str, chance: random.Random) -> list[str]:
    if kind == "text":
        return [f"{chance.random():.6f}  JFK {chance.randrange(99)}  2013-01-{chance.randrange(1, 29):02d} {chance.random()!r}\n" for _ in range(200)]
    return [f"    <tr><th>{n}</th><td>{chance.random():.6f}</td><td>JFK</td><td>{chance.randrange(10**5)}</td></tr>\n" for n in range(200)]


def _fill(rows: list[str], size: int) -> Iterator[str]:
    while size > 0:
        for row in rows:
            if size > 0:
                yield row
            size -= len(row) + 8  # as JSON: indentation, quotes, comma


if __name__ == "__main__":
    sys.exit(main())
