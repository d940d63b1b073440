"""Data that is masked, filtered or bound to a purpose has no path in a kernel, whichever way it comes: at the start, later, or published."""

import asyncio

import pyarrow.parquet as pq
import pytest
from data_world import POLICY, DataWorld, Loop
from publishing_world import POLICY as PUBLISHING
from publishing_world import PublishingWorld

from jupyter_guardrails.control import channel_operations, datasets, live_grants
from jupyter_guardrails.control.channel_operations import Open
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.control.rights import rights

OWN = [
    pytest.param({"rowFilter": "origin = 'JFK'"}, id="rows"),
    pytest.param({"purposes": ["planning"]}, id="purpose"),
    pytest.param({"delivery": "view"}, id="view"),
    pytest.param({"delivery": "brokered"}, id="brokered"),
]


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path, POLICY)
    world.dataset("nyc/flights")
    yield world
    world.close()


def by_path(world):
    state = world.state()
    return asyncio.run(datasets.by_path(state, asyncio.run(rights(state)), state.effective(), world.now))


@pytest.mark.parametrize("own", OWN)
def test_neither_at_the_start_nor_later(world, own):
    world.dataset("nyc/bound", own=own)
    assert by_path(world) == {"nyc/flights": str(world.data / "nyc/flights.parquet")}
    person = asyncio.run(live_grants._person(world.state(), "ana"))
    assert live_grants._may(world.state(), person, "nyc/flights")
    assert not live_grants._may(world.state(), person, "nyc/bound")


MAILS = b"mail,n\nana@example.com,1\nben@example.com,2\n"


@pytest.fixture
def publishing(tmp_path):
    masks = PUBLISHING.replace('request: ["hr/*", "fin/*"]}', 'request: ["hr/*", "fin/*"]}\n    mask: {pii: blank}')
    world = PublishingWorld(tmp_path, masks)
    yield world
    world.close()


def test_published_data_is_masked_for_its_readers_and_not_for_its_author(publishing):
    """Its file lies with control, so the masked copy is made as any other."""
    publishing.carry()
    publishing.publish(data=MAILS)
    publishing.propose()
    publishing.approve("dana")
    assert publishing.read(person="ana") == MAILS
    loop, state = Loop(), publishing.state("ben")
    answer = loop.run(channel_operations.open_file(state, publishing.in_workspace("ben"), Open(name="team/churn")))
    with open(answer.fds[0], "rb") as file:
        assert pq.read_table(file).to_pydict() == {"mail": [None, None], "n": [1, 2]}
    shown = loop.run(datasets.show(state, DatasetShow(name="team/churn"), []))
    loop.run(state.brokers.stop())
    loop.close()
    assert shown["preview"]["rows"] == [[None, "1"], [None, "2"]]
    assert "example.com" in str(publishing.ask("ana", DatasetShow(name="team/churn"))["preview"]), "the author's twin"
