"""Grants that nobody asked for: who gives them, to whom, and what they are worth."""

import asyncio

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control.interface.decisions import GrantRevoke, GrantsList
from jupyter_guardrails.control.interface.grants import GrantGive
from jupyter_guardrails.control.interface.messages import DatasetShow, RequestCreate, RequestsList
from jupyter_guardrails.control.interface.stops import Suspend
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    world.dataset("hr/headcount", "confidential")
    world.dataset("hr/salaries", "restricted")
    world.dataset("hr/unfinished", status="draft")
    world.dataset("nyc/flights")
    yield world
    world.close()


def give(world, who, person="ana", dataset="hr/headcount", days=14):
    return world.ask(who, GrantGive(person=person, dataset=dataset, days=days, reason="the audit of May"))


def status(world, person="ana", name="hr/headcount"):
    return world.ask(person, DatasetShow(name=name))["status"]


@pytest.mark.parametrize("who", ["dana", "stella"])
def test_the_owner_and_the_policys_reviewers_give(world, who):
    given = give(world, who)
    assert (given["person"], given["dataset"], given["granted_by"]) == ("ana", "hr/headcount", who)
    assert (status(world), status(world, "ben")) == ("granted", "requestable")
    (record,) = world.audited("grant.give")
    assert (record["principal"], record["resource"], record["allowed"]) == (who, "hr/headcount", True)
    assert record["reason"] == "to ana for 14 days: the audit of May"
    assert record["rule"].startswith("guardrails.yaml:")
    assert [row["id"] for row in world.ask("ana", GrantsList())["grants"]] == [given["id"]]
    world.pass_time(days=14)
    assert status(world) == "requestable"


def test_data_whose_rows_depend_on_the_person_can_be_given(world):
    world.dataset("hr/own", "confidential", own={"rowFilter": "origin = {user.name}"})
    assert give(world, "dana", dataset="hr/own")["dataset"] == "hr/own"
    assert status(world, name="hr/own") == "granted"


@pytest.mark.parametrize("who", ["ana", "ben", "carol", "rita"])
def test_nobody_else_gives_and_that_is_recorded(world, who):
    with pytest.raises(Refused) as refusal:
        give(world, who)
    assert refusal.value.next_step
    assert status(world) == "requestable"
    (record,) = world.audited("grant.give")
    assert (record["principal"], record["allowed"]) == (who, False)


def test_nobody_gives_to_themselves_even_as_owner_and_reviewer(world):
    world.policy_file.write_text(POLICY.replace("[ana, ben]", "[ana, ben, dana, stella]").replace("[stella]", "[stella, ben]"))
    asyncio.run(world.state().refresh())
    for who in ("dana", "stella", "ben"):
        with pytest.raises(Refused, match="to themselves"):
            give(world, who, person=who)
    assert give(world, "ben")["person"] == "ana"


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        ({"person": "rita"}, Refused, "no rule lets rita ask for hr/headcount"),
        ({"dataset": "hr/salaries"}, Refused, "restricted"),
        ({"dataset": "hr/unfinished"}, Refused, "is draft"),
        ({"dataset": "hr/none"}, NotFound, "no dataset 'hr/none'"),
        ({"dataset": "nyc/flights"}, (Conflict, Refused), "nyc/flights"),
        ({"person": "a\nb"}, BadRequest, "can't be the name of a person"),
    ],
    ids=str,
)
def test_what_the_policy_would_not_let_them_ask_for_is_not_given(world, change, error, why):
    with pytest.raises(error, match=why):
        give(world, "stella", **change)
    assert world.ask("carol", GrantsList())["grants"] == []


def test_an_open_request_is_granted_with_it_for_the_days_that_are_given(world):
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study", days=5))["id"]
    assert give(world, "dana", days=30)["id"] == f"g-{asked}"
    (row,) = world.ask("ana", RequestsList())["requests"]
    assert (row["state"], row["days"], row["reason"]) == ("granted", 30, "the audit of May")
    with pytest.raises(Conflict, match="may read hr/headcount already"):
        give(world, "dana")


def test_it_is_taken_back_and_may_be_given_again(world):
    world.ask("stella", GrantRevoke(id=give(world, "dana")["id"], reason="the study is over"))
    assert status(world) == "requestable"
    give(world, "dana")
    assert status(world) == "granted"


@pytest.mark.parametrize(
    "stop", [{"kind": "user", "name": "ana"}, {"kind": "user", "name": "dana"}, {"kind": "dataset", "name": "hr/headcount"}], ids=str
)
def test_nothing_is_given_of_or_to_or_by_what_is_suspended(world, stop):
    world.ask("carol", Suspend(reason="an incident, ticket 3", **stop))
    with pytest.raises(Refused, match="ticket 3"):
        give(world, "dana")
    assert give(world, "stella", person="ben", dataset="hr/headcount")["person"] == "ben" if stop["kind"] == "user" else True
