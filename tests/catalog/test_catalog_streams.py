"""What a scan is written into: full disks, readers that go, and values that CSV has no form for."""

import os

import pyarrow as pa
import pytest

from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.scan import Scan
from jupyter_guardrails.catalog.streams import ReaderGone, Sink, write_arrow, write_csv, write_parquet
from jupyter_guardrails.errors import Conflict, WorkspaceFull

TABLE = pa.table({"a": ["x", None], "b": [[1, 2], None], "c": [{"d": 1}, None], "e": [b"\xff", None]})


class Memory:
    """A source in memory."""

    schema = TABLE.schema

    def batches(self):
        yield from TABLE.to_batches()

    def close(self):
        pass


def scan():
    return Scan(ScanPlan("a/b", "1", "dana", {}), Memory(), b"s" * 32)


def test_a_full_disk_is_a_sentence(tmp_path):
    fd = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(fd, stall_s=1)
    with pytest.raises(OSError):
        write_parquet(scan(), sink)
    assert isinstance(sink.failure, WorkspaceFull)
    assert "is full" in str(sink.failure)
    os.close(fd)
    with open(tmp_path / "t.parquet", "wb") as file:  # the twin: with room it is written
        assert write_parquet(scan(), Sink(file.fileno(), stall_s=1))["rows"] == 2


def test_a_reader_that_went_away_or_stalls_ends_the_writing():
    reading, writing = os.pipe()
    stalled = Sink(writing, stall_s=0.01)
    with pytest.raises(OSError):
        stalled.write(b"x" * (2 << 20))
    assert isinstance(stalled.failure, Conflict)
    os.close(reading)
    gone = Sink(writing, stall_s=60)
    with pytest.raises(ReaderGone):
        gone.check()
    with pytest.raises(OSError):
        write_arrow(scan(), gone)
    assert isinstance(gone.failure, ReaderGone)
    os.close(writing)


def test_csv_has_nested_values_as_json(tmp_path):
    with open(tmp_path / "t.csv", "wb") as file:
        assert write_csv(scan(), Sink(file.fileno(), stall_s=1)) == {"rows": 2}
    assert (tmp_path / "t.csv").read_text().splitlines() == ['"a","b","c","e"', '"x","[1, 2]","{""d"": 1}","ff"', ",,,"]
