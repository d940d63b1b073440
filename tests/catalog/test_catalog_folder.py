"""A big catalogue: read in a thread of its own, kept in a cache, and never offered before all of it is known."""

import os
import sqlite3
import threading

import pytest

from jupyter_guardrails.catalog import CatalogFolder
from jupyter_guardrails.catalog.cache import ContractCache
from jupyter_guardrails.catalog.odcs import read_contract
from jupyter_guardrails.catalog.stamps import stamps_of
from jupyter_guardrails.errors import CatalogBusy


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "catalogue.sqlite"


def settled(folder, wanted):
    """The folder's contracts, once they are those; waits for the thread that reads, not for a time."""
    for thread in threading.enumerate():
        if thread.name == "catalogue":
            thread.join(30)
    found = folder.current
    for thread in threading.enumerate():
        if thread.name == "catalogue":
            thread.join(30)
    assert set(folder.current.contracts) == wanted, found
    return folder.current


def test_a_big_catalogue_is_read_beside_everything_else(world, monkeypatch):
    for name in ("nyc/flights", "nyc/planes"):
        world.write(name)
    gate, real = threading.Event(), read_contract
    monkeypatch.setattr("jupyter_guardrails.catalog.reading.read_contract", lambda file: gate.wait(30) and real(file))
    folder = CatalogFolder(world.folder, small=1)
    with pytest.raises(CatalogBusy, match="being read"):
        _ = folder.current
    gate.set()
    settled(folder, {"nyc/flights", "nyc/planes"})


def test_a_big_catalogue_follows_its_files(world):
    for name in ("nyc/flights", "nyc/planes"):
        world.write(name)
    now = [0.0]
    folder = CatalogFolder(world.folder, small=1, clock=lambda: now[0])
    before = settled(folder, {"nyc/flights", "nyc/planes"})
    world.write("nyc/trains")
    (world.folder / "nyc-planes.odcs.yaml").unlink()
    now[0] = 2.0
    after = settled(folder, {"nyc/flights", "nyc/trains"})
    assert after.contracts["nyc/flights"] is before.contracts["nyc/flights"]


def test_contracts_are_kept_and_are_the_same_again(world, cache, monkeypatch):
    for name in ("nyc/flights", "nyc/planes"):
        world.write(name, tags=["größe", "b"], description={"purpose": "Äther"})
    first = settled(CatalogFolder(world.folder, cache=cache, small=1), {"nyc/flights", "nyc/planes"})
    monkeypatch.setattr("jupyter_guardrails.catalog.reading.read_contract", lambda file: pytest.fail(f"{file} was read"))
    again = settled(CatalogFolder(world.folder, cache=cache, small=1), {"nyc/flights", "nyc/planes"})
    assert again == first


def test_what_changed_since_it_was_kept_is_read(world, cache):
    file = world.write("nyc/flights")
    ContractCache(cache).keep({str(file): (stamps_of(str(world.folder))[str(file)], read_contract(file))}, gone=set())
    assert set(ContractCache(cache).read(stamps_of(str(world.folder)))) == {str(file)}
    file.write_text(file.read_text().replace("internal", "restricted"))
    assert ContractCache(cache).read(stamps_of(str(world.folder))) == {}


def test_a_kept_contract_whose_place_became_a_link_is_read_and_refused(world, cache):
    place = world.parquet("nyc/flights.parquet")
    world.write("nyc/flights", place)
    world.write("nyc/planes")
    settled(CatalogFolder(world.folder, cache=cache, small=1), {"nyc/flights", "nyc/planes"})
    place.rename(place.with_suffix(".real"))
    place.symlink_to(place.with_suffix(".real"))
    settled(CatalogFolder(world.folder, cache=cache, small=1), {"nyc/planes"})


def test_contracts_with_mistakes_are_not_kept(world, cache):
    file = world.write("nyc/flights", version=None)
    ContractCache(cache).keep({str(file): ("stamp", read_contract(file))}, gone=set())
    assert ContractCache(cache).read({str(file): "stamp"}) == {}


def spoil_mode(cache):
    cache.chmod(0o666)


def spoil_bytes(cache):
    cache.write_bytes(b"not a database, but as long as one might be" * 100)


def spoil_layout(cache):
    alter(cache, "update layout set text = 'older'")


def spoil_body(cache):
    alter(cache, "update contracts set body = '[1, 2]'")


def spoil_file(cache):
    """One contract in the place of another, which would give it that one's classification."""
    alter(cache, "update contracts set body = (select min(body) from contracts)")


def alter(cache, statement):
    with sqlite3.connect(cache) as database:
        database.execute(statement)


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_bytes, spoil_layout, spoil_body, spoil_file])
def test_a_cache_that_was_spoiled_gives_nothing_wrong(world, cache, spoil):
    names = {"nyc/flights", "nyc/planes"}
    for name in names:
        world.write(name)
    whole = settled(CatalogFolder(world.folder, cache=cache, small=1), names)
    assert len(ContractCache(cache).read(stamps_of(str(world.folder)))) == 2
    spoil(cache)
    assert len(ContractCache(cache).read(stamps_of(str(world.folder)))) <= 1
    assert settled(CatalogFolder(world.folder, cache=cache, small=1), names) == whole


def test_a_cache_that_cannot_be_written_is_no_error(world, cache):
    os.mkdir(cache)
    names = {"nyc/flights", "nyc/planes"}
    for name in names:
        world.write(name)
    settled(CatalogFolder(world.folder, cache=cache, small=1), names)
