"""What guardrails cost while a notebook runs: ten notebooks of different libraries, governed and plain in turn, in one run.

    .venv/bin/python benchmarks/notebook_wall.py [--n 3] [--dir .bench]

Each round starts a kernel for each notebook over the server's API, runs its cells and measures them from the first cell's request to the last
one's answer; starts are kernel_start.py's. The environment of both kernels is made once in --dir. To hold: each notebook <= 1.02 of plain.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from jupyter_guardrails.cli import demo_server
from jupyter_guardrails.cli.demo_server import Server

PACKAGES = ("ipykernel", "pandas", "numpy", "duckdb", "polars", "scikit-learn", "matplotlib", "pyarrow")
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  all: {memory: 8GiB, cpus: CPUS}
rules:
  - name: room-for-everyone
    for: everyone
    kernels: {profiles: [all], default: all, max: 20, terminals: all}
"""
NOTEBOOKS = {
    "pandas": (
        "import numpy as np, pandas as pd\nframe = pd.DataFrame({'k': np.arange(3_000_000) % 1000, 'x': np.arange(3_000_000) * 0.5})",
        "for _ in range(8): frame.groupby('k').x.agg(['sum', 'mean'])\nframe.sort_values('x', ascending=False).head()",
    ),
    "numpy": ("import numpy as np\na = np.random.default_rng(0).random((900, 900))", "for _ in range(20): b = a @ a\nnp.linalg.svd(a[:400, :400])"),
    "duckdb": ("import duckdb\nbase = duckdb.connect()", "base.execute('select count(distinct i * 7 % 99991) from range(20000000) r(i)').fetchall()"),
    "polars": (
        "import polars as pl\nframe = pl.DataFrame({'x': range(2_000_000)})",
        "for k in range(10):\n    frame.group_by((pl.col('x') % 997).alias('k')).agg(pl.col('x').sum())",
    ),
    "sklearn": (
        "from sklearn.datasets import make_classification\nfrom sklearn.ensemble import RandomForestClassifier",
        "X, y = make_classification(4000, random_state=0)\nRandomForestClassifier(60, random_state=0).fit(X, y).score(X, y)",
    ),
    "matplotlib": ("%matplotlib inline\nimport matplotlib.pyplot as plt", "for k in range(12):\n    plt.plot(range(2000))\n    plt.show()"),
    "pyarrow": (
        "import pyarrow as pa, pyarrow.parquet as pq\ntable = pa.table({'x': range(1_500_000), 's': [str(i % 5000) for i in range(1_500_000)]})",
        "for k in range(3):\n    pq.write_table(table, 't.parquet')\n    pq.read_table('t.parquet')",
    ),
    "sqlite": (
        "import sqlite3\nbase = sqlite3.connect('b.sqlite')\nbase.executescript('drop table if exists t; create table t(i, s)')",
        "with base: base.executemany('insert into t values (?, ?)', ((i, str(i)) for i in range(500_000)))\n"
        "base.execute('select max(s) from t').fetchall()",
    ),
    "python": (
        "import json, re\nrows = [{'n': i, 's': f'row {i}'} for i in range(200_000)]",
        "text = json.dumps(rows)\nlen(json.loads(text)), len(re.findall(r'row \\d*7\\b', text)), sum(i * i for i in range(5_000_000))",
    ),
    "multiprocessing": (
        "import multiprocessing, math",
        "for k in range(4):\n    with multiprocessing.Pool(2) as pool: pool.map(math.factorial, range(1500, 2100))",
    ),
}


def main() -> int:
    """Measure, print a line for each notebook and one for programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where the kernels' environment is made and kept (default: %(default)s)")
    arguments = parser.parse_args()
    share = make_environment(arguments.dir.resolve())
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, servers_of(share, Path(place)) as servers:
        times = measure(servers, arguments.n)
    report = summary(times)
    for name, ratio in report["ratios"].items():
        print(f"{name}: {report['plain_s'][name]:.2f} s plain, ratio {ratio:.3f}")
    print(f"all: ratio {report['ratio']:.3f} ({report['n']} rounds)")
    print(json.dumps(report))
    return 0


def make_environment(folder: Path) -> Path:
    """The Jupyter data folder with the kernelspec `bench`; its environment lies beside it and is made once."""
    python, share = folder / "bin" / "python", folder / "share" / "jupyter"
    if not (share / "kernels" / "bench").is_dir():
        uv = find_uv_bin()
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", os.path.realpath(sys.executable), str(folder)], check=True)
        # compiled, since kernels may not write there, and plain ones would in their first run
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *PACKAGES], check=True)
        subprocess.run([str(python), "-m", "ipykernel", "install", f"--prefix={folder}", "--name=bench"], check=True, stdout=subprocess.DEVNULL)
    return share


@contextlib.contextmanager
def servers_of(share: Path, place: Path) -> Iterator[dict[str, Server]]:
    """A governed and a plain server with the same kernels, for the length of this block."""
    for folder in ("governed", "plain", "catalog"):
        (place / folder).mkdir()
    (place / "guardrails.yaml").write_text(POLICY.replace("CPUS", str(os.cpu_count() or 1)))
    common = {**os.environ, "JUPYTER_PATH": str(share)}
    ours = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    governed_environment = common | {name: str(place / value) for name, value in ours.items()}
    plain_environment = common | {"JUPYTER_NO_CONFIG": "1"}
    governed = demo_server.serve(["jupyter_guardrails", "server"], place / "governed", environment=governed_environment, log=place / "governed.log")
    plain = demo_server.serve(["jupyter_server"], place / "plain", environment=plain_environment, log=place / "plain.log")
    with governed as governed_server, plain as plain_server:
        yield {"governed": governed_server, "plain": plain_server}


def measure(servers: dict[str, Server], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round, by notebook and server; the servers take turns, and turns at who is first."""
    times: dict[str, dict[str, list[float]]] = {name: {server: [] for server in servers} for name in NOTEBOOKS}
    for name, cells in NOTEBOOKS.items():
        for server in servers.values():
            run_notebook(server, name, cells)  # the first one fills the disk's and Python's caches
        for number in range(rounds):
            for server_name in sorted(servers, reverse=bool(number % 2)):
                times[name][server_name].append(run_notebook(servers[server_name], name, cells))
    return times


def run_notebook(server: Server, name: str, cells: tuple[str, ...]) -> float:
    """Seconds for all cells, in a kernel of its own that has started."""
    kernel = server.kernel("bench", notebook=f"{name}.ipynb")
    kernel.run("1")
    begin = time.perf_counter()
    runs = [kernel.run(code) for code in cells]
    seconds = time.perf_counter() - begin
    kernel.close()
    assert all(run.status == "ok" for run in runs), f"{name}: {[run.text for run in runs]}"
    return seconds


def summary(times: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Medians by notebook and their ratios; `ratio` is that of all notebooks together."""
    medians = {name: {server: statistics.median(rounds) for server, rounds in servers.items()} for name, servers in times.items()}
    ratios = {name: round(one["governed"] / one["plain"], 4) for name, one in medians.items()}
    whole = sum(one["governed"] for one in medians.values()) / sum(one["plain"] for one in medians.values())
    rounds = len(next(iter(times.values()))["plain"])
    plain_s = {name: round(one["plain"], 4) for name, one in medians.items()}
    return {"n": rounds, "ratio": round(whole, 4), "worst": max(ratios.values()), "ratios": ratios, "plain_s": plain_s}


if __name__ == "__main__":
    sys.exit(main())
