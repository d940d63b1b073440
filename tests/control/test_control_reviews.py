"""Reviews of submissions: by whom, of which digest, how many, and what is only a self-test."""

import os

import pytest
from decision_world import POLICY, DecisionWorld, digest

from jupyter_guardrails.control.interface.decisions import SubmissionDecisions, SubmissionsQueue
from jupyter_guardrails.control.interface.messages import SubmissionPackage, SubmissionShow
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    yield world
    world.close()


def test_two_distinct_reviewers_approve(world):
    world.submission()
    first = world.ask("rita", world.decision())
    assert (first["submission"]["state"], first["approvals"], first["needed"]) == ("in_review", 1, 2)
    second = world.ask("ron", world.decision())
    assert (second["submission"]["state"], second["approvals"], second["label"]) == ("approved", 2, "approved")
    records = world.audited("review.approve")
    assert [record["principal"] for record in records] == ["rita", "ron"]
    assert all(world.row()["content_digest"] in record["reason"] and record["rule"].startswith("guardrails.yaml:") for record in records)
    assert [record["principal"] for record in world.audited("submission.approved")] == ["ron"]


def test_the_same_reviewer_counts_once(world):
    world.submission()
    world.ask("rita", world.decision())
    with pytest.raises(Conflict, match="rita has decided this already"):
        world.ask("rita", world.decision())
    assert world.row()["state"] == "in_review"


def test_the_submitter_is_refused_though_the_policy_names_them_a_reviewer(world):
    world.submission()
    with pytest.raises(Refused, match="ana submitted report-1") as refusal:
        world.ask("ana", world.decision())
    assert "nobody reviews their own work" in refusal.value.rule
    assert [record["allowed"] for record in world.audited("review.approve")] == [False]
    world.submission("s2", person="ben")
    assert world.ask("ana", world.decision(id="s2"))["approvals"] == 1, "the allow twin: ana reviews another's"


@pytest.mark.parametrize("who", ["ben", "stella", "carol", "dana"])
def test_for_everybody_else_it_does_not_exist(world, who):
    """Not for those who decide requests for data, nor for admins: only for whom `promotion.reviewers` names."""
    world.submission()
    for request in (world.decision(), SubmissionDecisions(id="s1"), SubmissionShow(id="s1"), SubmissionPackage(id="s1")):
        with pytest.raises(NotFound):
            world.ask(who, request)
    assert world.ask(who, SubmissionsQueue())["submissions"] == []


def test_a_reviewer_sees_what_waits_and_its_package(world):
    world.submission()
    assert [row["id"] for row in world.ask("rita", SubmissionsQueue())["submissions"]] == ["s1"]
    assert world.ask("rita", SubmissionShow(id="s1"))["person"] == "ana"
    answer = world.ask("rita", SubmissionPackage(id="s1"))
    os.close(answer.fds[0])
    world.ask("rita", world.decision())
    assert world.ask("rita", SubmissionsQueue())["submissions"] == [], "what one has decided waits for others"
    assert [row["id"] for row in world.ask("ron", SubmissionsQueue())["submissions"]] == ["s1"]


@pytest.mark.parametrize("which", ["content_digest", "evidence_digest"])
def test_another_digest_than_was_reviewed_is_refused(world, which):
    world.submission()
    with pytest.raises(Conflict, match="is not what was reviewed"):
        world.ask("rita", world.decision(**{which: digest("something else")}))
    assert world.ask("rita", SubmissionDecisions(id="s1"))["decisions"] == []


@pytest.mark.parametrize(("word", "state"), [("send_back", "changes_requested"), ("reject", "rejected")])
def test_one_reviewer_sends_back_or_rejects_with_words(world, word, state):
    world.submission()
    with pytest.raises(BadRequest, match="say what must change"):
        world.ask("rita", world.decision(word, words="  "))
    found = world.ask("rita", world.decision(word, words="the join is wrong"))
    assert (found["submission"]["state"], found["submission"]["error"]) == (state, "the join is wrong")
    with pytest.raises(Conflict):
        world.ask("ron", world.decision())


def test_what_is_not_in_review_cannot_be_decided(world):
    world.submission("s1", state="checking")
    with pytest.raises(NotFound):
        world.ask("rita", world.decision())
    world.submission("s2", draft=True)
    with pytest.raises(NotFound):
        world.ask("rita", world.decision(id="s2"))


def test_where_control_has_no_account_of_its_own_a_decision_is_a_self_test(world):
    world.service = False
    world.submission()
    for who in ("rita", "ron", "ana"):
        found = world.ask(who, world.decision())
        assert found["label"].startswith("self-test, not approved")
        assert found["decisions"][-1]["self_test"]
    assert (world.row()["state"], found["approvals"]) == ("in_review", 0)
    assert all(record["reason"].startswith("self-test, not approved") for record in world.audited("review.approve"))


def test_self_tests_never_count_as_approvals_later(world):
    world.service = False
    world.submission()
    world.ask("rita", world.decision())
    world.ask("ron", world.decision())
    world.service = True
    found = world.ask("rita", world.decision())
    assert (found["submission"]["state"], found["approvals"]) == ("in_review", 1)
