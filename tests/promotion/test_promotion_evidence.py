"""The bill of materials and the lineage that go with a package: valid, the same for the same job, and only what is there."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from jupyter_guardrails.package.job import Job
from jupyter_guardrails.promotion.interpreter import Installed
from jupyter_guardrails.promotion.lineage import lineage_text
from jupyter_guardrails.promotion.locks import portable
from jupyter_guardrails.promotion.results import Finding, failed
from jupyter_guardrails.promotion.sbom import sbom_text

DIGEST = "ab" * 32
JOB = {
    "name": "sales",
    "entry": "sales.ipynb",
    "owner": "ana",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {"type": "object", "properties": {}}},
    "resources": {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 64, "wall_s": 60},
    "policy_digest": "0" * 64,
    "inputs": [{"name": "nyc/flights", "version": "1.2.0"}],
    "outputs": [{"name": "delays", "path": "delays.parquet", "dataset": "nyc/delays", "columns": {"month": "integer"}}, "log.txt"],
}


def lock(*names: str) -> str:
    lines = ['lock-version = "1.0"']
    for name in names:
        wheel = f'{{ url = "https://packages.example.com/{name}-1.0-py3-none-any.whl", hashes = {{ sha256 = "{DIGEST}" }} }}'
        lines += ["[[packages]]", f'name = "{name}"', 'version = "1.0"', f"wheels = [{wheel}]"]
    return portable("\n".join(lines), "3.11")


LOCKS = {"kernel": lock("A_b", "odd"), "runner": lock("nbclient")}
INSTALLED = [Installed("a-b", "1.0", license="MIT"), Installed("odd", "1.0", license="The licence of my uncle"), Installed("nbclient", "1.0")]


def test_the_bill_is_valid_and_has_every_package_of_both_locks():
    text = sbom_text("sales", LOCKS, INSTALLED)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, problem
    said = json.loads(text)
    parts = {part["bom-ref"]: part for part in said["components"]}
    assert set(parts) == {"kernel/A_b@1.0", "kernel/odd@1.0", "runner/nbclient@1.0"}
    assert parts["kernel/A_b@1.0"]["purl"] == "pkg:pypi/a-b@1.0"
    assert parts["kernel/A_b@1.0"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["kernel/odd@1.0"]["licenses"] == [{"license": {"name": "The licence of my uncle"}}]
    assert "licenses" not in parts["runner/nbclient@1.0"]
    assert parts["kernel/odd@1.0"]["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert said["metadata"]["component"]["name"] == "sales"


def test_the_validator_would_notice():
    """The twin."""
    said = json.loads(sbom_text("sales", LOCKS, INSTALLED))
    del said["components"][0]["name"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(said)) is not None


def test_the_same_locks_give_the_same_bill_and_others_another():
    assert sbom_text("sales", LOCKS, INSTALLED) == sbom_text("sales", dict(reversed(LOCKS.items())), list(reversed(INSTALLED)))
    other = json.loads(sbom_text("sales", LOCKS | {"kernel": lock("A_b")}, INSTALLED))
    assert other["serialNumber"] != json.loads(sbom_text("sales", LOCKS, INSTALLED))["serialNumber"]


def test_what_a_library_says_with_places_in_memory_is_the_same_evidence_each_time():
    one, other = (f"no answer: <HTTPSConnection object at {place}>" for place in ("0x7f3a12c4d5e0", "0x7f9912c4d5e0"))
    assert failed(one, [Finding(one)]).to_json() == failed(other, [Finding(other)]).to_json()
    assert failed("0x10 and 0xcafe").to_json()["detail"] == "0x10 and 0xcafe", "numbers that somebody wrote stay"


def test_lineage_has_what_was_read_and_made():
    job = Job.model_validate(JOB)
    text = lineage_text(job, submitted_on="2031-05-01")
    assert text == lineage_text(job, submitted_on="2031-05-01")
    event = json.loads(text)
    assert [(one["name"], one["facets"]["version"]["datasetVersion"]) for one in event["inputs"]] == [("nyc/flights", "1.2.0")]
    assert [one["name"] for one in event["outputs"]] == ["nyc/delays", "sales/log.txt"]
    assert event["outputs"][0]["facets"]["schema"]["fields"] == [{"name": "month", "type": "integer"}]
    assert {"eventTime", "producer", "schemaURL", "run", "job"} <= event.keys()
    later = json.loads(lineage_text(Job.model_validate(JOB | {"inputs": []}), submitted_on="2031-05-01"))
    assert later["run"] != event["run"]


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_nothing_is_made_up(kind):
    assert json.loads(lineage_text(Job.model_validate(JOB | {kind: []}), submitted_on="2031-05-01"))[kind] == []
