"""What it costs to record the inputs of a clean run: notebooks of different libraries under the same sandbox, recorded and not, in turn, in one run.

    .venv/bin/python benchmarks/tracing.py [--n 5] [--dir .bench] [--only pandas,polars]

Each notebook of notebook_wall.py runs as one program; its time goes from its first cell to its last, imports included. Each ratio is the
median of the rounds' own. To hold: all notebooks together <= 1.02. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import operator
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from notebook_wall import NOTEBOOKS, make_environment

from jupyter_guardrails.kernels.kernelspecs import interpreter_folders
from jupyter_guardrails.kernels.plan import DEVICES, SYSTEM_READ
from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import SandboxSpec

TIMED = "import time as _time\n_begin = _time.perf_counter()\n{code}\nprint('SECONDS', _time.perf_counter() - _begin)\n"


def main() -> int:
    """Measure, print a line for each notebook and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the environment is made and kept (default: %(default)s)")
    parser.add_argument("--only", default=",".join(NOTEBOOKS), help="which notebooks (default: all)")
    arguments = parser.parse_args()
    make_environment(arguments.dir.resolve())
    python = arguments.dir.resolve() / "bin" / "python"
    times = {name: measure(python, NOTEBOOKS[name], arguments.n) for name in arguments.only.split(",")}
    report = summary(times)
    for name, one in report["notebooks"].items():
        print(f"{name}: {one['plain_s']:.2f} s, recorded {one['ratio']:.3f} of it, {one['files']} files told")
    print(f"all: {report['ratio']:.3f} ({arguments.n} rounds)")
    print(json.dumps(report))
    return 0


def measure(python: Path, cells: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Seconds of each round, recorded and not, and how many files were told."""
    code = "\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith("%"))
    found: dict[str, Any] = {"plain": [], "recorded": [], "files": 0}
    for number in range(rounds + 1):  # the first one fills the disk's caches
        for recorded in (bool(number % 2), not number % 2):
            seconds, files = one_run(python, TIMED.format(code=code), recorded=recorded)
            if number:
                found["recorded" if recorded else "plain"].append(seconds)
            found["files"] = max(found["files"], files)
    return found


def one_run(python: Path, code: str, *, recorded: bool) -> tuple[float, int]:
    """Its own seconds, and the files that were told."""
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        Path(place, "program.py").write_text(f"if __name__ == '__main__':\n    {code}".replace("\n", "\n    "))
        folders = interpreter_folders(str(python))
        spec = SandboxSpec(
            (str(python), "program.py"),
            {"PATH": "/usr/bin:/bin", "HOME": place, "MPLBACKEND": "agg"},
            place,
            read=(*SYSTEM_READ, *folders),
            write=(place, "/dev/shm"),
            devices=DEVICES,
            trace=recorded,
            told=(place,) if recorded else (),
            beside=(*SYSTEM_READ, *folders, "/dev") if recorded else (),
        )
        started = start(spec, stdout=subprocess.PIPE, text=True)
        printed, _ = started.process.communicate()
        files = sum(len(batch.items) for batch in started.tracer.batches()) if started.tracer else 0
    return float(printed.split("SECONDS ")[-1]), files


def summary(times: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """By notebook, and of all their seconds together."""
    notebooks = {
        name: {
            "plain_s": round(statistics.median(one["plain"]), 4),
            "ratio": round(statistics.median(map(operator.truediv, one["recorded"], one["plain"])), 4),
            "files": one["files"],
        }
        for name, one in times.items()
    }
    whole = sum(one["ratio"] * one["plain_s"] for one in notebooks.values()) / sum(one["plain_s"] for one in notebooks.values())
    return {"ratio": round(whole, 4), "notebooks": notebooks}


if __name__ == "__main__":
    sys.exit(main())
