"""The crate, as the RO-Crate community's own validator judges it: a Workflow RO-Crate 1.0 and a Workflow Run Crate 0.5."""

import json
from pathlib import Path

import pytest
import requests

from jupyter_guardrails.package import canonical, manifest
from jupyter_guardrails.package.crate import CRATE, crate_text
from jupyter_guardrails.package.job import Job

services = pytest.importorskip("rocrate_validator.services", reason="roc-validator is not installed")
from rocrate_validator.models import Severity  # noqa: E402 - both are of the module that may be missing
from rocrate_validator.utils.http import HttpRequester  # noqa: E402

PROFILES = ("workflow-ro-crate-1.0", "workflow-run-crate-0.5", "process-run-crate-0.5")
SCHEMA = {"n": {"type": "integer", "default": 1}, "who": {"type": "string", "default": ""}, "maybe": {"type": "null", "default": None}}
MORE = {
    "inputs": [{"name": "nyc/flights", "version": "1.2.0"}, {"name": "nyc/weather"}],
    "outputs": ["result.txt", "out/delays.parquet"],
    "parameters": {"json_schema": {"type": "object", "properties": SCHEMA}, "values": {"n": 3}},
}
OTHERWISE = {  # terms of the RO-Crate 1.1 context that are not schema.org's of the same name
    "@vocab": "http://schema.org/",
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


class Contexts(requests.adapters.BaseAdapter):
    """What the validator would fetch: a context that has the terms of this crate."""

    def __init__(self, graph):
        super().__init__()
        kinds = [kind for entity in graph for kind in ([entity["@type"]] if isinstance(entity["@type"], str) else entity["@type"])]
        names = {*kinds, *(key for entity in graph for key in entity)}
        self.terms = {name: f"http://schema.org/{name}" for name in names if name.isalpha()} | OTHERWISE

    def send(self, request, **_):
        found = requests.Response()
        found.status_code, found.url, found._content = 200, request.url, json.dumps({"@context": self.terms}).encode()
        found.headers["Content-Type"] = "application/ld+json"
        return found

    def close(self):
        """Nothing is open."""


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """What the validator finds wrong with a crate."""

    def judge(folder: Path, profile: str):
        session = requests.Session()
        session.mount("https://", Contexts(json.loads((folder / CRATE).read_text())["@graph"]))
        monkeypatch.setattr(HttpRequester, "get", lambda _, url, **asked: session.get(url, **asked), raising=False)
        settings = services.ValidationSettings(rocrate_uri=str(folder), profile_identifier=profile, requirement_severity=Severity.REQUIRED)
        return [issue.message for issue in services.validate(settings).get_issues()]

    return judge


def crate(folder: Path, job: Job) -> Path:
    (folder / "evidence" / "executed.ipynb").write_text("{}")
    (folder / "job.json").write_text(job.to_text())
    (folder / CRATE).write_text(crate_text(job, [name for name in manifest.list_files(folder) if name != CRATE], published="2026-01-02"))
    return folder


@pytest.mark.parametrize(("profile", "more"), [*((profile, MORE) for profile in PROFILES), (PROFILES[1], {})])
def test_it_validates(folder, job, judged, profile, more):
    assert judged(crate(folder, Job.model_validate(job.model_dump() | more)), profile) == []


@pytest.mark.parametrize("missing", ["mainEntity", "license"])
def test_the_validator_would_notice(folder, job, judged, missing):
    """The twin."""
    crate(folder, job)
    said = json.loads((folder / CRATE).read_text())
    root = next(entity for entity in said["@graph"] if entity["@id"] == "./")
    del root[missing]
    (folder / CRATE).write_text(canonical.dumps(said))
    assert judged(folder, PROFILES[0]) != []


def test_where_there_was_no_clean_run_the_crate_has_none(folder, job):
    names = [name for name in manifest.list_files(folder) if name != CRATE]
    graph = {entity["@id"] for entity in json.loads(crate_text(job, names, published="2026-01-02"))["@graph"]}
    assert "#clean-run" not in graph
