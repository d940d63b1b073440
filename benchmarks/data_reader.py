"""Reads the datasets of data_reading.py, by their names in a governed process or by their paths in a plain one, and prints seconds as JSON.

python data_reader.py plain FOLDER | python data_reader.py guarded
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 3
SMALL_CALLS = 200


def best_s(work: Callable[[], Any]) -> float:
    """The quickest of a few: what else runs on the machine only ever adds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def readers(path: str) -> dict[str, Callable[[], Any]]:
    """Each library that is here, reading one Parquet file as a person would."""
    import pyarrow.parquet as pq

    found: dict[str, Callable[[], Any]] = {"pyarrow": lambda: pq.read_table(path)}
    if importlib.util.find_spec("pandas"):
        import pandas as pd

        found["pandas"] = lambda: pd.read_parquet(path)
    if importlib.util.find_spec("polars"):
        import polars as pl

        found["polars"] = lambda: pl.read_parquet(path)
    if importlib.util.find_spec("duckdb"):
        import duckdb

        found["duckdb"] = lambda: duckdb.execute("select count(*), avg(value), max(name) from read_parquet(?)", [path]).fetchall()
    return found


def batches(path: str) -> int:
    """Every row in pieces, as a reader of a stream meets them."""
    import pyarrow.parquet as pq

    return sum(batch.num_rows for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=1 << 16))


def plain(folder: str) -> dict[str, float]:
    """The plain things."""
    path = f"{folder}/bench-open.parquet"
    return {name: best_s(read) for name, read in readers(path).items()}


def guarded() -> dict[str, float]:
    """The same through us: by path, masked copy, streams; and how long small questions take."""
    import guarded as data

    found = {name: best_s(read) for name, read in readers(data.path("bench/open")).items()}
    begin = time.perf_counter()
    rows = data.open("bench/view").to_arrow().num_rows
    found["view, first"] = time.perf_counter() - begin
    found["view, pyarrow"] = best_s(lambda: data.open("bench/view").to_arrow())
    found["view, pandas"] = best_s(lambda: data.open("bench/view").to_pandas())
    streams = {name: data.open(f"bench/{name}") for name in ("raw", "blank", "hash")}
    found |= in_turns({f"stream, {name}": lambda one=one: counted(one.scan()) for name, one in streams.items()}, data.path("bench/open"))
    small = data.open("bench/small")
    questions = {
        "first rows": lambda: next(small.scan(limit=1)),
        "small": lambda: data.open("bench/small").scan(limit=1).read_all(),
        "path": lambda: data.path("bench/open"),
    }
    for name, question in questions.items():
        times = sorted(timed(question) for _ in range(SMALL_CALLS))
        found |= {f"{name} p50": times[len(times) // 2], f"{name} p99": times[int(len(times) * 0.99)]}
    return found | {"rows": float(rows)}


def in_turns(works: dict[str, Callable[[], Any]], path: str) -> dict[str, float]:
    """The quickest of each, and of pyarrow's batches of the same file by its path, one after the other: what else runs disturbs all of them."""
    all_of_them = {"stream": lambda: batches(path)} | works
    rounds = [{name: timed(work) for name, work in all_of_them.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in all_of_them}


def counted(reader: Any) -> int:
    """All rows of a stream."""
    return sum(batch.num_rows for batch in reader)


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps(guarded() if sys.argv[1] == "guarded" else plain(sys.argv[2])))
