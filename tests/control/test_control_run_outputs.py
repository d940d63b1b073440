"""What a production run made, as a dataset: the very bytes of the record, the labels of the job's data, and who made it in its contract."""

import asyncio
import hashlib
import os

import jsonschema
import pytest
from decision_world import POLICY
from test_control_datasets import OPENAPI
from test_control_deployments import REPORT, DeploymentWorld

from jupyter_guardrails.control import run_outputs
from jupyter_guardrails.control.interface.deployments import DeploymentsList, RunBegin, RunReport
from jupyter_guardrails.control.interface.messages import DatasetShow
from jupyter_guardrails.control.interface.publishing import PublicationDecide, PublicationPropose, PublicationShow
from jupyter_guardrails.control.interface.run_outputs import RunPublish
from jupyter_guardrails.errors import BadRequest, Conflict, NotFound, Refused

PUBLISHING = POLICY.replace("groups: {analysts: [ana, ben]}", "groups: {analysts: [ana, ben], operators: [rita]}").replace(
    "data: {reviewers:", "  - name: operators-publish\n    for: {groups: [operators]}\n    publish: {to: [analysts]}\ndata: {reviewers:"
)
CSV = b"month,mean\n1,0.5\n2,0.25\n"
OUTPUTS = [{"name": "delays", "path": "delays.csv", "dataset": "nyc/delays", "columns": {"month": "integer", "mean": "number"}}]


@pytest.fixture
def world(tmp_path):
    world = DeploymentWorld(tmp_path, PUBLISHING)
    world.dataset("nyc/flights", "confidential")
    world.state()
    yield world
    world.close()


def deployed(world, id="s1", who="rita", **package):
    world.approved(id, **{"data": ("nyc/flights",), "outputs_of_job": OUTPUTS} | package)
    return world.live(who, id)


def ran(world, made, *, data=CSV, state="complete", who="rita"):
    """A run that has ended and left this."""
    number = world.ask(who, RunBegin(deployment=made["id"]))["number"]
    left = [{"path": "delays.csv", "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}]
    told = {"deployment": made["id"], "number": number, "state": state, "outputs": left, "drift": ["nyc/flights: column a is gone"]}
    world.ask(who, RunReport(**REPORT | told))
    return number


def publish(world, made, number, *, data=CSV, who="rita", **said):
    file = world.root / "left.csv"
    file.write_bytes(data)
    fd = os.open(file, os.O_RDONLY)
    try:
        request = RunPublish(**{"deployment": made["id"], "number": number, "output": "delays.csv"} | said)
        return asyncio.run(run_outputs.publish(world.state(who), request, [fd]))
    finally:
        os.close(fd)


def test_an_output_is_a_dataset_that_says_who_made_it_and_inherits_its_label(world):
    made = deployed(world)
    found = publish(world, made, ran(world, made))
    assert (found["name"], found["author"], found["state"], found["version"]) == ("nyc/delays", "rita", "private", 1)
    assert found["classification"] == "confidential"
    assert [(one["name"], one["classification"]) for one in found["inputs"]] == [("nyc/flights", "confidential")]
    job = {"job": "report", "version": 1, "content_digest": made["content_digest"], "deployment": made["id"], "run": 1, "output": "delays.csv"}
    assert found["produced_by"] == job | {"self_test": False, "text": "job report, version 1, run 1"}
    assert found["differs"] == []
    detail = world.ask("rita", DatasetShow(name="nyc/delays"))
    assert detail["produced_by"] == found["produced_by"]
    jsonschema.validate(detail, {"$ref": "#/components/schemas/DatasetDetail", "components": OPENAPI["components"]})
    (run,) = world.ask("rita", DeploymentsList(id=made["id"]))["deployments"][0]["runs"]
    jsonschema.validate(run, {"$ref": "#/components/schemas/Run", "components": OPENAPI["components"]})
    assert ([one["path"] for one in run["outputs"]], run["drift"]) == (["delays.csv"], ["nyc/flights: column a is gone"])


def test_it_is_reviewed_by_who_owns_its_data_and_the_next_run_is_its_next_version(world):
    made = deployed(world)
    publish(world, made, ran(world, made))
    digests = []
    for version in (1, 2):
        if version == 2:
            publish(world, made, ran(world, made))
        world.ask("rita", PublicationPropose(name="nyc/delays", group="analysts"))
        seen = world.ask("stella", PublicationShow(name="nyc/delays"))
        assert seen["produced_by"]["text"] == f"job report, version 1, run {version}"
        with pytest.raises(Refused):
            world.ask("rita", PublicationDecide(name="nyc/delays", decision="approve", digest=seen["digest"]))
        done = world.ask("stella", PublicationDecide(name="nyc/delays", decision="approve", digest=seen["digest"]))
        assert (done["state"], done["version"]) == ("published", version)
        digests.append(seen["digest"])
    assert world.ask("ben", DatasetShow(name="nyc/delays"))["produced_by"]["run"] == 2
    assert len(set(digests)) == 2, "the same bytes of another run are another thing to look at"


def test_other_bytes_than_the_run_left_are_not_published_and_nothing_is_kept(world):
    made = deployed(world)
    number = ran(world, made)
    with pytest.raises(Conflict, match="not the one that the run left"):
        publish(world, made, number, data=CSV.replace(b"0.5", b"0.6"))
    assert list((world.root / "publications").iterdir()) == []
    with pytest.raises(NotFound):
        world.ask("rita", PublicationShow(name="nyc/delays"))
    assert publish(world, made, number)["state"] == "private", "the twin"


def test_only_what_a_complete_run_left_is_taken_from_who_operates_it_and_may_publish(world):
    made = deployed(world)
    failed, complete = ran(world, made, state="failed"), ran(world, made)
    with pytest.raises(Conflict, match="is failed"):
        publish(world, made, failed)
    with pytest.raises(Conflict, match=r"made no 'other\.csv', but delays\.csv"):
        publish(world, made, complete, output="other.csv")
    with pytest.raises(NotFound, match="has no run 9"):
        publish(world, made, 9)
    for other in ("ana", "ron", "ben"):
        with pytest.raises(NotFound, match="of yours"):
            publish(world, made, complete, who=other)
    elsewhere = deployed(world, "s2", "ron")
    with pytest.raises(Refused, match="no rule lets ron publish data"):
        publish(world, elsewhere, ran(world, elsewhere, who="ron"), who="ron")
    with pytest.raises(Conflict, match="is taken"):
        publish(world, made, complete, name="nyc/flights")
    assert publish(world, made, complete, name="team/delays")["name"] == "team/delays"


def test_an_output_without_a_dataset_needs_a_name_and_other_columns_are_said(world):
    other = [{"name": "delays", "path": "delays.csv", "columns": {"month": "string", "gone": "date"}}]
    made = deployed(world, outputs_of_job=other)
    number = ran(world, made)
    with pytest.raises(BadRequest, match=r"doesn't say which dataset delays\.csv is"):
        publish(world, made, number)
    assert publish(world, made, number, name="team/d")["differs"] == ["column gone is gone", "column mean (number) is new"]


def test_a_label_that_was_raised_since_is_inherited_as_it_is_today_and_one_that_was_lowered_as_it_was(world):
    made = deployed(world)
    number = ran(world, made)
    world.dataset("nyc/flights", "public")
    assert publish(world, made, number)["classification"] == "confidential"
    world.dataset("nyc/flights", "secret-of-the-house")
    assert publish(world, made, number)["classification"] == "secret-of-the-house"


def test_a_self_test_says_so(world):
    world.service = False
    world.submission(data=("nyc/flights",), outputs_of_job=OUTPUTS)
    world.policy_file.write_text(PUBLISHING.replace("operators: [rita]", "operators: [ana]"))
    world.state().policies.refresh()
    made = world.live("ana")
    found = publish(world, made, ran(world, made, who="ana"), who="ana")
    assert found["produced_by"]["text"] == "job report, version 1, run 1 (self-test, not approved)"
