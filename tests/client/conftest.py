"""A broker process, and the client on the path as a kernel has it."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

import jupyter_guardrails

CLIENT = Path(jupyter_guardrails.__file__).parent / "client"
TABLE = pyarrow.table({"carrier": ["UA", "AA", "B6"], "delay": [1, 2, 3]})


@pytest.fixture
def world(tmp_path):
    """Datasets on disk: a file, a folder of two files, one that only a descriptor opens, one that is refused."""
    for place in ("nyc", "folder", "secret"):
        (tmp_path / place).mkdir()
    pyarrow.parquet.write_table(TABLE, tmp_path / "nyc" / "flights.parquet")
    pyarrow.csv.write_csv(TABLE, tmp_path / "nyc" / "flights.csv")
    for part in (0, 1):
        pyarrow.parquet.write_table(TABLE, tmp_path / "folder" / f"part-{part}.parquet")
    (tmp_path / "secret" / "salaries.csv").write_text("a,b\n")
    row = {"owner": "carol", "classification": "public", "description": "Flights", "status": "granted"}
    return {
        "datasets": {
            "nyc/flights": {**row, "path": str(tmp_path / "nyc" / "flights.parquet")},
            "nyc/flights_csv": {**row, "path": str(tmp_path / "nyc" / "flights.csv")},
            "nyc/folder": {**row, "path": str(tmp_path / "folder")},
            "nyc/late": {**row, "path": str(tmp_path / "not-in-this-kernel" / "flights.parquet"), "real": str(tmp_path / "nyc" / "flights.parquet")},
            "hr/salaries": {**row, "path": str(tmp_path / "secret"), "status": "refused", "classification": "restricted", "next_step": "ask carol"},
            "hr/headcount": {**row, "path": str(tmp_path / "counts"), "status": "requestable", "description": "<script>alert(1)</script>\x1b[31m"},
        }
    }


@pytest.fixture
def broker(world, tmp_path):
    """The address of a running broker."""
    (tmp_path / "world.json").write_text(json.dumps(world))
    address = f"@guarded-test-{uuid.uuid4().hex}"
    command = [sys.executable, str(Path(__file__).with_name("small_broker.py")), address, str(tmp_path / "world.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def kernel_environment(broker):
    """The variables that a governed kernel has."""
    return {**os.environ, "GUARDRAILS_CHANNEL": broker, "PYTHONPATH": str(CLIENT)}


@pytest.fixture
def guarded(broker, monkeypatch):
    """The client in this process, connected; forgotten afterwards."""
    monkeypatch.syspath_prepend(str(CLIENT))
    monkeypatch.setenv("GUARDRAILS_CHANNEL", broker)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    import guarded

    monkeypatch.setattr(guarded._sources, "_source", None)
    return guarded
