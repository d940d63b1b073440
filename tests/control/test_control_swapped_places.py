"""Whoever may write beside a dataset swaps its place for a link while it is opened: its own rows come or an error, never what the link leads to."""

import contextlib
import os
import shutil
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import Served
from data_world import DataWorld, Loop
from scan_world import Kernel

pytestmark = pytest.mark.soak
ROUNDS = 500 if os.environ.get("GUARDRAILS_SOAK") else 25
OWN, SECRET = "its own row", "what the link leads to"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = DataWorld(tmp_path_factory.mktemp("swapped"))
    rows(world.root / "secret" / "rows.parquet", SECRET)
    for name in ("file", "way", "folder"):
        rows(world.data / name / "rows.parquet", OWN)
    world.dataset("nyc/file", path=world.data / "file" / "rows.parquet", own={"delivery": "brokered"})
    world.dataset("nyc/way", path=world.data / "way" / "rows.parquet")
    world.dataset("nyc/folder", path=world.data / "folder", own={"delivery": "brokered"})
    yield world
    world.close()


def rows(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"origin": [text] * 1000, "delay": range(1000)}), path, compression="none")


@pytest.fixture(scope="module")
def kernel(world):
    loop = Loop()
    yield Kernel(Served(world, loop).name)
    loop.run(world.state().brokers.stop())
    loop.close()


def swap_file(place, secret):
    """The file for a link, and after the step back, each at once."""
    kept, new = place.with_name("kept"), place.with_name("new")
    if not kept.exists():
        os.link(place, kept)
    os.symlink(secret, new)
    os.replace(new, place)
    yield
    os.link(kept, new)
    os.replace(new, place)


def swap_folder(place, secret):
    """The folder on the way for a link to another one with the same names, and after the step back."""
    folder = place.parent
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(secret.parent)
    yield
    folder.unlink()
    folder.with_name("moved").rename(folder)


@contextlib.contextmanager
def swapping(swap, place, secret):
    """Swap again and again until the block ends; the place is what it was then."""
    over, failed = threading.Event(), []

    def work():
        try:
            while not over.is_set():
                for _ in swap(place, secret):
                    pass
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        place.with_name("kept").unlink(missing_ok=True)
        assert failed == []


def read(kernel, name, op):
    """What came: texts of rows, or an error's code."""
    said, fds = kernel.ask(op, name=name)
    if not fds:
        return said["code"]
    with open(fds[0], "rb") as file:
        data = file.read()
    if op == "datasets.open":
        return ",".join(sorted(set(pq.read_table(pa.BufferReader(data))["origin"].to_pylist())))
    end, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert SECRET not in str(end)
    return end["code"] if "code" in end else ",".join(sorted(set(pa.ipc.open_stream(data).read_all()["origin"].to_pylist())))


@pytest.mark.parametrize(
    ("name", "swap", "op"),
    [
        pytest.param("file", swap_file, "datasets.scan", id="a file that is streamed"),
        pytest.param("folder", swap_file, "datasets.scan", id="a file of a folder that is streamed"),
        pytest.param("way", swap_file, "datasets.open", id="a file by its descriptor"),
        pytest.param("way", swap_folder, "datasets.open", id="a folder on the way"),
    ],
)
def test_a_place_that_is_swapped_while_it_is_opened_gives_its_own_rows_or_an_error(world, kernel, name, swap, op):
    place, secret = world.data / name / "rows.parquet", world.root / "secret" / "rows.parquet"
    with swapping(swap, place, secret):
        found = [read(kernel, f"nyc/{name}", op) for _ in range(ROUNDS)]
    assert set(found) <= {OWN, "conflict", "not_found", "refused", "bad_request"}
    assert read(kernel, f"nyc/{name}", op) == OWN  # the twin: it is read as soon as nobody swaps it any more, by the same channel


@pytest.mark.parametrize("swap", [swap_file, swap_folder])
def test_the_swaps_lead_where_they_should(world, tmp_path, swap):
    """Without us: whoever opens the path in that moment gets what the link leads to."""
    shutil.copytree(world.data / "way", tmp_path / "way")
    place, secret = tmp_path / "way" / "rows.parquet", world.root / "secret" / "rows.parquet"
    for _ in swap(place, secret):
        assert SECRET.encode() in place.read_bytes()
    assert OWN.encode() in place.read_bytes()
