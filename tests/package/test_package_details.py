"""What a submitter says about a job: kept as it was said, or refused with the key and the reason; and the command line that says it."""

import argparse

import pytest
import yaml
from pydantic import ValidationError

from jupyter_guardrails.cli import submit_details
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import Job

ALL = {
    "description": "Delays by month",
    "contact": "flights@packages.example.com",
    "run_as": "svc-flights",
    "schedule": "0 6 * * 1-5",
    "retries": 2,
    "labels": {"team": "flights"},
    "secrets": ["WAREHOUSE_TOKEN"],
    "network": ["packages.example.com:443"],
    "outputs": [{"name": "delays", "path": "out/delays.parquet", "dataset": "nyc/delays", "columns": {"month": "integer"}}],
    "pinned": ["nyc/planes"],
    "then": ["report.ipynb"],
}


def said(*words: str) -> Details:
    parser = argparse.ArgumentParser()
    submit_details.add_arguments(parser)
    return submit_details.details_of(parser.parse_args(words))


def test_everything_that_can_be_said_is_in_the_job_and_comes_back(job: Job):
    with_all = Job.model_validate(job.model_dump() | ALL)
    assert Job.model_validate(yaml.safe_load(with_all.to_text())) == with_all
    assert with_all.details.model_dump() == ALL
    assert job.details == Details()


@pytest.mark.parametrize("schedule", ["", "* * * * *", "*/15 0-6 1,15 * 0", "5 4 31 12 7", "0  6 * * 1"])
def test_schedules_of_crontab(schedule):
    assert Details(schedule=schedule).schedule.split() == schedule.split()


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "daily"},
        {"schedule": "60 * * * *"},
        {"schedule": "* * 0 * *"},
        {"schedule": "*/0 * * * *"},
        {"schedule": "5-1 * * * *"},
        {"schedule": "* * * * * *"},
        {"schedule": "$(x) * * * *"},
        {"run_as": "-x"},
        {"run_as": "a b"},
        {"run_as": "a;b"},
        {"retries": -1},
        {"retries": 11},
        {"secrets": ["token"]},
        {"secrets": ["TOKEN=geheim"]},
        {"secrets": ["LD_PRELOAD"]},
        {"secrets": ["PYTHONPATH"]},
        {"secrets": ["A", "A"]},
        {"outputs": ["/etc/x"]},
        {"outputs": ["../x"]},
        {"outputs": ["a//b"]},
        {"outputs": ["a", "a"]},
        {"outputs": [{"name": "a", "path": "a", "dataset": "No Such"}]},
        {"pinned": ["No Such"]},
        {"pinned": ["a/b", "a/b"]},
        {"labels": {"a": "b\nc"}},
        {"contact": "x\x1b[31m"},
        {"engine": "slurm"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Details.model_validate(wrong)
    assert Details.model_validate(ALL)  # the twin


def test_a_bare_path_is_an_output_of_that_name():
    assert Details.model_validate({"outputs": ["a/b.csv"]}).outputs[0].model_dump() == {
        "name": "a/b.csv",
        "path": "a/b.csv",
        "dataset": "",
        "columns": {},
    }


def test_a_file_and_flags_above_it(tmp_path):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(ALL))
    file = ["--details", str(tmp_path / "job.yaml")]
    assert said(*file).model_dump() == ALL
    found = said(
        *file, "--schedule", "0 7 * * *", "--retries", "0", "--secret", "SECOND", "--output", "log.txt", "--label", "tier=gold", "--pin", "a/b"
    )
    assert (found.schedule, found.retries, found.contact) == ("0 7 * * *", 0, ALL["contact"])
    assert found.pinned == ["nyc/planes", "a/b"]
    assert found.secrets == ["WAREHOUSE_TOKEN", "SECOND"]
    assert [output.path for output in found.outputs] == ["out/delays.parquet", "log.txt"]
    assert found.labels == {"team": "flights", "tier": "gold"}
    assert said() == Details()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schedule: daily", "schedule: 'daily' is no schedule"),
        ("nope: 1", "nope: Extra inputs"),
        ("- a", "holds no keys"),
        ("a: [", "can't be read"),
        ("a: !!python/object/apply:os.getpid []", "can't be read"),
        ("secrets: [token]", "secrets.0: 'token' is no name of a secret"),
    ],
)
def test_a_file_with_mistakes_names_them(tmp_path, text, words):
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(BadRequest, match=words.replace("[", r"\[")):
        said("--details", str(tmp_path / "job.yaml"))


def test_flags_with_mistakes():
    for words in (["--label", "x"], ["--run-as", "a b"], ["--details", "/not/there"]):
        with pytest.raises(BadRequest):
            said(*words)
