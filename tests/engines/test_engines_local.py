"""The local engine: which commands a job is, in which order, and with what in reach."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from jupyter_guardrails.engines import local
from jupyter_guardrails.errors import Conflict, GuardrailsError, PackageError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import Job

JOB = {
    "name": "sales",
    "entry": "sales.ipynb",
    "owner": "ana",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {}},
    "resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1},
    "policy_digest": "0",
}


@pytest.fixture
def request_(tmp_path: Path) -> local.Request:
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "src" / "sales.ipynb").write_text("{}")
    (source / "run.py").write_text("")
    (source / "job.json").write_text(Job.model_validate(JOB).to_text())
    manifest.write_manifest(source)
    archive.pack(source, tmp_path / "p.zip")
    folder = tmp_path / "folder"
    folder.mkdir()
    datasets = {"nyc/flights": "/data/nyc"}
    return local.Request(tmp_path / "p.zip", folder, tmp_path / "out", tmp_path / "envs", {"n": "1; touch x"}, datasets)


def test_environments_are_built_with_the_index_and_the_job_runs_without(request_):
    local.unpack(request_)
    steps = []
    assert local.run(request_, lambda step: steps.append(step) or 0) == 0
    build, job = steps
    assert (build.index, job.index) == (True, False)
    assert build.argv[-1] == "--prepare"
    assert build.write == (str(request_.environments),)
    assert job.write == (str(request_.out),)
    assert "/data/nyc" in job.read
    assert "/data/nyc" not in build.read
    assert job.argv[0] == getattr(sys, "_base_executable", sys.executable)


def test_names_and_values_are_arguments_and_no_shell_s_words(request_):
    local.unpack(request_)
    steps = []
    local.run(request_, lambda step: steps.append(step) or 0)
    assert "--param=n=1; touch x" in steps[1].argv
    assert "--dataset=nyc/flights=/data/nyc" in steps[1].argv


def test_a_job_whose_environment_fails_does_not_run(request_):
    local.unpack(request_)
    steps = []
    with pytest.raises(GuardrailsError, match="exit code 3"):
        local.run(request_, lambda step: steps.append(step) or 3)
    assert len(steps) == 1


def test_the_job_s_exit_code_is_the_answer(request_):
    local.unpack(request_)
    assert local.run(request_, lambda step: 0 if step.index else 2) == 2


def test_results_are_never_mixed(request_):
    request_.out.mkdir()
    (request_.out / "old.txt").write_text("")
    with pytest.raises(Conflict):
        local.unpack(request_)


def test_an_unsafe_package_is_not_unpacked(request_):
    with zipfile.ZipFile(request_.package, "a") as opened:
        opened.writestr("../evil.txt", "x")
    with pytest.raises(PackageError):
        local.unpack(request_)
    shutil.rmtree(request_.folder)
    assert not (request_.folder.parent / "evil.txt").exists()
