"""What an author's panel reads of a job in production has the shapes that openapi.yaml promises."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from decision_world import POLICY
from test_control_deployments import REPORT, DeploymentWorld

import jupyter_guardrails
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionDecisions
from jupyter_guardrails.control.interface.deployments import DeploymentsList, RunBegin, RunReport

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
    counts = {key: said[key] for key in ("decisions", "approvals", "needed")}
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
    ((run,),) = (one["runs"] for one in found["deployments"])
    assert (run["state"], run["cell"], run["error"]) == ("failed", 3, "KeyError: rate")


def test_a_shape_that_is_wrong_is_found():
    with pytest.raises(jsonschema.ValidationError):
        shaped({"decisions": [{"reviewer": "rita"}], "approvals": 0, "needed": 1, "deployments": []})
