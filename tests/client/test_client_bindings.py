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


def test_a_bound_file_is_read_by_the_calls_that_a_clean_run_makes_of_the_broker(job):
    opened = job.open("nyc/flights")
    whole = opened.to_arrow()
    name = whole.column_names[0]
    value = whole[name][0].as_py()
    assert opened.scan(columns=[name], limit=2).read_all().num_rows == 2
    assert opened.to_pandas(columns=[name], filter=[[name, "=", value]])[name].tolist() == [one for one in whole[name].to_pylist() if one == value]
    assert opened.to_arrow(filter=[[name, "in", [value]], [name, "!=", value]]).num_rows == 0
    assert len(list(opened.rows(limit=1))) == 1
    assert list(next(opened.rows(columns=[name]))) == [name]


def test_a_bound_file_is_written_as_csv(job, tmp_path):
    assert job.open("nyc/flights").to_csv_file(tmp_path / "f.csv", limit=2) == str(tmp_path / "f.csv")
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("given", ["a = 1", [["a", "like", "x"]], {"or": []}])
def test_a_filter_that_only_the_broker_understands_is_refused(job, given):
    with pytest.raises(job.GuardedError, match="only the broker understands"):
        job.open("nyc/flights").scan(filter=given)


@pytest.fixture
def brokered(job, world, tmp_path, monkeypatch):
    """A job in a sandbox of ours: one dataset bound to a file, all else that it names read through the channel."""
    (tmp_path / "bindings.json").write_text(json.dumps({"nyc/flights": world["datasets"]["nyc/flights"]["path"], "nyc/folder": None}))
    return job


def test_what_is_read_through_the_broker_needs_one(brokered):
    with pytest.raises(ConnectionError, match="read through the broker"):
        brokered.path("nyc/folder")
    assert len(brokered.open("nyc/flights").to_pandas()) == 3


def test_with_a_channel_it_is_asked_for_those_names_alone(brokered, broker, world, monkeypatch):
    monkeypatch.setenv("GUARDRAILS_CHANNEL", broker)
    monkeypatch.setattr(brokered._sources, "_source", None)
    assert brokered.path("nyc/folder") == world["datasets"]["nyc/folder"]["path"]
    with pytest.raises(FileNotFoundError, match="this job has no dataset hr/salaries"):
        brokered.path("hr/salaries")
