"""Asking for access: who may, what is granted at once and by which rule, who sees which requests, and what is recorded."""

import asyncio
from pathlib import Path

import jsonschema
import pytest
import yaml
from data_world import POLICY, DataWorld

import jupyter_guardrails
from jupyter_guardrails.control import datasets, requests
from jupyter_guardrails.control.interface.messages import RequestCreate, RequestsList
from jupyter_guardrails.errors import Conflict, NotFound, Refused

OPENAPI = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    world.dataset("hr/headcount", "confidential")
    world.dataset("hr/rooms", "internal")
    world.dataset("hr/salaries", "restricted")
    yield world
    world.close()


def ask(world, dataset="hr/headcount", person="ana", **asked):
    row = asyncio.run(requests.create(world.state(person), RequestCreate(dataset=dataset, **{"purpose": "a churn study"} | asked), []))
    jsonschema.validate(row, {"$ref": "#/components/schemas/AccessRequest", "components": OPENAPI["components"]})
    return row


def listed(world, person):
    return [row["dataset"] for row in asyncio.run(requests.newest(world.state(person), RequestsList(), []))["requests"]]


def status(world, name, person="ana"):
    return asyncio.run(datasets.find(world.state(person), name))[1].status


def test_a_request_stays_open_and_is_recorded(world):
    row = ask(world, days=14)
    assert (row["state"], row["person"], row["dataset"], row["days"]) == ("open", "ana", "hr/headcount", 14)
    (record,) = world.audited("request.create")
    assert (record["principal"], record["resource"], record["reason"]) == ("ana", "hr/headcount", "a churn study")
    assert status(world, "hr/headcount") == "requestable"


def test_asking_twice_gives_the_same_request(world):
    assert ask(world)["id"] == ask(world, purpose="again, please")["id"]
    assert listed(world, "ana") == ["hr/headcount"]


def test_inside_the_policys_bounds_it_is_granted_at_once(world):
    row = ask(world, "hr/rooms", days=30)
    assert row["state"] == "granted"
    (record,) = world.audited("request.granted")
    assert record["principal"] == "policy"
    assert record["rule"].startswith("guardrails.yaml:")
    assert status(world, "hr/rooms") == "granted"
    world.pass_time(days=30)
    assert status(world, "hr/rooms") == "requestable"
    assert asyncio.run(requests.newest(world.state(), RequestsList(), []))["requests"][0]["state"] == "expired"


@pytest.mark.parametrize(("dataset", "days"), [("hr/rooms", 31), ("hr/headcount", 1)])
def test_outside_the_bounds_somebody_has_to_decide(world, dataset, days):
    assert ask(world, dataset, days=days)["state"] == "open"
    assert status(world, dataset) == "requestable"


def test_without_bounds_nothing_is_granted_at_once(world):
    world.policy_file.write_text(POLICY.replace(", auto_grant: {classification: [internal], max_days: 30}", ""))
    assert ask(world, "hr/rooms")["state"] == "open"


def test_what_one_may_not_ask_for_is_refused_and_recorded(world):
    with pytest.raises(Refused) as refusal:
        ask(world, "hr/headcount", "ben")
    assert "ben" in refusal.value.message
    assert refusal.value.next_step
    (record,) = world.audited("data.request")
    assert (record["allowed"], record["principal"], record["resource"]) == (False, "ben", "hr/headcount")
    assert listed(world, "ben") == []


def test_a_deny_also_stops_asking(world):
    with pytest.raises(NotFound):
        ask(world, "hr/salaries")
    world.policy_file.write_text(POLICY.replace("groups: [curious]}", "groups: [curious, analysts]}"))
    asyncio.run(world.state().refresh())
    with pytest.raises(Refused, match="restricted"):
        ask(world, "hr/salaries")


def test_what_could_not_be_delivered_cannot_be_asked_for(world):
    world.dataset("hr/odd", own={"rowFilter": "origin ~ 'JFK'"})
    with pytest.raises(Refused, match="a row filter that is not understood"):
        ask(world, "hr/odd")


def test_what_one_may_read_already_needs_no_request(world):
    with pytest.raises(Conflict, match="may read nyc/flights already"):
        ask(world, "nyc/flights")


def test_what_is_only_observed_needs_no_request_and_is_not_called_allowed(world):
    world.policy_file.write_text(world.policy_file.read_text().replace("mode: enforce", "mode: observe"))
    with pytest.raises(Conflict, match="may read hr/headcount already: the policy does not enforce yet"):
        ask(world, "hr/headcount")


def test_hidden_datasets_cannot_be_probed_by_asking(world):
    for name in ("hr/salaries", "hr/none"):
        with pytest.raises(NotFound) as missing:
            ask(world, name)
        assert missing.value.message == f"there is no dataset '{name}' that you may know of"


def test_who_sees_which_requests(world):
    ask(world)
    assert listed(world, "ana") == listed(world, "carol") == ["hr/headcount"]  # own; an admin
    assert listed(world, "dana") == ["hr/headcount"]  # the dataset's owner
    assert listed(world, "ben") == []


def test_data_whose_rows_depend_on_the_person_can_be_asked_for(world):
    """`{user.name}` is known of everybody; what is known of nobody shuts the dataset."""
    world.dataset("hr/own", "confidential", own={"rowFilter": "origin = {user.name}"})
    world.dataset("hr/region", "confidential", own={"rowFilter": "origin = {user.region}"})
    assert ask(world, "hr/own")["state"] == "open"
    with pytest.raises(Refused, match="nothing is known about that"):
        ask(world, "hr/region")
