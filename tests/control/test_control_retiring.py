"""The way back: withdrawn by its author, retired for good with a revocation, an earlier version again; and approvals that end are told."""

import asyncio
import json
import os
from datetime import timedelta

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import approvals, lapses
from jupyter_guardrails.control.interface.deployments import DeploymentCreate, DeploymentLive, DeploymentsList
from jupyter_guardrails.control.interface.lifecycle import SubmissionRetire, SubmissionRollback, SubmissionWithdraw
from jupyter_guardrails.control.state import Answer
from jupyter_guardrails.errors import Conflict, NotFound, Refused
from jupyter_guardrails.package import revocations, signatures
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.records import outbox

ONE = POLICY.replace("approvals: 2}", "approvals: 1, review_every: 90d}") + 'notify: {webhook: "http://127.0.0.1:9/"}\n'


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, ONE)
    yield world
    world.close()


def approved(world, id="s1", **package):
    world.submission(id, **package)
    world.ask("rita", world.decision(id=id))
    return world.row(id)


def in_production(world, id="s1"):
    approved(world, id)
    answer = world.ask("rita", DeploymentCreate(submission=id, engine="local"))
    assert isinstance(answer, Answer)
    for fd in answer.fds:
        os.close(fd)
    return world.ask("rita", DeploymentLive(id=answer.result["deployment"]["id"]))["deployment"]


def told(world):
    rows = world.records.read_sync(outbox.due, now=world.now + timedelta(days=1), limit=100)
    return [(row["event"]["kind"], row["event"]["person"]) for row in rows]


def deployable(world, id="s1"):
    return asyncio.run(approvals.deployable(world.state("rita"), id, action="submission.deployed"))


def test_an_author_withdraws_and_nobody_else(world):
    world.submission()
    with pytest.raises(NotFound):
        world.ask("rita", SubmissionWithdraw(id="s1"))
    assert world.ask("ana", SubmissionWithdraw(id="s1"))["label"] == "withdrawn"
    with pytest.raises(Conflict, match="only what is in review can be decided"):
        world.ask("rita", world.decision())
    assert ("submission.withdrawn", "ana") in told(world)


def test_what_was_withdrawn_is_not_approved_any_more(world):
    approved(world)
    world.ask("ana", SubmissionWithdraw(id="s1"))
    with pytest.raises(Refused, match="is not approved: it is withdrawn"):
        deployable(world)


def test_what_is_in_production_is_not_withdrawn_but_retired(world):
    in_production(world)
    with pytest.raises(Conflict, match="is deployed and can't become withdrawn"):
        world.ask("ana", SubmissionWithdraw(id="s1"))
    assert world.ask("ana", SubmissionRetire(id="s1", reason="the report is over"))["submission"]["state"] == "retired"


@pytest.mark.parametrize("who", ["ana", "rita", "carol"])
def test_retiring_ends_what_is_deployed_and_is_for_good(world, who):
    live = in_production(world)
    world.ask(who, SubmissionRetire(id="s1", reason="it counts twice"))
    found = world.ask("rita", DeploymentsList(id="s1"))["deployments"]
    assert [(row["id"], row["state"], row["reason"]) for row in found] == [(live["id"], "ended", "it counts twice")]
    with pytest.raises(Refused, match="is not approved: it is retired"):
        deployable(world)
    with pytest.raises(Conflict, match="it was retired for good, and a revocation says so"):
        world.ask(who, SubmissionRetire(id="s1", reason="once more"))
    assert [record["principal"] for record in world.audited("submission.retired")] == [who]
    assert ("submission.retired", who) in told(world)


def test_who_neither_reviews_nor_wrote_it_retires_nothing(world):
    in_production(world)
    for who in ("ben", "stella", "dana"):
        with pytest.raises(NotFound):
            world.ask(who, SubmissionRetire(id="s1", reason="because I can"))
    assert world.row()["state"] == "deployed"


def test_a_revocation_is_signed_and_only_about_this_package(world):
    approved(world)
    other = approved(world, "s2", code="print(2)")
    envelope = json.loads(world.ask("rita", SubmissionRetire(id="s1", reason="it counts twice"))["revocation"])
    assert envelope["signatures"]
    keys = world.root / "keys"
    trusted = signatures.read_trust(keys)
    for row, wanted in ((world.row("s1"), ["it was retired by rita on 2031-05-01: it counts twice"]), (other, [])):
        found = verify_archive(world.root / "packages" / row["content_digest"] / row["id"] / row["package"], trusted)
        assert revocations.problems(keys, found.digests, trusted) == wanted


def test_a_revocation_of_somebody_elses_key_is_none(world, tmp_path):
    row = approved(world)
    verified = approvals.signing.kept(world.state(), row)
    store = tmp_path / "store"
    store.mkdir()
    forged = signatures.sign(signatures.open_signer(tmp_path / "eve"), verified.digests, revocations.REVOCATION, {"retiredBy": "eve"})
    (store / f"x{revocations.SUFFIX}").write_text(forged)
    assert revocations.problems(store, verified.digests, signatures.read_trust(world.root / "keys")) == []
    assert revocations.problems(store, verified.digests, signatures.read_trust(tmp_path / "eve")) != [], "the allow twin: who trusts eve"


def test_going_back_needs_a_version_that_is_approved_and_another_in_production(world):
    approved(world)
    with pytest.raises(Conflict, match="no other version of report is in production"):
        world.ask("rita", SubmissionRollback(id="s1", reason="try it"))
    in_production(world, "s2")
    assert world.row("s1")["state"] == "superseded"
    answer = world.ask("rita", SubmissionRollback(id="s1", reason="the new one is slow"))
    assert (answer["submission"]["id"], answer["instead_of"]["id"]) == ("s1", "s2")
    assert world.audited("submission.rollback")[0]["reason"] == "instead of report-2: the new one is slow"
    assert ("submission.rollback", "rita") in told(world)
    with pytest.raises(Conflict, match="report-2 is in production already"):
        world.ask("rita", SubmissionRollback(id="s2", reason="try it"))


def test_going_back_to_what_was_never_approved_or_lapsed_is_refused(world):
    world.submission()
    in_production(world, "s2")
    assert world.row("s1")["state"] == "superseded"
    with pytest.raises(Refused, match="report-1 is not approved"):
        world.ask("rita", SubmissionRollback(id="s1", reason="try it"))
    in_production(world, "s3")
    world.pass_time(days=91)
    with pytest.raises(Refused, match="lapsed"):
        world.ask("rita", SubmissionRollback(id="s2", reason="try it"))
    assert [record["allowed"] for record in world.audited("submission.rollback")] == [False, False]
    world.ask("rita", world.decision(id="s2"))
    assert world.ask("rita", SubmissionRollback(id="s2", reason="try it"))["submission"]["id"] == "s2"


@pytest.mark.parametrize("who", ["ben", "stella"])
def test_others_do_not_go_back(world, who):
    approved(world)
    in_production(world, "s2")
    with pytest.raises(NotFound):
        world.ask(who, SubmissionRollback(id="s1", reason="try it"))


def test_an_approval_that_ends_is_told_ahead_and_then_once_each(world):
    approved(world)
    look = lambda: asyncio.run(lapses.follow(world.state()))  # noqa: E731
    look()
    assert not [kind for kind, _ in told(world) if kind.startswith("approval.")]
    world.pass_time(days=77)
    look(), look()
    assert [one for one in told(world) if one[0].startswith("approval.")] == [("approval.ahead", "rita")]
    world.pass_time(days=14)
    look(), look()
    assert [one for one in told(world) if one[0].startswith("approval.")] == [("approval.ahead", "rita"), ("approval.lapsed", "rita")]
    records = world.audited("review.lapse")
    assert [(record["principal"], record["resource"], record["allowed"]) for record in records] == [("control", "report-1", False)]
    assert records[0]["reason"] == "the approval of report-1 by rita lapsed on 2031-07-30"
    world.ask("rita", world.decision())
    look()
    assert len([one for one in told(world) if one[0].startswith("approval.")]) == 2, "given anew, it ends later"
    world.pass_time(days=80)
    look()
    assert [one[0] for one in told(world)].count("approval.ahead") == 2
