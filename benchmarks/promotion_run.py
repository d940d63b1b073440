"""What a submission costs beside the notebook's own time: a real control, worker, clean run and package, with everything cached.

    .venv/bin/python benchmarks/promotion_run.py [--n 3] [--own 5]

An environment with ipykernel is made once (a package index must answer); a first submission fills the caches. Each further one has another
code, so that its notebook runs, sleeping `--own` seconds; the last one repeats, and isn't run again. To hold: median of what comes on top
<= 5 s, the package <= 200 kB, and the same content digest of the last two. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from uv import find_uv_bin

from jupyter_guardrails.control.interface import ControlClient, Settings, start_own_control
from jupyter_guardrails.control.interface.messages import SubmissionCreate, SubmissionShow

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {all: {memory: 2GiB, cpus: 2}}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [all], default: all}}
promotion: {production_profile: all}
"""
POLL_S = 0.02


def main() -> int:
    """Measure, print a line for each part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3, help="submissions (default: %(default)s)")
    parser.add_argument("--own", type=float, default=5.0, help="seconds that the notebook itself takes (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        report = measure(Path(place), arguments.n, arguments.own)
    print(f"first: {report['first_s']:.1f} s on top of the notebook's {arguments.own:g} s (nothing cached)")
    print(f"then: {report['on_top_s']:.2f} s on top (median of {arguments.n}; 5 at most), by check: {report['checks_s']}")
    print(f"not run again: {report['reused_s']:.2f} s in all, with the same content digest: {report['same_content']}")
    print(f"package: {report['package_bytes']} bytes (200,000 at most)")
    print(json.dumps(report))
    return 0


def measure(place: Path, count: int, own_s: float) -> dict[str, Any]:
    """Seconds on top of the notebook's own; of the first submission, of the others, and of one whose evidence still stands."""
    (place / "work").mkdir()
    (place / "catalog").mkdir()
    (place / "guardrails.yaml").write_text(POLICY)
    os.environ["JUPYTER_PATH"] = str(_kernelspec(place))
    control = start_own_control(Settings(place / "guardrails.yaml", place / "catalog", place / "state", place / "c.sock", self_chosen=True))
    try:
        runs = [_submit(control.client, place, number, own_s) for number in range(count + 1)]
        again = _submit(control.client, place, count, own_s)
    finally:
        control.stop()
    by_check = {name: round(statistics.median(run[1][name] for run in runs[1:]), 2) for name in runs[0][1]}
    on_top_s = statistics.median(run[0] for run in runs[1:]) - own_s
    times = {"first_s": round(runs[0][0] - own_s, 2), "on_top_s": round(on_top_s, 2), "reused_s": round(again[0], 2), "checks_s": by_check}
    largest = max(path.stat().st_size for path in (place / "state").rglob("*.job.zip"))
    return times | {"package_bytes": largest, "same_content": runs[-1][2] == again[2]}


def _kernelspec(place: Path) -> Path:
    """A Jupyter data folder with the kernelspec `bench`."""
    uv, folder = find_uv_bin(), place / "env"
    subprocess.run([uv, "venv", "--quiet", "--python", os.path.realpath(sys.executable), str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "ipykernel"], check=True)
    command = [str(folder / "bin" / "python"), "-m", "ipykernel", "install", f"--prefix={folder}", "--name=bench"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "share" / "jupyter"


def _submit(client: ControlClient, place: Path, number: int, own_s: float) -> tuple[float, dict[str, float], str]:
    """Seconds until it is in review, those of its checks, and its content digest."""
    cells = [
        new_code_cell(f"number = {number}", execution_count=1, id="a"),
        new_code_cell(f"import time\ntime.sleep({own_s})", execution_count=2, id="b"),
    ]
    node = new_notebook(cells=cells, metadata={"kernelspec": {"name": "bench", "display_name": "bench"}})
    nbformat.write(node, place / "work" / "bench.ipynb")
    begin = time.perf_counter()
    request = SubmissionCreate(notebook="bench.ipynb", workspace=str(place / "work"), key=os.urandom(8).hex(), reason="measured")
    found = client.call(request)
    while found["state"] in ("submitted", "checking"):
        time.sleep(POLL_S)
        found = client.call(SubmissionShow(id=found["id"]))
    seconds = time.perf_counter() - begin
    assert found["state"] == "in_review", found
    return seconds, {check["name"]: check["seconds"] or 0.0 for check in found["checks"]}, found["content_digest"]


if __name__ == "__main__":
    sys.exit(main())
