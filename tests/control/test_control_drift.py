"""Data that is not what a clean run saw: told to who wrote the job and who operates it, once for each thing that differs, and in `job show`."""

import pytest
from decision_world import POLICY
from test_control_deployments import REPORT, DeploymentWorld

from jupyter_guardrails.cli import job_deploy
from jupyter_guardrails.control.interface.deployments import RunBegin, RunReport
from jupyter_guardrails.records import outbox

GONE, NEW = "nyc/flights: column tailnum is gone", "nyc/people: column seat (integer) is new"


@pytest.fixture
def world(tmp_path):
    world = DeploymentWorld(tmp_path, POLICY + 'notify: {webhook: "https://hooks.example.com/x"}\n')
    world.state()
    yield world
    world.close()


def ran(world, made, *drift, state="complete"):
    number = world.ask("rita", RunBegin(deployment=made["id"]))["number"]
    world.ask("rita", RunReport(**REPORT | {"deployment": made["id"], "number": number, "state": state, "drift": list(drift)}))
    world.pass_time(hours=1)


def told(world):
    return [row["event"] for row in world.records.read_sync(outbox.due, now=world.now, limit=100) if row["event"]["kind"] == "job.drift"]


def test_author_and_operator_are_told_of_each_drift_once(world):
    world.approved()
    made = world.live()
    ran(world, made)
    assert told(world) == [], "the twin: data that is as it was"
    for _ in range(3):
        ran(world, made, GONE)
    (notice,) = told(world)
    assert notice["title"] == "the data of report-1 of ana is not what its clean run saw: run 2, operated by rita"
    assert (notice["person"], notice["resource"], notice["reason"]) == ("ana", "report-1", GONE)
    assert notice["next_step"] == f"jupyter guardrails job runs {made['id']}; its author: jupyter guardrails job reopen s1"
    ran(world, made, GONE, NEW, state="failed")
    assert [one["reason"] for one in told(world)] == [GONE, f"{GONE}; {NEW}"]


def test_a_contract_that_changed_is_told_with_the_next_run(world):
    world.dataset("nyc/flights", version="1.2.0")
    world.approved(data=("nyc/flights",))
    made = world.live()
    ran(world, made)
    assert told(world) == []
    world.dataset("nyc/flights", version="2.0.0")
    for _ in range(2):
        ran(world, made)
    assert [one["reason"] for one in told(world)] == ["nyc/flights was 1.2.0 in its clean run, and is 2.0.0 now"]


def test_job_show_says_what_the_last_run_of_what_is_live_found(world):
    class Client:
        def call(self, request):
            return world.ask("ana", request)

    world.approved()
    assert job_deploy.drift_of(Client(), "s1") == []
    made = world.live()
    ran(world, made, GONE)
    assert job_deploy.drift_of(Client(), "s1") == [f"  drift on local: {GONE} (run 1)"]
    world.ask("rita", RunBegin(deployment=made["id"]))  # one that runs has found nothing yet
    assert job_deploy.drift_of(Client(), "s1") == [f"  drift on local: {GONE} (run 1)"]
    ran(world, made)
    assert job_deploy.drift_of(Client(), "s1") == []
