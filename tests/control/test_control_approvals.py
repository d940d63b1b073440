"""What an approval is worth: conditions, its end, owners of data, and everything that is looked at again before a job goes into production."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.cli.job import verdict
from jupyter_guardrails.control import approvals, lifecycle
from jupyter_guardrails.control.interface.decisions import SubmissionDecisions, SubmissionsQueue
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.messages import SubmissionShow
from jupyter_guardrails.control.interface.stops import Suspend
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused
from jupyter_guardrails.package import signatures
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.records import submissions

SIGN_OFF = POLICY.replace("approvals: 2}", "approvals: 1, sign_off: [{classification: confidential}], review_every: 90d}")


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, SIGN_OFF)
    world.dataset("nyc/flights")
    world.dataset("nyc/secrets", "confidential")
    yield world
    world.close()


def deploy(world, id="s1", who="rita", **more):
    return asyncio.run(approvals.deployable(world.state(who), id, action="submission.deployed", **more))


def refused(world, id="s1", **more):
    with pytest.raises(Refused) as refusal:
        deploy(world, id, **more)
    assert world.audited("submission.deployed")[-1]["allowed"] is False
    return refusal.value


def follow_policy(world, text):
    world.policy_file.write_text(text)
    state = world.state()
    assert state.policies.refresh() or not state.policies.errors
    assert not state.policies.errors


def test_what_was_approved_may_be_deployed_and_nothing_before(world):
    world.submission(data=("nyc/flights",))
    assert "report-1 is not approved: it is in review" in refused(world).message
    assert world.ask("rita", world.decision())["objections"] == []
    found = deploy(world)
    assert (found.identity, found.job.name, found.package) == ("ana", "report", Path(world.row()["package_path"]))
    assert found.expires_at == world.now + timedelta(days=90)


def test_conditions_and_an_end_are_kept_shown_and_handed_on(world):
    world.submission()
    answer = world.ask("rita", world.decision(conditions="only for  March", days=5))
    said = answer["decisions"][0]
    assert (said["conditions"], said["ends_at"][:10]) == ("only for March", "2031-05-06")
    assert deploy(world).conditions == ("rita: only for March",)
    assert "on condition that only for March; until 2031-05-06" in world.audited("review.approve")[0]["reason"]


@pytest.mark.parametrize("word", ["send_back", "reject"])
def test_only_an_approval_has_conditions(world, word):
    world.submission()
    with pytest.raises(BadRequest, match="only an approval has conditions"):
        world.ask("rita", world.decision(word, conditions="later"))


def test_an_approval_that_ended_counts_no_longer_until_it_is_given_again(world):
    world.submission()
    world.ask("rita", world.decision(days=5))
    world.pass_time(days=4)
    assert deploy(world).row["id"] == "s1"
    world.pass_time(days=2)
    refusal = refused(world)
    assert "the approval of rita ended on 2031-05-06" in refusal.message
    assert refusal.next_step.startswith("its reviewers look at it again: `jupyter guardrails job approve s1 --digest")
    world.ask("rita", world.decision())
    assert deploy(world).expires_at == world.now + timedelta(days=90)


def test_an_approval_lapses_by_the_policy_of_today(world):
    world.submission()
    world.ask("rita", world.decision())
    world.pass_time(days=89)
    deploy(world)
    world.pass_time(days=2)
    assert "the approval of rita lapsed on 2031-07-30" in refused(world).message
    follow_policy(world, SIGN_OFF.replace("review_every: 90d", "review_every: 365d"))
    assert deploy(world)


def test_an_owner_signs_off_for_data_whose_label_asks_for_it(world):
    world.submission(data=("nyc/flights", "nyc/secrets"))
    first = world.ask("rita", world.decision())
    assert (first["submission"]["state"], first["approvals"]) == ("in_review", 1)
    assert first["missing"] == ["dana must approve it, for nyc/secrets"]
    assert [row["id"] for row in world.ask("dana", SubmissionsQueue())["submissions"]] == ["s1"], "an owner is no reviewer, and sees it"
    second = world.ask("dana", world.decision())
    assert (second["submission"]["state"], second["approvals"]) == ("approved", 1), "an owner's word is none of a reviewer"
    assert {said["reviewer"]: said["datasets"] for said in second["decisions"]} == {"rita": [], "dana": ["nyc/secrets"]}
    assert deploy(world)


def test_without_such_data_owners_have_no_say(world):
    world.submission(data=("nyc/flights",))
    with pytest.raises(NotFound):
        world.ask("dana", SubmissionShow(id="s1"))
    assert world.ask("rita", world.decision())["submission"]["state"] == "approved"


def test_a_reviewer_who_decides_about_data_speaks_for_both(world):
    follow_policy(world, SIGN_OFF.replace("users: [rita, ron, ana]", "users: [rita, dana]"))
    world.submission(data=("nyc/secrets",))
    answer = world.ask("dana", world.decision())
    assert (answer["submission"]["state"], answer["approvals"]) == ("approved", 1)


def test_each_approval_is_signed_by_control_and_names_both_digests(world):
    row = world.submission()
    world.ask("rita", world.decision(conditions="only for March"))
    said = world.records.read_sync(approvals.decisions.of, "s1")[0]
    envelope = json.loads(said["attestation"])
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    found = approvals.signing.kept(world.state(), row)
    trusted = signatures.read_trust(world.root / "keys")
    vouched = signatures.verify_envelope(said["attestation"], found.digests, trusted)
    assert (vouched.predicate_type, vouched.predicate["reviewer"]) == (signatures.APPROVAL, "rita")
    assert vouched.predicate["conditions"] == "only for March"
    assert {item["digest"]["sha256"] for item in signatures._subjects(found.digests)} >= {row["content_digest"], row["evidence_digest"]}


def test_a_policy_that_wants_more_reviewers_or_other_ones_is_held_at_deployment(world):
    world.submission()
    world.ask("rita", world.decision())
    follow_policy(world, SIGN_OFF.replace("approvals: 1", "approvals: 2"))
    assert "report-1: 1 more reviewer must approve it" in refused(world).message
    world.ask("ron", world.decision())
    assert deploy(world)
    follow_policy(world, SIGN_OFF.replace("users: [rita, ron, ana]", "users: [ron]"))
    assert deploy(world, who="ron"), "ron's word is enough"
    follow_policy(world, SIGN_OFF.replace("users: [rita, ron, ana]", "users: [zoe]"))
    assert "the approval of rita counts no longer: rita is not a reviewer" in refused(world).message


def test_a_package_that_the_policy_denies_since_keeps_it_from_production(world):
    world.submission(packages=("pandas",))
    world.ask("rita", world.decision())
    follow_policy(world, SIGN_OFF.replace("promotion: {", "promotion: {packages: {deny: [pandas]}, "))
    assert "the package pandas is denied" in refused(world).message
    follow_policy(world, SIGN_OFF)
    assert deploy(world)


@pytest.mark.parametrize(("kind", "name"), [("package", "pandas"), ("job", "report-1"), ("user", "ana"), ("dataset", "nyc/flights")])
def test_what_an_admin_suspended_is_not_deployed(world, kind, name):
    world.submission(data=("nyc/flights",))
    world.ask("rita", world.decision())
    assert deploy(world)
    world.ask("carol", Suspend(kind=kind, name=name, reason="an incident"))
    assert "was suspended by carol" in refused(world).message


def test_whoever_it_runs_as_must_read_its_data_as_strictly(world):
    masked = DeclaredInput(name="nyc/flights", version="1.2.0", masks={"origin": "hash"})
    world.submission(data=("nyc/flights",))
    world.ask("rita", world.decision())
    assert deploy(world, run_as="ben").identity == "ben"
    world.submission("s2", person="ben", data=(masked,))
    world.ask("rita", world.decision(id="s2"))
    assert "nyc/flights was masked in the clean run" in refused(world, "s2", run_as="carol").message
    follow_policy(world, SIGN_OFF.replace('data: {read: ["nyc/*"]}', 'data: {read: ["nyc/*"]}\n    mask: {"origin": hash}'))
    assert "may not" not in deploy(world).identity
    follow_policy(world, SIGN_OFF.replace('"nyc/*"', '"none/*"'))
    assert "ana, as whom it would run, may not: there is no dataset" in refused(world).message


def test_a_newer_version_takes_the_place_of_the_one_in_review_with_its_approvals(world):
    follow_policy(world, SIGN_OFF.replace("approvals: 1", "approvals: 2"))
    world.submission()
    world.ask("rita", world.decision())
    world.submission("s2")
    assert world.row()["state"] == "superseded"
    answer = world.ask("rita", SubmissionDecisions(id="s2"))
    assert (answer["approvals"], answer["missing"]) == (0, ["2 more reviewers must approve it"])
    with pytest.raises(Conflict, match="only what is in review can be decided"):
        world.ask("ron", world.decision())
    assert "is not approved" in refused(world).message


def test_an_approved_version_is_replaced_by_the_next_approved_one_and_stays_approved(world):
    world.submission()
    world.ask("rita", world.decision())
    world.submission("s2")
    assert world.row()["state"] == "approved", "what is in review replaces nothing that is approved"
    world.ask("rita", world.decision(id="s2"))
    assert (world.row()["state"], world.row("s2")["state"]) == ("superseded", "approved")
    assert deploy(world).row["id"] == "s1", "an earlier approved digest may be gone back to"


def test_who_acts_at_a_move_acts_in_its_transaction(world, monkeypatch):
    seen = []
    monkeypatch.setattr(lifecycle, "AT_MOVE", [lambda connection, state, row: seen.append((row["id"], row["state"]))])
    world.submission()
    world.ask("rita", world.decision())
    assert seen == [("s1", "in_review"), ("s1", "approved")]

    def fails(connection, state, row):
        raise RuntimeError("the scheduler is away")

    world.submission("s2", state="in_review")
    monkeypatch.setattr(lifecycle, "AT_MOVE", [fails])
    with pytest.raises(RuntimeError):
        world.ask("rita", world.decision(id="s2"))
    assert (world.row("s2")["state"], world.records.read_sync(approvals.decisions.of, "s2")) == ("in_review", [])


def test_the_uid_that_submitted_is_kept(world):
    assert world.submission()["uid"] == world.uid("ana")
    world.service = False
    assert world.state().own_uid is None
    assert world.records.read_sync(submissions.get, "s1")["uid"] == world.uid("ana")


def test_the_package_carries_its_approvals_with_the_same_digests(world):
    row = world.submission()
    trusted = signatures.read_trust(world.root / "keys")
    assert verify_archive(Path(row["package_path"]), trusted).to_json()["approvals"] == []
    world.ask("rita", world.decision(conditions="only for March", days=30))
    found = verify_archive(Path(row["package_path"]), trusted)
    assert (found.trusted, found.digests.content, found.digests.evidence) == (True, row["content_digest"], row["evidence_digest"])
    assert [(one["reviewer"], one["conditions"]) for one in found.to_json()["approvals"]] == [("rita", "only for March")]
    assert verdict(found.to_json()).splitlines()[-1] == "  approved by: rita on 2031-05-01, until 2031-05-31, if only for March"
    world.pass_time(days=1)
    world.ask("rita", world.decision())
    world.ask("ron", world.decision())
    said = verify_archive(Path(row["package_path"]), trusted).to_json()["approvals"]
    assert [(one["reviewer"], one["conditions"], one["expires_at"]) for one in said] == [("rita", "", None), ("ron", "", None)]
    assert deploy(world)


def test_a_self_test_puts_nothing_into_the_package(world):
    world.service = False
    row = world.submission()
    world.ask("rita", world.decision())
    found = verify_archive(Path(row["package_path"]), signatures.read_trust(world.root / "keys")).to_json()
    assert found["approvals"] == []
    assert "(self-test: nobody else has approved this)" in verdict(found | {"self_test": True})
    assert "(nobody has approved this)" in verdict(found | {"self_test": False}), "as a service says it"
