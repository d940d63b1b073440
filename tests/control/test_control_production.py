"""What an author's panel reads of a job in production has the shapes that openapi.yaml promises."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from decision_world import POLICY
from test_control_deployments import REPORT, DeploymentWorld

import jupyter_guardrails
from jupyter_guardrails.control import shapes
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionDecisions
from jupyter_guardrails.control.interface.deployments import DeploymentsList, RunBegin, RunReport
from jupyter_guardrails.server.production_handlers import COUNTS

SPEC = yaml.safe_load((Path(jupyter_guardrails.__file__).parent / "server" / "openapi.yaml").read_text())


@pytest.fixture
def world(tmp_path):
    world = DeploymentWorld(tmp_path, POLICY)
    world.state()
    yield world
    world.close()


def shaped(answer):
    """The answer, if it is a Production of openapi.yaml."""
    jsonschema.validate(answer, {"$ref": "#/components/schemas/Production", "components": SPEC["components"]})
    return answer


def read_by(world, person):
    """As the server puts it together (server/production_handlers.py)."""
    said = world.ask(person, SubmissionDecisions(id="s1"))
    counts = {key: said[key] for key in COUNTS}
    return shaped(counts | {"deployments": world.ask(person, DeploymentsList())["deployments"]})


def test_an_author_reads_reviewers_words_and_runs(world):
    row = world.approved(state="in_review")
    digests = {key: row[key] for key in ("content_digest", "evidence_digest")}
    for reviewer in ("rita", "ron"):
        world.ask(reviewer, SubmissionDecide(id="s1", decision="approve", words="numbers agree", **digests))
    deployment = world.live()["id"]
    world.ask("rita", RunBegin(deployment=deployment))
    world.ask("rita", RunReport(deployment=deployment, state="failed", cell=3, error="KeyError: rate", **REPORT))
    found = read_by(world, "ana")
    assert [(one["reviewer"], one["words"]) for one in found["decisions"]] == [("rita", "numbers agree"), ("ron", "numbers agree")]
    assert (found["approvals"], found["needed"]) == (2, 2)
    assert (found["missing"], found["objections"], found["deployments"][0]["drift"]) == ([], [], [])
    ((run,),) = (one["runs"] for one in found["deployments"])
    assert (run["state"], run["cell"], run["error"]) == ("failed", 3, "KeyError: rate")


def test_a_shape_that_is_wrong_is_found():
    with pytest.raises(jsonschema.ValidationError):
        shaped({"decisions": [{"reviewer": "rita"}], "approvals": 0, "needed": 1, "deployments": []})


def test_what_is_missing_and_what_stands_against_production_is_said(world):
    world.submission()
    before = read_by(world, "ana")
    assert (before["objections"], len(before["missing"])) == (None, 1)
    for reviewer in ("rita", "ron"):
        world.ask(reviewer, world.decision(days=30))
    assert (read_by(world, "ana")["missing"], read_by(world, "ana")["objections"]) == ([], [])
    world.pass_time(days=31)
    after = read_by(world, "ana")
    assert after["objections"]
    assert all(one["reason"] and one["next_step"] for one in after["objections"])


@pytest.mark.parametrize("state", sorted(shapes.LABELS))
def test_each_state_says_what_comes_next_and_a_service_speaks_of_no_self_test(world, state):
    """Only where there is nothing but to wait, nothing is said."""
    row = world.approved() | {"state": state, "checks": []}
    for service in (True, False):
        said = shapes.submission(row, service=service)
        assert bool(said["next_step"]) == (state not in ("submitted", "checking")), state
        assert ("self-test" in said["label"]) == (state == "in_review" and not service)
        assert "{" not in said["next_step"]
