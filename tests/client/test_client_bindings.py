"""In a production job there is no broker: a JSON file names the places."""

import json

import pytest


@pytest.fixture
def job(guarded, world, tmp_path, monkeypatch):
    """The client as a job has it: bindings instead of a channel."""
    file = tmp_path / "bindings.json"
    file.write_text(json.dumps({name: world["datasets"][name]["path"] for name in ("nyc/flights", "nyc/folder")}))
    monkeypatch.delenv("GUARDRAILS_CHANNEL")
    monkeypatch.setenv("GUARDRAILS_BINDINGS", str(file))
    monkeypatch.setattr(guarded._sources, "_source", None)
    return guarded


def test_bound_datasets_are_found_and_read(job):
    assert len(job.open("nyc/flights").to_pandas()) == 3
    assert [row["name"] for row in job.datasets("flights")] == ["nyc/flights"]


def test_an_unbound_dataset_says_how_to_bind_it(job):
    with pytest.raises(FileNotFoundError, match=r"start it with --dataset hr/salaries=PATH"):
        job.path("hr/salaries")


def test_a_job_asks_for_nothing(job):
    with pytest.raises(job.GuardedError, match="can't do this"):
        job.request("hr/salaries", purpose="a study")


def test_an_unreadable_list_is_said(job, tmp_path):
    (tmp_path / "bindings.json").write_text("{")
    with pytest.raises(ConnectionError, match="can't be read"):
        job.path("nyc/flights")
