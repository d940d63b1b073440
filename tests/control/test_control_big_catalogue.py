"""A real control over a big catalogue: while that is read, and while it changes, everything else is answered."""

import os
import time

import pytest
from data_world import DataWorld

from jupyter_guardrails.catalog.folder import SMALL
from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import DatasetsSearch, Me
from jupyter_guardrails.errors import CatalogBusy

PATIENCE_S = 60


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    for number in range(SMALL):
        (world.folder / f"broken-{number}.yaml").write_text(f"id: nyc/b{number}\n")
    yield world
    world.close()


def found(client, words):
    """The names that a search finds, once the catalogue is there."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            return [row["name"] for row in client.call(DatasetsSearch(q=words))["datasets"]]
        except CatalogBusy:
            assert client.call(Me())["person"] == "ana"
    raise AssertionError("the catalogue was never read")


def test_control_answers_while_its_catalogue_is_read_and_while_it_changes(world):
    slow = world.folder / "slow.yaml"
    text = (world.folder / "nyc-flights.odcs.yaml").read_text()
    os.mkfifo(slow)
    own = start_own_control(Settings(world.policy_file, world.folder, world.root / "state", world.root / "c.sock", True, "ana"))
    try:
        with slow.open("w") as stream:  # a process has it open now, and waits for what it says
            for _ in range(20):
                assert own.client.call(Me())["person"] == "ana"
                with pytest.raises(CatalogBusy):
                    own.client.call(DatasetsSearch(q="flights"))
            slow.unlink()  # or the next look would wait for it again
            stream.write(text.replace("flights", "slow"))
        assert found(own.client, "flights") == ["nyc/flights"]
        (world.folder / "nyc-flights.odcs.yaml").write_text(text.replace("All flights", "All arrivals"))
        ends = time.monotonic() + PATIENCE_S
        while found(own.client, "arrivals") != ["nyc/flights"]:
            assert time.monotonic() < ends, "the change never showed"
            assert found(own.client, "nyc flights") == ["nyc/flights"]
    finally:
        own.stop()
