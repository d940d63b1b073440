"""Ways around the four eyes, each tried: the workflow cases of the published attacks, and those that the issue names. Each has its allow twin."""

import asyncio
import json
import os
import shutil
import zipfile

import pytest
from decision_world import POLICY, DecisionWorld, digest
from sqlalchemy import insert, update

from jupyter_guardrails.control import approvals
from jupyter_guardrails.control.groups import Groups
from jupyter_guardrails.control.interface.decisions import GrantRevoke, RequestDecide, SubmissionDecisions
from jupyter_guardrails.control.interface.messages import RequestCreate
from jupyter_guardrails.control.service import OPERATIONS
from jupyter_guardrails.errors import Conflict, GuardrailsError, PackageError, Refused
from jupyter_guardrails.package import archive, manifest, signatures
from jupyter_guardrails.records import decisions
from jupyter_guardrails.records.tables import decisions as table
from jupyter_guardrails.records.tables import submissions

ONE = POLICY.replace("approvals: 2}", "approvals: 1}")


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, ONE)
    yield world
    world.close()


def deploy(world, id="s1"):
    return asyncio.run(approvals.deployable(world.state("rita"), id, action="submission.deployed"))


def refusal(world, id="s1"):
    with pytest.raises(Refused) as refused:
        deploy(world, id)
    return refused.value.message


def approved(world, **package):
    world.submission(**package)
    world.ask("rita", world.decision())
    assert deploy(world).row["id"] == "s1", "the allow twin: untouched, it may be deployed"


def test_the_submitter_under_another_login_of_the_same_uid(world):
    """FLOW-01: a renamed account, or a second name of one uid, is one person."""
    world.uids["rita"] = world.uid("ana")
    world.submission()
    with pytest.raises(Refused, match="ana, who submitted report-1, is the same account") as refused:
        world.ask("rita", world.decision())
    assert "nobody reviews their own work" in refused.value.rule
    assert world.row()["state"] == "in_review"
    assert [record["allowed"] for record in world.audited("review.approve")] == [False]
    assert world.ask("ron", world.decision())["submission"]["state"] == "approved"


@pytest.mark.parametrize("groups", [{"rita": ("rita", "ana"), "ana": ("ana",)}, {"rita": ("rita",), "ana": ("ana", "rita")}])
def test_the_submitter_under_another_login_whose_own_group_tells(world, groups):
    world.state()
    world._state.groups = Groups(lambda person: groups.get(person, (person, "staff")))
    for person in ("ana", "rita", "ron"):
        asyncio.run(world._state.groups.refresh(person))
    world.submission()
    with pytest.raises(Refused, match="ana, who submitted report-1, is rita too"):
        world.ask("rita", world.decision())
    assert world.ask("ron", world.decision())["submission"]["state"] == "approved", "staff have a group in common, and are two"


def test_one_person_is_not_two_reviewers(world):
    world.policy_file.write_text(POLICY)
    world.uids["ron"] = world.uid("rita")
    world.submission()
    world.ask("rita", world.decision())
    with pytest.raises(Refused, match="rita, who approved report-1, is the same account"):
        world.ask("ron", world.decision())
    assert world.row()["state"] == "in_review"


@pytest.mark.parametrize("name", ["Rita", "rita ", "RITA", "rіta", "rita\u200b", "ｒita"])
def test_a_login_that_looks_like_a_reviewer_is_none(world, name):
    """FLOW-10: names are compared exactly; the fourth has a Cyrillic letter."""
    world.submission()
    with pytest.raises(GuardrailsError):
        world.ask(name, world.decision())
    assert world.row()["state"] == "in_review"
    assert world.ask("rita", world.decision())["submission"]["state"] == "approved"


def test_a_decision_is_not_replayed(world):
    world.policy_file.write_text(POLICY)
    world.submission()
    said = world.decision()
    world.ask("rita", said)
    with pytest.raises(Conflict, match="has decided this already"):
        world.ask("rita", said)
    world.submission("s2")
    with pytest.raises(Conflict, match="is not what was reviewed"):
        world.ask("rita", said.model_copy(update={"id": "s2"}))
    assert world.ask("rita", SubmissionDecisions(id="s2"))["approvals"] == 0


def test_an_approval_is_not_carried_to_another_submission(world):
    """A row that is copied, as by somebody who writes to the database, has no signature for it."""
    approved(world)
    said = world.records.read_sync(decisions.of, "s1")[0]
    second = world.submission("s2", person="ben")
    copied = said | {"submission": "s2", "content_digest": second["content_digest"], "evidence_digest": second["evidence_digest"]}
    world.records.write_sync(lambda connection: connection.execute(insert(table).values(copied)))
    values = {"state": "approved", "approved_at": world.now}
    world.records.write_sync(lambda connection: connection.execute(update(submissions).where(submissions.c.id == "s2").values(values)))
    assert "the approval of rita does not hold" in refusal(world, "s2")


@pytest.mark.parametrize(
    "change", [{"reviewer": "ron"}, {"conditions": "none at all"}, {"expires_at": None}, {"attestation": ""}, {"datasets": ["hr/salaries"]}]
)
def test_a_record_that_is_changed_afterwards_has_no_signature(world, change):
    world.submission()
    world.ask("rita", world.decision(conditions="only for March", days=9))
    assert deploy(world)
    world.records.write_sync(lambda connection: connection.execute(update(table).values(change)))
    assert "does not hold" in refusal(world)


def test_another_package_under_the_same_id_while_a_reviewer_reads(world):
    """FLOW-04: the digests are of what was looked at."""
    world.submission()
    seen = world.decision()
    values = {"content_digest": digest("swapped")}
    world.records.write_sync(lambda connection: connection.execute(update(submissions).values(values)))
    with pytest.raises(PackageError, match="other digests"):
        world.ask("rita", seen)
    assert world.records.read_sync(decisions.of, "s1") == []


def test_a_package_that_is_swapped_after_its_approval(world):
    approved(world)
    other = world.submission("s2", person="ben", code="import os")
    shutil.copy(other["package_path"], world.row()["package_path"])
    assert "other digests than its submission" in refusal(world)


def test_one_byte_of_a_package_that_was_approved(world):
    approved(world)
    path = world.row()["package_path"]
    with zipfile.ZipFile(path) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    members["run.py"] = b"import os"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, text in members.items():
            zipped.writestr(name, text)
    assert "run.py was changed" in refusal(world)


def test_a_package_with_a_key_of_somebody_elses(world, tmp_path):
    """Everything is consistent, and signed: by a key that control doesn't know."""
    approved(world)
    row, folder = world.row(), tmp_path / "forged"
    archive.unpack(row["package_path"], folder)
    (folder / "run.py").write_text("import os")
    (folder / manifest.MANIFEST).unlink()
    digests = manifest.write_manifest(folder)
    signer = signatures.open_signer(tmp_path / "eve")
    for file in (folder / "attestations").iterdir():
        file.write_text(signatures.sign(signer, digests, signatures.PROVENANCE, {}))
    archive.pack(folder, tmp_path / "forged.zip")
    os.replace(tmp_path / "forged.zip", row["package_path"])
    values = {"content_digest": digests.content, "evidence_digest": digests.evidence}
    world.records.write_sync(lambda connection: connection.execute(update(submissions).values(values)))
    assert "not signed by a key that is trusted here" in refusal(world)


def test_an_approval_that_is_signed_by_somebody_elses_key(world, tmp_path):
    approved(world)
    row = world.row()
    verified = approvals.signing.kept(world.state(), row)
    said = world.records.read_sync(decisions.of, "s1")[0]
    envelope = json.loads(said["attestation"])
    vouched = signatures.verify_envelope(said["attestation"], verified.digests, signatures.read_trust(world.root / "keys"))
    forged = signatures.sign(signatures.open_signer(tmp_path / "eve"), verified.digests, signatures.APPROVAL, vouched.predicate)
    assert json.loads(forged)["payload"] == envelope["payload"], "the same words"
    world.records.write_sync(lambda connection: connection.execute(update(table).values({"attestation": forged})))
    assert "the approval of rita does not hold: it is not signed by a key that is trusted here" in refusal(world)


def test_a_key_that_is_trusted_no_longer(world):
    approved(world)
    for file in (world.root / "keys").glob("*.public.json"):
        file.rename(file.with_suffix(".revoked"))
    assert "no key is trusted here" in refusal(world)


def test_a_grant_that_was_revoked_after_the_approval(world):
    world.dataset("hr/headcount")
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study", days=30))
    world.ask("stella", RequestDecide(id=asked["id"], decision="grant"))
    approved(world, data=("hr/headcount",))
    world.ask("stella", GrantRevoke(id=asked["id"], reason="the study is over"))
    assert "ana, as whom it would run, may not" in refusal(world)


def test_a_grant_that_ended_after_the_approval(world):
    world.dataset("hr/headcount")
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study", days=30))
    world.ask("stella", RequestDecide(id=asked["id"], decision="grant"))
    approved(world, data=("hr/headcount",))
    world.pass_time(days=31)
    assert "ana, as whom it would run, may not" in refusal(world)


def test_many_decisions_at_once_end_in_one_state(world):
    """FLOW-05: one wins, the others hear why, and the audit record has each move once."""
    world.policy_file.write_text(POLICY.replace("[rita, ron, ana]", "[rita, ron, ray, rob]").replace("approvals: 2", "approvals: 3"))
    world.submission()
    words = [("rita", "approve"), ("ron", "reject"), ("ray", "send_back"), ("rob", "approve")] * 5

    async def all_at_once():
        asked = [(world.state(who), world.decision(word)) for who, word in words]
        return await asyncio.gather(*(OPERATIONS[type(one)](state, one, []) for state, one in asked), return_exceptions=True)

    answers = asyncio.run(all_at_once())
    assert all(isinstance(answer, dict | GuardrailsError) for answer in answers)
    end = world.row()["state"]
    assert end in ("rejected", "changes_requested")
    moves = [world.audited(f"submission.{state}") for state in ("approved", "rejected", "changes_requested")]
    assert [len(found) for found in moves] == [0, int(end == "rejected"), int(end == "changes_requested")]
