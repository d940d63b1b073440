"""Marks of what a person looks at: another one after each change by anybody, the same after what is none of theirs."""

import contextlib
from datetime import timedelta

import pytest
from decision_world import POLICY, DecisionWorld
from publishing_world import PublishingWorld

from jupyter_guardrails.control.interface.changes import Changes
from jupyter_guardrails.control.interface.decisions import RequestDecide
from jupyter_guardrails.control.interface.messages import RequestCreate
from jupyter_guardrails.records import deployments

TOPICS = ("submissions", "requests", "review", "decisions")
WORDS = {"run_as": "oda", "schedule": "", "parameters": {}, "engine": "local", "deployed_by": "oda", "self_test": False}


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    yield world
    world.close()


def moved(world, act):
    """(person, topic) whose marks an act changed; a second later, as others act."""
    people = ("ana", "ben", "rita", "ron", "stella")
    before = {person: world.ask(person, Changes()) for person in people}
    assert {person: world.ask(person, Changes()) for person in people} == before, "asking changes nothing"
    world.now += timedelta(seconds=1)
    act()
    after = {person: world.ask(person, Changes()) for person in people}
    return {(person, topic) for person in people for topic in TOPICS if after[person].get(topic) != before[person].get(topic)}


def test_a_submission_that_comes_is_its_authors_and_its_reviewers(world):
    assert moved(world, lambda: world.submission("s1")) == {("ana", "submissions"), ("rita", "review"), ("ron", "review")}


def test_what_is_not_in_review_yet_is_its_authors_alone(world):
    assert moved(world, lambda: world.submission("s1", state="checking")) == {("ana", "submissions")}


def test_each_word_of_a_reviewer_counts_also_one_that_moves_nothing(world):
    world.submission("s1")
    both = {("ana", "submissions"), ("rita", "review"), ("ron", "review")}
    assert moved(world, lambda: world.ask("rita", world.decision())) == both, "the first of two approvals"
    assert world.row()["state"] == "in_review"
    assert moved(world, lambda: world.ask("ron", world.decision())) == both
    assert world.row()["state"] == "approved"


def test_deployments_and_their_runs_count_for_the_author(world):
    row = world.submission("s1")
    said = {"now": world.now, "principal": "oda", "allowed": True, "reason": "", "rule": "", "policy_digest": "", "action": "deployment.begin"}
    said |= {"resource": "report-1"}
    digests = {name: row[name] for name in ("content_digest", "evidence_digest")}
    write = world.records.write_sync
    made = {"id": "d1", "submission": "s1", **WORDS, **digests}
    mine = {("ana", "submissions")}
    assert moved(world, lambda: write(deployments.create, made, said | {"now": world.now})) == mine
    assert moved(world, lambda: write(deployments.make_live, "d1", said | {"now": world.now, "action": "deployment.live"})) == mine
    assert moved(world, lambda: write(deployments.begin_run, "d1", said | {"now": world.now, "action": "run.begin"})) == mine
    ended = {"state": "complete", "exit_code": 0, "ended_at": world.now}
    assert moved(world, lambda: write(deployments.note_run, "d1", 1, ended, said | {"now": world.now, "action": "run.end"})) == mine


def test_a_request_and_its_answer_are_whose_it_is(world):
    world.dataset("hr/headcount")
    ask = RequestCreate(dataset="hr/headcount", purpose="a churn study")
    made = []
    asked = {("ana", "requests"), ("stella", "decisions")}
    assert moved(world, lambda: made.append(world.ask("ana", ask)["id"])) == asked, "and of who decides about it"
    answer = RequestDecide(id=made[0], decision="refuse", reason="not for this")
    assert moved(world, lambda: world.ask("stella", answer)) == asked


def test_what_waits_for_a_word_is_told_while_it_waits_and_to_who_may_give_it_alone(world):
    """dana owns the dataset, carol is an admin and sees every request, ana asked for it herself."""
    world.dataset("hr/headcount")
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study"))["id"]
    told = {person: world.ask(person, Changes()).get("decisions") for person in ("ana", "ben", "rita", "stella", "dana", "carol")}
    assert {person for person, mark in told.items() if mark} == {"stella", "dana", "carol"}
    assert len({told[person] for person in ("stella", "dana", "carol")}) == 1, "and says nothing but that it is this one"
    world.ask("dana", RequestDecide(id=asked, decision="grant"))
    assert [person for person in told if "decisions" in world.ask(person, Changes())] == []


def test_data_that_is_proposed_is_told_to_its_inputs_owner_until_it_is_decided(tmp_path):
    """What ana made of dana's dataset: ben will read it, carol is an admin who decides nothing here."""
    with contextlib.closing(PublishingWorld(tmp_path)) as world:
        world.carry()
        world.publish()
        people = ("ana", "ben", "carol", "dana")
        told = []
        for act in (world.propose, world.approve):
            act()
            told.append([person for person in people if "decisions" in world.ask(person, Changes())])
        assert told == [["dana"], []]


def test_who_reviews_nothing_is_not_even_told_that_something_waits(world):
    world.submission("s1")
    assert set(world.ask("ben", Changes())) == {"submissions", "requests"}
    assert set(world.ask("rita", Changes())) == {"submissions", "requests", "review"}
    marks = [mark for person in ("ben", "rita") for mark in world.ask(person, Changes()).values()]
    assert all(len(mark) == 16 and int(mark, 16) >= 0 for mark in marks)
