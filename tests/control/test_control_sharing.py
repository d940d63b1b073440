"""A draft that its author shares is looked at by reviewers, by nobody else, and decided on by nobody."""

import json

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import workers
from jupyter_guardrails.control.interface.decisions import SubmissionsQueue
from jupyter_guardrails.control.interface.messages import SubmissionPackage, SubmissionShow, SubmissionsList
from jupyter_guardrails.control.interface.sharing import SubmissionShare
from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import submissions


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    yield world
    world.close()


@pytest.fixture
def draft(world):
    """A draft of ana's that failed its checks."""
    world.submission("d1", draft=True)
    world.records.write_sync(submissions.transition, "d1", "checks_failed", now=world.now, actor="ana", error="one")
    workers.folder_of(world.state("ana"), "d1").mkdir(parents=True, exist_ok=True)
    return "d1"


def test_reviewers_see_it_once_it_is_shared_and_no_longer_when_that_is_taken_back(world, draft):
    with pytest.raises(NotFound):
        world.ask("rita", SubmissionShow(id=draft))
    assert world.ask("ana", SubmissionShare(id=draft))["shared"] is True
    assert world.ask("rita", SubmissionShow(id=draft))["state"] == "checks_failed"
    assert world.ask("ana", SubmissionShare(id=draft, shared=False))["shared"] is False
    with pytest.raises(NotFound):
        world.ask("rita", SubmissionShow(id=draft))
    said = [record for action in ("submission.shared", "submission.unshared") for record in world.audited(action)]
    assert [(record["principal"], record["resource"]) for record in said] == [("ana", "report-1"), ("ana", "report-1")]


@pytest.mark.parametrize("who", ["ben", "stella", "dana", "carol"])
def test_it_is_for_reviewers_alone(world, draft, who):
    world.ask("ana", SubmissionShare(id=draft))
    with pytest.raises(NotFound):
        world.ask(who, SubmissionShow(id=draft))


def test_its_author_sees_whether_it_is_shared(world, draft):
    assert world.ask("ana", SubmissionShow(id=draft))["shared"] is False
    world.ask("ana", SubmissionShare(id=draft))
    assert world.ask("ana", SubmissionShow(id=draft))["shared"] is True
    assert [one["shared"] for one in world.ask("ana", SubmissionsList())["submissions"]] == [True]


@pytest.mark.parametrize(("asked", "sample"), [({"sample_s": 60}, True), ({"sample_rows": 1000}, True), ({"sample_s": None}, False)])
def test_its_author_sees_whether_it_was_a_sample(world, draft, asked, sample):
    (workers.folder_of(world.state("ana"), draft) / "asked.json").write_text(json.dumps(asked))
    assert world.ask("ana", SubmissionShow(id=draft))["sample"] is sample
    world.submission("s1")
    assert "sample" not in world.ask("ana", SubmissionShow(id="s1")), "what is submitted runs whole"


def test_nobody_shares_another_s(world, draft):
    for who in ("ben", "rita"):
        with pytest.raises(NotFound):
            world.ask(who, SubmissionShare(id=draft))
    with pytest.raises(NotFound):
        world.ask("rita", SubmissionShow(id=draft))


def test_it_is_looked_at_and_not_decided_on(world, draft):
    world.ask("ana", SubmissionShare(id=draft))
    assert world.ask("rita", SubmissionsQueue())["submissions"] == []
    with pytest.raises(Conflict):
        world.ask("rita", SubmissionPackage(id=draft))
    with pytest.raises(Conflict):
        world.ask("rita", world.decision(id=draft))


def test_what_is_in_review_needs_no_sharing(world):
    world.submission()
    with pytest.raises(Conflict, match="in_review"):
        world.ask("ana", SubmissionShare(id="s1"))
