"""Data that is not what its contract says, over a kernel's real channel: one clear sentence, nothing leaked, and the next read goes on."""

import os
import re
import socket
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import Served
from data_world import DataWorld, Loop
from scan_world import Kernel, guarded

from jupyter_guardrails.control import broker_process, channel

SOAK = bool(os.environ.get("GUARDRAILS_SOAK"))
SECRET = "ada@example.com"
ODD = {
    "turned": "a\u202eb",
    "two lines": "a\nb",
    "nul": "a\0b",
    "combining": "e\u0301",
    "no width": "a\u200bb",
    "joined": "\U0001f9d1\u200d\U0001f52c",
    "dots": "..",
}
WIDE = [f"column {number}" for number in range(10_000)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = DataWorld(tmp_path_factory.mktemp("bad"))
    world.dataset("nyc/fine", own={"delivery": "brokered"})
    yield world
    world.close()


@pytest.fixture(scope="module")
def served(world):
    loop = Loop()
    yield Served(world, loop)
    loop.run(world.state().brokers.stop())
    loop.close()


@pytest.fixture
def kernel(served):
    kernel = Kernel(served.name)
    yield kernel
    assert kernel.table("nyc/fine", limit=3)[1] == {"rows": 3}  # the twin of each of these: channel and worker go on


def masked(world, name, names, *, in_contract=None):
    """A dataset of one row, each of whose columns the contract masks under the names that it knows."""
    path = world.data / f"{name.partition('/')[2]}.parquet"
    pq.write_table(pa.table({column: [SECRET] for column in names}), path)
    properties = [{"name": column, "logicalType": "string", "classification": "pii"} for column in in_contract or names]
    world.dataset(name, path=path, schema=[{"name": "t", "properties": properties}])
    assert world.state().catalogs.current.contracts[name].columns


def clear(error):
    """An error of one line each that tells what to do, without a value."""
    assert error["message"].isprintable()
    assert error["next_step"].isprintable()
    assert error["next_step"]
    assert SECRET not in str(error)
    return error["message"]


def test_columns_with_names_of_any_kind_are_masked_found_and_compared(world, kernel):
    masked(world, "nyc/odd", list(ODD.values()))
    found, end = kernel.table("nyc/odd")
    assert (end, found.column_names) == ({"rows": 1}, list(ODD.values()))
    assert SECRET not in str(found.to_pylist())
    for name in ODD.values():
        assert kernel.table("nyc/odd", columns=[name])[0].column_names == [name]
        assert kernel.table("nyc/odd", filter=[[name, "=", SECRET]])[1] == {"rows": 0}
        assert kernel.table("nyc/odd", filter=[[name, "=", found[name][0].as_py()]])[1] == {"rows": 1}


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_names_that_are_not_there_are_said_on_one_line(world, kernel, name):
    folder = world.data / "folder"
    if not folder.exists():
        for odd in ODD.values():
            if "\0" not in odd:
                world.parquet(f"folder/{odd}.parquet", 1)
        world.dataset("nyc/folder", path=folder)
    for op, asked in (
        ("datasets.path", {"name": f"nyc/{name}"}),
        ("datasets.open", {"name": "nyc/folder", "file": name}),
        ("datasets.open", {"name": "nyc/folder", "file": f"{name}/x"}),
        ("datasets.scan", {"name": "nyc/fine", "filter": f"{name} = 1"}),
    ):
        error, fds = kernel.ask(op, **asked)
        assert fds == []
        clear(error)
    for asked in ({"columns": [f"x{name}"]}, {"filter": [[f"x{name}", "=", 1]]}):
        assert re.search("no (such )?column", clear(kernel.table("nyc/fine", **asked)[1]))


def test_a_file_outside_of_a_folder_is_not_had_by_any_name(world, kernel):
    inside, outside = world.parquet("own/a.parquet").parent, world.parquet("outside.parquet")
    (inside / "link.parquet").symlink_to(outside)
    world.dataset("nyc/own", path=inside)
    for file, why in {"../outside.parquet": "leads out of the dataset", str(outside): "leads out of the dataset", "link.parquet": "a link"}.items():
        error, fds = kernel.ask("datasets.open", name="nyc/own", file=file)
        assert (fds, why in clear(error)) == ([], True), error
    said, fds = kernel.ask("datasets.open", name="nyc/own", file="a.parquet")
    assert said["size"] == os.fstat(fds[0]).st_size
    os.close(fds[0])


@pytest.mark.parametrize(
    ("contract", "data", "said"),
    [
        ("email", "mail", "has a column 'mail' that its contract lacks, and its masks may not fit any more"),
        ("email", "EMAIL", "(there is 'email', and this is 'EMAIL')"),
        ("\u00e9mail", "e\u0301mail", r"(there is '\xe9mail', and this is 'e\u0301mail')"),
        ("email", "\u0435mail", "has a column '\u0435mail' that its contract lacks"),
    ],
    ids=["renamed", "in capitals", "composed otherwise", "cyrillic"],
)
def test_a_column_that_its_contract_knows_by_another_name_is_not_delivered(world, kernel, contract, data, said):
    masked(world, "nyc/renamed", [data, "n"], in_contract=[contract, "n"])
    assert said in clear(kernel.table("nyc/renamed")[1])
    assert said in clear(kernel.ask("datasets.open", name="nyc/renamed")[0])
    masked(world, "nyc/renamed", [contract, "n"])
    assert kernel.table("nyc/renamed")[1] == {"rows": 1}
    assert unicodedata.normalize("NFC", contract) in {contract}


def test_ten_thousand_masked_columns(world, kernel, served):
    masked(world, "nyc/wide", WIDE)
    found, end = kernel.table("nyc/wide")
    assert (end, found.num_columns) == ({"rows": 1}, len(WIDE))
    assert SECRET not in str(found.to_pylist())
    assert kernel.table("nyc/wide", columns=[WIDE[-1]], filter=[[WIDE[0], "=", SECRET]])[1] == {"rows": 0}
    assert kernel.table("nyc/wide", columns=WIDE[:2000])[0].num_columns == 2000
    error, _ = kernel.ask("datasets.scan", name="nyc/wide", columns=WIDE)
    assert ("is too long" in clear(error), "fewer columns" in error["next_step"]) == (True, True)
    kernel.socket.close()
    kernel.__init__(served.name)  # after such a frame the connection is closed
    assert "no column 'ghost'" in clear(kernel.ask("datasets.scan", name="nyc/wide", columns=["ghost"])[0])


QUESTIONS = """
import guarded
fine = guarded.open("nyc/fine")
for asked in ({"filter": [["origin", "in", ["x" * 100] * 900]]}, {"columns": ["delay"] * 20_000}):
    try:
        fine.scan(**asked)
    except guarded.GuardedError as error:
        print(str(error).splitlines())
    print(fine.scan(columns=["delay"]).read_all().num_rows)
print(fine.scan(filter=[["origin", "in", ["JFK", *["x" * 50] * 900]]]).read_all().num_rows)
"""


def test_a_question_that_is_too_long_is_said_by_the_client_and_costs_nothing(served):
    lines = guarded(served.name, QUESTIONS).splitlines()
    assert ["and a question has at most 65,536" in line for line in lines] == [True, False, True, False, False]
    assert ["fewer values in a filter" in line for line in lines] == [True, False, True, False, False]
    assert (lines[1], lines[3], lines[4]) == ("50", "50", "25")
    assert channel.MAX_FRAME_BYTES == 65_536


def test_files_that_vanish_while_they_are_read(world, kernel):
    """What is open is read to its end; a later one of the folder ends the stream, which doesn't look whole."""
    folder = world.data / "going"
    for name in "abc":
        world.parquet(f"going/{name}.parquet", 100_000)
    world.dataset("nyc/going", path=folder, own={"delivery": "brokered"})
    said, fds = kernel.ask("datasets.scan", name="nyc/going")
    with open(fds[0], "rb") as file:
        file.read(1 << 10)
        (folder / "c.parquet").unlink()
        file.read()
    error, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert clear(error) == "c.parquet of the dataset cannot be opened: No such file or directory"
    assert kernel.table("nyc/going")[1] == {"rows": 400_000}
    only = world.dataset("nyc/only", own={"delivery": "brokered"})
    assert kernel.table("nyc/only")[1] == {"rows": 50}
    only.unlink()
    assert clear(kernel.ask("datasets.scan", name="nyc/only")[0]) == "the place of nyc/only cannot be opened: No such file or directory"


@pytest.fixture
def silent():
    """A store that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        listener.settimeout(60)
        yield listener


def test_a_store_that_stalls_holds_up_nobody_else(world, kernel, served, silent):
    pytest.importorskip("s3fs")
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    server = {"server": "lake", "type": "s3", "location": "s3://lake/x.parquet", "format": "parquet", "endpointUrl": endpoint}
    world.dataset("nyc/stalled", path="/", servers=[server])
    said, fds = kernel.ask("datasets.scan", name="nyc/stalled")
    connection, _ = silent.accept()
    assert Kernel(served.name).table("nyc/fine")[1] == {"rows": 50}
    if SOAK:  # it takes what a request may take, a minute
        kernel.socket.settimeout(200)
        with open(fds[0], "rb") as file:
            assert file.read() == b""
        error, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
        assert "did not answer" in clear(error)
    else:
        os.close(fds[0])
        assert "the reader has gone" in str(kernel.ask("datasets.scan_end", scan=said["scan"])[0])
    connection.close()
    for _, fds in [kernel.ask("datasets.scan", name="nyc/stalled") for _ in range(broker_process.AT_ONCE)]:
        os.close(fds[0])  # as who interrupts the cell
    assert kernel.table("nyc/fine")[1] == {"rows": 50}  # and not only when the store's minute is over
