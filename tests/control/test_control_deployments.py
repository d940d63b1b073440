"""Deployments as control decides them: who may deploy what as whom, what replaces what, and what its runs came to."""

import os
from pathlib import Path

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import lifecycle
from jupyter_guardrails.control.interface.deployments import DeploymentCreate, DeploymentEnd, DeploymentLive, DeploymentsList, RunBegin, RunReport
from jupyter_guardrails.control.interface.stops import Suspend
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, PackageError, Refused

REPORT = {"number": 1, "exit_code": 0, "peak_bytes": 5}


class DeploymentWorld(DecisionWorld):
    """`approved(id)` is a submission whose signed package control holds."""

    def approved(self, id="s1", **package):
        self.submission(id, **package)
        for who in ("rita", "ron"):
            self.ask(who, self.decision(id=id))
        return self.row(id)

    def change_policy(self, text):
        self.policy_file.write_text(text)
        self.state().policies.refresh()
        assert not self.state().policies.errors

    def create(self, who="rita", submission="s1", **more):
        answer = self.ask(who, DeploymentCreate(submission=submission, **{"engine": "local"} | more))
        os.close(answer.fds[0])
        return answer.result["deployment"]

    def live(self, who="rita", submission="s1", **more):
        made = self.create(who, submission, **more)
        return self.ask(who, DeploymentLive(id=made["id"]))["deployment"]


@pytest.fixture
def world(tmp_path):
    world = DeploymentWorld(tmp_path, POLICY)
    world.state()
    yield world
    world.close()


def test_what_is_approved_is_deployed_and_its_submission_is_in_production(world):
    row = world.approved()
    made = world.create()
    assert (made["state"], made["run_as"], made["content_digest"], made["self_test"]) == ("preparing", "rita", row["content_digest"], False)
    assert world.row()["state"] == "approved", "not before it is live"
    assert world.ask("rita", DeploymentLive(id=made["id"]))["deployment"]["state"] == "live"
    assert world.row()["state"] == "deployed"
    assert [record["principal"] for record in world.audited("deployment.live")] == ["rita"]
    with pytest.raises(Conflict, match="is live"):
        world.ask("rita", DeploymentLive(id=made["id"]))


@pytest.mark.parametrize("state", ["in_review", "rejected", "changes_requested"])
def test_what_is_not_approved_is_not_deployed(world, state):
    world.submission(state="in_review")
    if state != "in_review":
        world.ask("ron", world.decision({"rejected": "reject", "changes_requested": "send_back"}[state]))
    with pytest.raises(Refused, match="report-1 is not approved"):
        world.create()


def test_nobody_deploys_their_own_and_others_do_not_see_it(world):
    """ana is a reviewer by the policy, ben is none; the allow twin is above."""
    world.approved()
    with pytest.raises(Refused, match="ana submitted report-1"):
        world.create("ana")
    assert [record["allowed"] for record in world.audited("deployment.create")] == [False]
    with pytest.raises(NotFound):
        world.create("ben")
    made = world.live()
    for who, seen in (("ana", 1), ("ron", 1), ("ben", 0), ("carol", 0)):
        assert len(world.ask(who, DeploymentsList())["deployments"]) == seen
    for request in (DeploymentEnd(id=made["id"]), DeploymentsList(id=made["id"]), RunBegin(deployment=made["id"])):
        with pytest.raises(NotFound):
            world.ask("ben", request)
    with pytest.raises(NotFound):
        world.ask("ron", RunReport(deployment=made["id"], state="complete", **REPORT))


def test_in_own_mode_it_is_a_self_test_of_what_is_in_review(world):
    world.service = False
    world.submission()
    made = world.live("ana")
    assert made["label"] == "live (self-test, not approved)"
    assert world.row()["state"] == "in_review", "nothing is in production by that"
    assert "self-test, not approved" in world.audited("deployment.create")[0]["reason"]


def test_a_package_that_was_swapped_after_its_approval_is_not_deployed(world):
    world.approved()
    world.submission("s2")
    Path(world.row("s2")["package_path"]).replace(world.row("s1")["package_path"])
    with pytest.raises((PackageError, Refused)):
        world.create()
    world.approved("s3")
    assert world.create(submission="s3")["version"] == 3, "the twin: one that was not swapped is"


def test_what_is_suspended_is_not_deployed_and_what_is_deployed_does_not_start(world):
    world.approved()
    made = world.live()
    assert world.ask("rita", RunBegin(deployment=made["id"]))["number"] == 1
    world.ask("carol", Suspend(kind="package", name="pandas", reason="a hole in it"))
    for request in (lambda: world.create(), lambda: world.ask("rita", RunBegin(deployment=made["id"]))):
        with pytest.raises(Refused, match="a hole in it"):
            request()


def test_it_runs_with_the_rights_of_run_as_and_no_others(world):
    world.dataset("nyc/flights")
    world.dataset("hr/salaries")
    world.approved(data=("nyc/flights",))
    assert world.create(engine="local")["run_as"] == "rita"
    world.approved("s2", data=("hr/salaries",))
    with pytest.raises(Refused, match="rita, as whom it would run, may not"):
        world.create(submission="s2")
    assert not world.audited("deployment.create")[-1]["allowed"]


def test_an_engine_of_ones_own_account_runs_as_nobody_else(world):
    world.approved()
    with pytest.raises(BadRequest, match="runs as who deploys it, rita"):
        world.create(run_as="etl")
    world.approved("s2", run_as="ron")
    with pytest.raises(BadRequest, match="is to run as ron, not as rita"):
        world.create(submission="s2", run_as="rita")
    assert world.create("ron", "s2")["run_as"] == "ron"


def test_only_what_the_policy_names_is_an_engine(world):
    world.approved()
    with pytest.raises(Refused, match="jobs are not deployed to slurm here, but to: local") as refusal:
        world.create(engine="slurm")
    assert "promotion.engines" in refusal.value.rule or refusal.value.rule.startswith(("guardrails.yaml", "built-in"))
    world.change_policy(POLICY.replace("approvals: 2}", "approvals: 2, engines: {slurm: {}}}"))
    assert world.create(engine="slurm")["engine"] == "slurm"
    with pytest.raises(Refused, match="but to: slurm"):
        world.create()


@pytest.mark.parametrize(("on_lapse", "goes_on"), [("continue", True), ("stop", False)])
def test_runs_of_an_approval_that_ended_go_on_or_stop_as_the_policy_says(world, on_lapse, goes_on):
    world.change_policy(POLICY.replace("approvals: 2}", f"approvals: 2, review_every: 30d, on_lapse: {on_lapse}}}"))
    world.approved()
    made = world.live()
    world.ask("rita", RunBegin(deployment=made["id"]))
    world.pass_time(days=31)
    if goes_on:
        assert world.ask("rita", RunBegin(deployment=made["id"]))["number"] == 2
    else:
        with pytest.raises(Refused, match="lapsed"):
            world.ask("rita", RunBegin(deployment=made["id"]))
    with pytest.raises(Refused, match="lapsed"):
        world.create()


def test_its_schedule_is_the_packages_unless_said_otherwise(world):
    world.approved(schedule="0 6 * * *")
    assert [world.create(**said)["schedule"] for said in ({}, {"schedule": "5 * * * *"}, {"schedule": ""})] == ["0 6 * * *", "5 * * * *", ""]


def test_a_new_version_ends_the_one_before_and_going_back_ends_the_new_one(world):
    world.approved()
    first = world.live()
    world.approved("s2")
    second = world.create(submission="s2")
    replaced = world.ask("rita", DeploymentLive(id=second["id"]))["replaced"]
    assert [one["id"] for one in replaced] == [first["id"]]
    assert (world.row("s1")["state"], world.row("s2")["state"]) == ("superseded", "deployed")
    with pytest.raises(Conflict, match="replaced by report-2 on local"):
        world.ask("rita", RunBegin(deployment=first["id"]))
    world.live(submission="s1")
    assert (world.row("s1")["state"], world.row("s2")["state"]) == ("deployed", "superseded")


@pytest.mark.parametrize("state", ["retired", "superseded"])
def test_what_is_no_longer_for_production_is_deployed_nowhere(world, state):
    """Whoever moves it: the deployment ends in the same transaction."""
    world.approved()
    made = world.live()
    world.records.write_sync(lifecycle.moved, world.state("ron"), "s1", state, now=world.now, actor="ron")
    found = world.ask("rita", DeploymentsList(id=made["id"]))["deployments"][0]
    assert (found["state"], found["reason"]) == ("ended", f"report-1 is {state}")
    with pytest.raises((Conflict, Refused)):
        world.ask("rita", RunBegin(deployment=made["id"]))


def test_a_contract_that_changed_since_is_told(world):
    world.dataset("nyc/flights", version="1.2.0")
    world.approved(data=("nyc/flights",))
    made = world.live()

    def drift():
        return world.ask("ana", DeploymentsList(id=made["id"]))["deployments"][0]["drift"]

    assert drift() == []
    world.dataset("nyc/flights", version="2.0.0")
    assert drift() == ["nyc/flights was 1.2.0 in its clean run, and is 2.0.0 now"]
    world.dataset("nyc/flights", version=7)
    assert drift() == ["nyc/flights has mistakes in its contract now, and is given to nobody until they are corrected"]
    for contract in world.folder.iterdir():
        contract.unlink()
    assert drift() == ["nyc/flights was 1.2.0 in its clean run, and has no contract now"]


def test_a_run_is_told_once_and_its_author_sees_it(world):
    world.approved()
    made = world.live()
    run = {"deployment": made["id"]}
    assert world.ask("rita", RunBegin(**run))["number"] == 1
    world.ask("rita", RunReport(**run, number=1, state="running", engine_job="77"))
    failed = {"state": "failed", "exit_code": 1, "peak_bytes": 5, "cell": 3, "error": "ValueError: no", "log_tail": "cell 3"}
    world.ask("rita", RunReport(**run, number=1, **failed))
    world.ask("rita", RunReport(**run, state="complete", **REPORT))
    seen = world.ask("ana", DeploymentsList())["deployments"][0]["runs"][0]
    assert (seen["state"], seen["exit_code"], seen["cell"], seen["log_tail"]) == ("failed", 1, 3, "cell 3"), "an end never changes"
    assert len(world.audited("deployment.run_ended")) == 1
    with pytest.raises(NotFound):
        world.ask("rita", RunReport(**run, number=2, state="complete"))


@pytest.mark.parametrize("who", ["rita", "ana", "ron"])
def test_who_deployed_it_its_author_and_its_reviewers_end_it(world, who):
    world.approved()
    made = world.live()
    ended = world.ask(who, DeploymentEnd(id=made["id"], reason="wrong month"))["deployment"]
    assert (ended["state"], ended["reason"]) == ("ended", "wrong month")
    with pytest.raises(Conflict, match="wrong month"):
        world.ask("rita", RunBegin(deployment=made["id"]))
