"""Figures of data.py about reading: one Parquet file by path, as a masked copy, as streams of the broker; its latency and its memory."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

READER = Path(__file__).with_name("data_reader.py")
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
profiles: {large: {memory: 12GiB, cpus: 2}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [large], default: large}, data: {read: ["bench/*"]}}]
"""
COLUMNS = {"id": "integer", "name": "string", "email": "string", "region": "string", "value": "number"}
OWN: dict[str, dict[str, Any]] = {
    "open": {},
    "view": {"mask": "blank"},
    "raw": {"delivery": "brokered"},
    "blank": {"delivery": "brokered", "mask": "blank"},
    "hash": {"delivery": "brokered", "mask": "hash"},
    "small": {"delivery": "brokered"},
}
# what is asked, as data_reader.py names it, and within how many milliseconds: a small read of its own is three questions, two of them recorded
ASKED = (("answer, first rows", "first rows", 2.0), ("answer, a path", "path", 2.0), ("small read (open, scan, end)", "small", 0.0))
PARTS = ("p50", "p99")
WORKER = b"jupyter_guardrails.control.broker_worker"
LOOK_S = 0.1
PIECE = 1_000_000


def make(root: Path, rows: int) -> None:
    """A policy, a contract and a file for each dataset; nothing in `root` may have been there."""
    for folder in ("catalog", "state", "home", "work", "data"):
        (root / folder).mkdir()
    (root / "guardrails.yaml").write_text(POLICY)
    write(root / "data" / "bench-open.parquet", rows)
    write(root / "data" / "bench-small.parquet", 1000)
    for name, own in OWN.items():
        place = root / "data" / f"bench-{name}.parquet"
        if not place.exists():
            os.link(root / "data" / "bench-open.parquet", place) if name == "open" else copy(root, place)
        (root / "catalog" / f"{name}.yaml").write_text(contract(name, place, own))


def copy(root: Path, place: Path) -> None:
    """A file of its own: two contracts may not share one."""
    subprocess.run(["cp", "--reflink=auto", str(root / "data" / "bench-open.parquet"), str(place)], check=True)


def write(path: Path, rows: int) -> None:
    """Numbers and texts, a million rows a group."""
    some = np.random.default_rng(1)
    writer = None
    for start in range(0, rows, PIECE):
        count = min(PIECE, rows - start)
        ids = np.arange(start, start + count)
        texts = [pa.array([f"{what}{number}{end}" for number in (ids % 500_000)]) for what, end in (("name ", ""), ("u", "@example.com"))]
        region = pa.array(np.array(["EU", "US", "LATAM", "APAC"])[some.integers(0, 4, count)])
        table = pa.table([pa.array(ids), *texts, region, pa.array(some.random(count))], names=list(COLUMNS))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=PIECE)
    if writer:
        writer.close()


def contract(name: str, place: Path, own: dict[str, Any]) -> str:
    """As an admin writes it."""
    mask = [{"property": "guardrails.mask", "value": own["mask"]}] if "mask" in own else []
    columns = [
        {"name": column, "logicalType": kind} | ({"customProperties": mask} if column == "email" and mask else {}) for column, kind in COLUMNS.items()
    ]
    wishes = {"classification": "internal"} | ({"delivery": own["delivery"]} if "delivery" in own else {})
    return yaml.safe_dump(
        {
            **{"apiVersion": "v3.1.0", "kind": "DataContract", "id": f"bench/{name}", "version": "1.0.0", "status": "active", "domain": "bench"},
            "description": {"purpose": "benchmark"},
            "team": {"name": "bench", "members": [{"username": "bench", "role": "owner"}]},
            "servers": [{"server": "here", "type": "local", "path": str(place), "format": "parquet"}],
            "schema": [{"name": name, "properties": columns}],
            "customProperties": [{"property": f"guardrails.{key}", "value": value} for key, value in wishes.items()],
        }
    )


def measured(options: argparse.Namespace, root: Path) -> list[tuple[str, float, str, float, float]]:
    """(figure, ours, unit, plain, target) as `Row` of data.py has them; seconds. A target of a ratio is held against plain."""
    make(root, options.rows)
    plain = json.loads(subprocess.run([sys.executable, str(READER), "plain", str(root / "data")], capture_output=True, text=True, check=True).stdout)
    with peak_of_workers() as peak:
        ours = json.loads(governed(root))
    rows = [(f"direct, {name}", ours[name], "s", plain[name], 0.0) for name in plain]
    rows += [("view, first read", ours["view, first"], "s", plain["pyarrow"], 0.0)]
    rows += [(f"view, {name}, later", ours[f"view, {name}"], "s", plain[name], 0.0) for name in ("pyarrow", "pandas")]
    rows += [(f"stream, {name}", ours[f"stream, {name}"], "s", ours["stream"], 0.0) for name in ("raw", "blank", "hash")]
    rows += [
        (f"broker's {name}, {p}", ours[f"{key} {p}"] * 1e3, "ms", 0.0, target if p == "p50" else 0.0) for name, key, target in ASKED for p in PARTS
    ]
    return [*rows, ("broker's memory, peak", peak[0] / 2**20, "MiB", 0.0, 300.0)]


def governed(root: Path) -> str:
    """What the reader prints as `exec` runs it."""
    names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state", "HOME": "home"}
    environment = os.environ | {name: str(root / path) for name, path in names.items()}
    program = READER.read_text()
    command = [sys.executable, "-m", "jupyter_guardrails", "exec", "--", sys.executable, "-c", program, "guarded"]
    done = subprocess.run(command, env=environment, cwd=root / "work", capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.splitlines()[-1]


@contextlib.contextmanager
def peak_of_workers() -> Iterator[list[int]]:
    """The most resident bytes that any broker's worker had meanwhile, from the kernel's own high-water mark."""
    peak, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if {WORKER, os.fsencode(sys.executable)} <= set((process / "cmdline").read_bytes().split(b"\0")):  # not of another checkout
                        peak[0] = max(peak[0], high_water(process))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def high_water(process: Path) -> int:
    """Bytes."""
    lines = (process / "status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
