"""What was refused to a running kernel, as its notebook's card tells it: now, and not as it was then."""

import asyncio
import os
from pathlib import Path

import jsonschema
import pytest
import yaml
from data_world import POLICY, DataWorld

import jupyter_guardrails
from jupyter_guardrails.control import channel_operations, refusals, requests
from jupyter_guardrails.control.channel_operations import Path as Place
from jupyter_guardrails.control.interface.messages import RequestCreate
from jupyter_guardrails.errors import NotFound, Refused
from jupyter_guardrails.records import requests as recorded

OPENAPI = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    for name in ("nyc/flights", "hr/headcount", "hr/bonuses"):
        world.dataset(name, "confidential" if name.startswith("hr/") else "internal")
    world.dataset("hr/salaries", "restricted")
    yield world
    world.close()


class Desk:
    """One kernel of ana's, and what she is shown of it."""

    def __init__(self, world):
        self.world, self.live = world, world.kernel()
        world.state().kernels[self.live.lease] = self.live

    def read(self, name):
        answer = asyncio.run(channel_operations.open_file(self.world.state(), self.live, channel_operations.Open(name=name)))
        for fd in answer.fds:
            os.close(fd)

    def shown(self, person="ana"):
        state = self.world.state(person)
        found = asyncio.run(refusals.shown(state, state.effective())).get(self.live.kernel_id, [])
        for one in found:
            jsonschema.validate(one, {"$ref": "#/components/schemas/RefusedRead", "components": OPENAPI["components"]})
        return [(one["dataset"], one["status"], one["asked"]) for one in found]


@pytest.fixture
def desk(world):
    return Desk(world)


def decide(world, name, to_state):
    (row,) = [row for row in world.records.read_sync(recorded.newest, "ana") if row["dataset"] == name]
    world.records.write_sync(recorded.decide, row["id"], to_state, now=world.now, actor="dana", reason="fine")


def test_from_the_refusal_over_the_request_to_the_read(world, desk):
    assert desk.shown() == []
    with pytest.raises(Refused):
        desk.read("hr/headcount")
    assert desk.shown() == [("hr/headcount", "requestable", False)]
    asyncio.run(requests.create(world.state(), RequestCreate(dataset="hr/headcount", purpose="a study"), []))
    assert desk.shown() == [("hr/headcount", "requestable", True)]
    decide(world, "hr/headcount", "granted")
    assert desk.shown() == [("hr/headcount", "granted", False)]
    desk.read("hr/headcount")
    assert desk.shown() == []


def test_what_was_read_is_no_card_and_what_one_may_not_know_of_neither(desk):
    desk.read("nyc/flights")
    for hidden in ("hr/salaries", "hr/nothing"):
        with pytest.raises(NotFound):
            desk.read(hidden)
    assert desk.shown() == []


def test_a_plain_open_that_was_explained_is_one_too(world, desk):
    place = str(world.data / "hr/headcount.parquet")
    asyncio.run(channel_operations.explain(world.state(), desk.live, Place(path=place)))
    assert desk.shown() == [("hr/headcount", "requestable", False)]


def test_only_its_person_sees_it(desk):
    with pytest.raises(Refused):
        desk.read("hr/headcount")
    assert desk.shown("erin") == []
    assert desk.shown() != []


def test_one_that_nobody_may_know_of_any_more_is_gone(world, desk):
    with pytest.raises(Refused):
        desk.read("hr/headcount")
    world.policy_file.write_text(POLICY.replace('request: ["hr/*"]', 'request: ["none/*"]'))
    asyncio.run(world.state().refresh())
    assert desk.shown() == []


def test_a_loop_over_the_catalogue_keeps_the_newest(world, desk):
    names = [f"hr/table{number}" for number in range(refusals.MOST + 2)]
    for name in names:
        world.dataset(name, "confidential")
        with pytest.raises(Refused):
            desk.read(name)
    with pytest.raises(Refused):
        desk.read(names[-3])
    assert [name for name, _, _ in desk.shown()] == [*names[2:-3], *names[-2:], names[-3]]
