"""What guardrails cost while a notebook runs: ten notebooks of different libraries, governed, only observed and plain in turn, in one run.

    .venv/bin/python benchmarks/notebook_wall.py [--n 3] [--dir .bench] [--only pandas,numpy]

Each round starts a kernel for each notebook over the server's API, runs its cells and measures them from the first cell's request to the last
one's answer; starts are kernel_start.py's. Each ratio is the median of the rounds' own, since a machine changes more from minute to minute than
from one run to the next; all of them together are judged. The environment of the kernels is made once in --dir. To hold: governed <= 1.02 of
plain, observed (each call that names a file is traced) <= 1.03. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from jupyter_guardrails.cli import demo_server
from jupyter_guardrails.cli.demo_server import Server

PACKAGES = ("ipykernel", "pandas", "numpy", "duckdb", "polars", "scikit-learn", "matplotlib", "pyarrow", "fsspec")
POLICY = """\
apiVersion: guardrails/v1
HEAD
profiles:
  all: {memory: 8GiB, cpus: CPUS}
rules:
  - name: room-for-everyone
    for: everyone
    kernels: {profiles: [all], default: all, max: 20, terminals: all}
"""
HEADS = {"governed": "mode: enforce\nrequire: [files, network]", "observed": "mode: observe"}
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
    parser.add_argument("--only", default=",".join(NOTEBOOKS), help="which notebooks (default: all)")
    arguments = parser.parse_args()
    share = make_environment(arguments.dir.resolve())
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place, servers_of(share, Path(place), "governed", "observed") as servers:
        times = measure(servers, arguments.n, arguments.only.split(","))
    report = summary(times)
    for name, plain_s in report["plain_s"].items():
        print(f"{name}: {plain_s:.2f} s plain, " + ", ".join(f"{server} {report[server]['ratios'][name]:.3f}" for server in ("governed", "observed")))
    print(f"all: governed {report['governed']['ratio']:.3f}, observed {report['observed']['ratio']:.3f} ({report['n']} rounds)")
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
def servers_of(share: Path, place: Path, *modes: str) -> Iterator[dict[str, Server]]:
    """A plain server and governed ones with the same kernels, for the length of this block; `modes`: "governed" (if none) and "observed"."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name in (*(modes or ("governed",)), "plain"):
            folder = place / name
            (folder / "work").mkdir(parents=True)
            environment, module = {**os.environ, "JUPYTER_PATH": str(share), "JUPYTER_NO_CONFIG": "1"}, ["jupyter_server"]
            if name != "plain":
                environment, module = {**os.environ, "JUPYTER_PATH": str(share), **_governed(folder, name)}, ["jupyter_guardrails", "server"]
            serving = demo_server.serve(module, folder / "work", environment=environment, log=folder / "log")
            servers[name] = stack.enter_context(serving)
        yield servers


def _governed(folder: Path, name: str) -> dict[str, str]:
    """Policy and empty catalogue in a folder, as environment variables."""
    (folder / "catalog").mkdir()
    (folder / "guardrails.yaml").write_text(POLICY.replace("CPUS", str(os.cpu_count() or 1)).replace("HEAD", HEADS[name]))
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
    return {name: str(folder / value) for name, value in names.items()}


def measure(servers: dict[str, Server], rounds: int, notebooks: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round, by notebook and server; the servers take turns, and turns at who is first."""
    times: dict[str, dict[str, list[float]]] = {name: {server: [] for server in servers} for name in notebooks}
    for name in notebooks:
        cells, order = NOTEBOOKS[name], list(servers)
        for server in servers.values():
            run_notebook(server, name, cells)  # the first one fills the disk's and Python's caches
        for _ in range(rounds):
            for server_name in order:
                times[name][server_name].append(run_notebook(servers[server_name], name, cells))
            order = [*order[1:], order[0]]
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
    """Of each governed server: ratios by notebook, that of all notebooks' seconds together, and the worst."""
    medians = {name: {server: statistics.median(rounds) for server, rounds in servers.items()} for name, servers in times.items()}
    report: dict[str, Any] = {"n": len(next(iter(times.values()))["plain"]), "plain_s": {n: round(one["plain"], 4) for n, one in medians.items()}}
    for server in next(iter(times.values())):
        if server == "plain":
            continue
        ratios = {name: statistics.median(map(operator.truediv, one[server], one["plain"])) for name, one in times.items()}
        whole = sum(ratio * medians[name]["plain"] for name, ratio in ratios.items()) / sum(one["plain"] for one in medians.values())
        rounded = {name: round(ratio, 4) for name, ratio in ratios.items()}
        report[server] = {"ratio": round(whole, 4), "worst": max(rounded.values()), "ratios": rounded}
    return report


if __name__ == "__main__":
    sys.exit(main())
