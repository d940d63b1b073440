"""Memory that a broker's worker and a reader share: every byte once and in order, and neither side waits for ever for one that is gone or lies."""

import os
import random
import struct
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

import jupyter_guardrails
from jupyter_guardrails.catalog.cut import Cut
from jupyter_guardrails.catalog.ring import Ring
from jupyter_guardrails.catalog.streams import ReaderGone, write_table
from jupyter_guardrails.errors import Conflict

sys.path.insert(0, str(Path(jupyter_guardrails.__file__).parent / "client"))
from guarded.ring import Ring as Reader

SIZE = 1 << 16


class Pair:
    """Both sides; the writer's descriptors are closed by `end`, as the worker does after a scan."""

    def __init__(self, **said):
        (self.counts, self.telling), (self.heard, self.taking) = os.pipe(), os.pipe()
        self.memory = os.memfd_create("t")
        os.ftruncate(self.memory, SIZE)
        self.sink = Ring(self.telling, self.heard, self.memory, **{"stall_s": 10.0} | said)
        self.reader = Reader(self.counts, self.taking, os.dup(self.memory))

    def end(self):
        self.sink.close()
        for fd in (self.telling, self.heard, self.memory):
            os.close(fd)

    def written(self, parts):
        """In a thread, then the end."""

        def work():
            for part in parts:
                self.sink.write(part)
            self.end()

        thread = threading.Thread(target=work)
        thread.start()
        return thread


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.reader.close()


@pytest.mark.parametrize("seed", range(20))
def test_every_byte_comes_once_and_in_order(pair, seed):
    """Parts smaller and larger than the memory, read in other parts."""
    some = random.Random(seed)
    data = some.randbytes(5 * SIZE + seed)
    parts, at = [], 0
    while at < len(data):
        size = some.choice([1, 7, 1000, SIZE // 8, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE])
        parts.append(data[at : at + size])
        at += size
    thread, came = pair.written(parts), b""
    while part := pair.reader.read(some.choice([1, 13, 5000, SIZE, 2 * SIZE])):
        came += part
    thread.join()
    assert came == data


def test_it_is_a_file_for_arrow_whose_memory_it_takes(pair):
    table = pa.table({"n": range(50_000), "t": [f"text {n}" for n in range(50_000)]})

    def work():
        assert write_table(table, pair.sink) == {"rows": 50_000}
        pair.end()

    thread = threading.Thread(target=work)
    thread.start()
    assert pa.ipc.open_stream(pair.reader).read_all().equals(table)
    thread.join()


def test_what_was_written_is_told_at_the_end_of_a_batch_and_not_before(pair):
    pair.sink.write(b"abc")
    os.set_blocking(pair.counts, False)
    with pytest.raises(BlockingIOError):
        os.read(pair.counts, 8)
    pair.sink.flush()
    assert struct.unpack("<Q", os.read(pair.counts, 8)) == (3,)
    pair.end()


def test_the_end_in_the_middle_is_a_short_read(pair):
    pair.sink.write(b"abc")
    pair.end()
    assert pair.reader.read(10) == b"abc"
    assert pair.reader.read(10) == b""


def test_a_reader_that_has_gone_ends_the_scan(pair):
    pair.reader.close()
    with pytest.raises(OSError):
        pair.sink.write(bytes(SIZE + 1))
    assert isinstance(pair.sink.failure, ReaderGone)
    with pytest.raises(ReaderGone):
        pair.sink.check()


def test_a_reader_that_has_gone_while_it_was_waited_for_ends_the_scan_too(pair):
    threading.Timer(0.1, pair.reader.close).start()
    with pytest.raises(OSError):
        pair.sink.write(bytes(SIZE + 1))
    assert isinstance(pair.sink.failure, ReaderGone)


def test_a_reader_that_takes_nothing_is_not_waited_for_longer_than_that():
    pair = Pair(stall_s=0.1)
    with pytest.raises(TimeoutError, match="nothing was read from this scan"):
        pair.sink.write(bytes(SIZE + 1))
    pair.reader.close()


def test_a_cut_ends_the_wait_for_a_reader():
    cut = Cut()
    pair = Pair(cut=cut)
    threading.Timer(0.1, cut.now, [Conflict("access was withdrawn")]).start()
    with pytest.raises(OSError):
        pair.sink.write(bytes(3 * SIZE))
    assert pair.sink.failure.message == "access was withdrawn"
    pair.reader.close()


@pytest.mark.parametrize("said", [2**64 - 1, SIZE + 1, SIZE])
def test_more_than_was_written_is_not_believed(pair, said):
    """The writer goes on as if all was taken, and no further: it writes nowhere but into the memory."""
    os.write(pair.taking, struct.pack("<Q", said))
    pair.sink.write(bytes(SIZE + 100))
    assert pair.sink.written_bytes == SIZE + 100
    os.write(pair.taking, struct.pack("<Q", 0))  # and what was taken stays taken
    pair.sink.write(bytes(SIZE - 100))
    pair.end()


def test_a_worker_that_was_killed_is_an_end(pair):
    """Nothing is told, and all its descriptors are gone."""
    pair.sink.write(b"abc")
    for fd in (pair.telling, pair.heard, pair.memory):
        os.close(fd)
    assert pair.reader.read(3) == b""
    pair.sink._memory.close()
    pair.sink._told = pair.sink.written_bytes  # nothing is left to be told
