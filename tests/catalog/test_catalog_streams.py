"""What a scan is written into: full disks, readers that go, and values that CSV has no form for."""

import os
import threading

import pyarrow as pa
import pytest

from jupyter_guardrails.catalog.plan import ScanPlan
from jupyter_guardrails.catalog.scan import Scan
from jupyter_guardrails.catalog.streams import ReaderGone, Sink, ahead, write_arrow, write_csv, write_parquet, write_table
from jupyter_guardrails.errors import Conflict, WorkspaceFull

TABLE = pa.table({"a": ["x", None], "b": [[1, 2], None], "c": [{"d": 1}, None], "e": [b"\xff", None]})


class Memory:
    """A source in memory."""

    schema = TABLE.schema

    def batches(self):
        yield from TABLE.to_batches()

    def close(self):
        pass


def scan(source=None):
    return Scan(ScanPlan("a/b", "1", "dana", {}), source or Memory(), b"s" * 32)


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


def made(count):
    """Batches, and in which threads they were made."""
    threads = []

    def batches():
        for number in range(count):
            threads.append(threading.current_thread())
            yield pa.record_batch({"n": [number]})

    return batches(), threads


@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
def test_what_is_made_ahead_comes_in_order_and_short_scans_need_no_thread(count):
    batches, threads = made(count)
    assert [batch["n"][0].as_py() for batch in ahead(batches)] == list(range(count))
    assert {thread is threading.main_thread() for thread in threads[:2]} <= {True}
    assert {thread is threading.main_thread() for thread in threads[2:]} <= {False}


END = b"\xff\xff\xff\xff\0\0\0\0"


class Breaking(Memory):
    """A source that fails after some batches."""

    def __init__(self, good):
        self._good = good

    def batches(self):
        for _ in range(self._good):
            yield from TABLE.to_batches()
        raise Conflict("broken")


@pytest.mark.parametrize("good", [1, 2, 7])
def test_what_fails_in_the_middle_has_no_end_mark(tmp_path, good):
    """What came before it is there."""
    with open(tmp_path / "t.arrow", "wb") as file, pytest.raises(Conflict, match="broken"):
        write_arrow(scan(Breaking(good)), Sink(file.fileno(), stall_s=1))
    data = (tmp_path / "t.arrow").read_bytes()
    assert pa.ipc.open_stream(data).read_all().num_rows == 2 * good
    with open(tmp_path / "whole.arrow", "wb") as file:
        write_arrow(scan(), Sink(file.fileno(), stall_s=1))
    assert (tmp_path / "whole.arrow").read_bytes().endswith(END)
    assert not data.endswith(END)


class Ending(Sink):
    """Is cut after the first batch."""

    def check(self):
        raise Conflict("cut")


def test_an_answer_that_is_cut_has_no_end_mark_either(tmp_path):
    with open(tmp_path / "cut.arrow", "wb") as file, pytest.raises(Conflict, match="cut"):
        write_table(TABLE, Ending(file.fileno(), stall_s=1))
    assert not (tmp_path / "cut.arrow").read_bytes().endswith(END)
    with open(tmp_path / "whole.arrow", "wb") as file:
        assert write_table(TABLE, Sink(file.fileno(), stall_s=1)) == {"rows": TABLE.num_rows}
    assert (tmp_path / "whole.arrow").read_bytes().endswith(END)


def test_who_stops_in_the_middle_leaves_no_thread():
    batches, threads = made(20)
    read = ahead(batches)
    assert [next(read)["n"][0].as_py() for _ in range(5)] == [0, 1, 2, 3, 4]
    read.close()
    assert not any(thread.is_alive() for thread in threads if thread is not threading.main_thread())
    assert len(threads) <= 7  # two more than were taken, and no other
