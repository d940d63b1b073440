"""Who may decide a request for data, what a decision does, and how a grant ends."""

import asyncio
from pathlib import Path

import jsonschema
import pytest
import yaml
from decision_world import POLICY, DecisionWorld
from sqlalchemy import update

import jupyter_guardrails
from jupyter_guardrails.control.interface.decisions import GrantRevoke, GrantsList, RequestDecide
from jupyter_guardrails.control.interface.messages import DatasetShow, RequestCreate, RequestsList
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused
from jupyter_guardrails.records.tables import requests

OPENAPI = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    world.dataset("hr/headcount", "confidential")
    world.dataset("hr/salaries", "restricted")
    yield world
    world.close()


@pytest.fixture
def asked(world):
    return world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study", days=14))["id"]


def status(world, person="ana"):
    return world.ask(person, DatasetShow(name="hr/headcount"))["status"]


@pytest.mark.parametrize("who", ["dana", "stella"])
def test_the_owner_and_the_policys_reviewers_grant(world, asked, who):
    assert status(world) == "requestable"
    row = world.ask(who, RequestDecide(id=asked, decision="grant", reason="for the study"))
    jsonschema.validate(row, {"$ref": "#/components/schemas/AccessRequest", "components": OPENAPI["components"]})
    assert (row["state"], status(world), status(world, "ben")) == ("granted", "granted", "requestable")
    (record,) = world.audited("request.granted")
    assert (record["principal"], record["resource"], record["reason"]) == (who, "hr/headcount", "for the study")
    assert record["rule"].startswith("guardrails.yaml:")
    world.pass_time(days=14)
    assert status(world) == "requestable"


@pytest.mark.parametrize(
    ("who", "why"), [("ana", "ana asked for"), ("ben", "does not decide"), ("carol", "does not decide"), ("rita", "does not decide")]
)
def test_nobody_else_decides_and_that_is_recorded(world, asked, who, why):
    with pytest.raises(Refused, match=why) as refusal:
        world.ask(who, RequestDecide(id=asked, decision="grant"))
    assert refusal.value.next_step
    assert refusal.value.rule
    (record,) = world.audited("request.grant")
    assert (record["principal"], record["allowed"]) == (who, False)
    assert status(world) == "requestable"


def test_who_asked_does_not_decide_even_as_owner_or_reviewer(world):
    world.policy_file.write_text(POLICY.replace("[stella]", "[stella, ana]"))
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study"))["id"]
    with pytest.raises(Refused, match="ana asked for"):
        world.ask("ana", RequestDecide(id=asked, decision="grant"))


def test_an_admin_decides_where_the_policy_names_nobody(world):
    world.policy_file.write_text(POLICY.replace("data: {reviewers: {users: [stella], owner: true}}", "data: {reviewers: {owner: false}}"))
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study"))["id"]
    with pytest.raises(Refused):
        world.ask("dana", RequestDecide(id=asked, decision="grant"))
    assert world.ask("carol", RequestDecide(id=asked, decision="grant"))["state"] == "granted"


def test_fewer_days_than_asked_for_may_be_granted_and_no_more(world, asked):
    with pytest.raises(BadRequest, match="14 days, not for 15"):
        world.ask("dana", RequestDecide(id=asked, decision="grant", days=15))
    assert world.ask("dana", RequestDecide(id=asked, decision="grant", days=2))["days"] == 2
    world.pass_time(days=2)
    assert status(world) == "requestable"


def test_a_refusal_says_why_and_ends_the_request(world, asked):
    with pytest.raises(BadRequest, match="needs a reason"):
        world.ask("dana", RequestDecide(id=asked, decision="refuse", reason=" "))
    row = world.ask("dana", RequestDecide(id=asked, decision="refuse", reason="not for churn"))
    assert (row["state"], row["reason"]) == ("refused", "not for churn")
    with pytest.raises(Conflict, match="is refused and can't become granted"):
        world.ask("stella", RequestDecide(id=asked, decision="grant"))
    assert status(world) == "requestable"


def test_what_the_policy_forbids_by_now_is_not_granted(world, asked):
    world.policy_file.write_text(POLICY.replace('request: ["hr/*"]', 'request: ["hr/other"]'))
    asyncio.run(world.state().refresh())
    with pytest.raises(Refused, match="no rule lets ana ask for"):
        world.ask("dana", RequestDecide(id=asked, decision="grant"))


def test_a_grant_is_taken_back(world, asked):
    world.ask("dana", RequestDecide(id=asked, decision="grant"))
    (grant,) = world.ask("dana", GrantsList())["grants"]
    assert (grant["person"], grant["granted_by"]) == ("ana", "dana")
    assert world.ask("ben", GrantsList())["grants"] == []
    with pytest.raises(Refused):
        world.ask("ben", GrantRevoke(id=grant["id"], reason="I want it"))
    assert status(world) == "granted"
    assert world.ask("stella", GrantRevoke(id=asked, reason="the study is over"))["revoked_at"]
    assert status(world) == "requestable"
    assert [record["principal"] for record in world.audited("grant.revoke") if record["allowed"]] == ["stella"]
    with pytest.raises(NotFound):
        world.ask("stella", GrantRevoke(id=grant["id"], reason="the study is over"))


@pytest.mark.parametrize("who", ["carol", "ana"])
def test_admins_take_grants_back_and_people_give_theirs_back(world, asked, who):
    world.ask("dana", RequestDecide(id=asked, decision="grant"))
    world.ask(who, GrantRevoke(id=asked, reason="no longer needed"))
    assert status(world) == "requestable"


def test_who_decides_sees_the_request(world, asked):
    seen = {who: [row["id"] for row in world.ask(who, RequestsList())["requests"]] for who in ("ana", "dana", "stella", "carol", "ben", "rita")}
    assert seen == {"ana": [asked], "dana": [asked], "stella": [asked], "carol": [asked], "ben": [], "rita": []}


def test_a_kind_that_nobody_decides_is_a_conflict(world, asked):
    world.records.write_sync(lambda connection: connection.execute(update(requests).values(kind="unheard-of")))
    with pytest.raises(Conflict, match="unheard-of"):
        world.ask("dana", RequestDecide(id=asked, decision="grant"))
