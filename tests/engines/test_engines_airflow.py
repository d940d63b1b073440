"""Airflow keeps the contract of engines, on a real one: the heart of it with every `make test`, all of it with `make soak`."""

import ast
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import airflow_here
import pytest
from engine_contract import EngineContract, package

from jupyter_guardrails.engines import airflow, airflow_api, airflow_task, places, start
from jupyter_guardrails.engines.airflow import Airflow
from jupyter_guardrails.engines.places import Given
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError
from jupyter_guardrails.package import manifest
from jupyter_guardrails.promotion import builder

SOAK = os.environ.get("GUARDRAILS_SOAK") == "1"
WITH_EVERY_TEST = {  # a run and what it used, a failure with its cell, and the digest that is looked at before anything runs
    "test_a_run_ends_with_its_exit_code_log_and_peak_use",
    "test_a_failure_is_tried_again_and_has_its_code_its_cell_and_its_error",
    "test_what_was_changed_after_it_was_deployed_does_not_run",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    root = tmp_path_factory.mktemp("airflow")
    if lacking := airflow_here.installed(root):
        pytest.skip(f"no package index answers here: {lacking}")
    with airflow_here.running(root) as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv(airflow_api.CREDENTIALS, str(here.credentials))
        yield here


def settings_of(here):
    return {"url": here.url, "dags": str(here.dags), "workers": "elsewhere"}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(600)
class TestAirflow(EngineContract):
    @pytest.fixture
    def wanted(self, request):
        """Skips what only a long run does, before an Airflow is started for it."""
        if not SOAK and request.node.name not in WITH_EVERY_TEST:
            pytest.skip("a long run only: GUARDRAILS_SOAK=1")

    @pytest.fixture
    def engine(self, wanted, here, monkeypatch):
        monkeypatch.setattr(type(self), "settings", settings_of(here))
        return Airflow()

    def test_what_has_ended_does_not_start_and_ending_twice_is_fine(self, engine, deploy):
        place = deploy()
        assert airflow.file_of(place).exists(), "the twin"
        engine.end(place)
        engine.end(place)
        assert not airflow.file_of(place).exists()
        with pytest.raises(Conflict, match="Airflow has no DAG of deployment"):
            engine.start(place, 1)

    def test_what_waits_when_it_ends_is_taken_back(self, engine, deploy):
        """A paused DAG starts nothing: without that, its run would wait for ever."""
        place = deploy()
        api = engine._connected(place)
        api.ask("PATCH", "dags", airflow.dag_of(place), body={"is_paused": True})
        job = engine.start(place, 1)
        assert engine.is_running(place, 1, job), "it waits"
        assert engine.waits_for(place, 1, job) == "it is queued, and its DAG is paused"
        engine.end(place)
        assert not engine.is_running(place, 1, job)

    def test_a_run_has_nothing_of_its_worker_s_environment(self, engine, deploy):
        environment, uid = self.seen_by_a_run(engine, deploy())
        assert "xyzzy" not in str(environment)
        assert "AIRFLOW" not in str(environment)
        assert uid == os.getuid()

    def test_whoever_may_trigger_dags_starts_nothing_that_control_has_not_allowed(self, engine, deploy):
        place = deploy()
        api = engine._connected(place)
        for name, conf in (("mine", {}), ("forged", {"number": 7}), ("odd", {"number": "7; id"})):
            body = {"dag_run_id": name, "logical_date": None, "conf": conf}
            assert api.ask("POST", "dags", airflow.dag_of(place), "dagRuns", body=body)
            self.over(engine, place, 7, name)
            assert engine.verdict(place, 7, name)["state"] == "failed"
        assert "run 7 was not begun by `job start`" in engine.verdict(place, 7, "forged")["error"]
        assert not (place.folder / "runs").exists()
        assert self.finished(engine, place, 7, engine.start(place, 7))["state"] == "complete", "the twin"

    def test_what_airflow_ends_is_told_in_its_words(self, engine, deploy):
        place = deploy()
        (place.folder / "start.py").write_text("raise SystemExit('there is nothing here')")
        job = engine.start(place, 2)
        self.over(engine, place, 2, job)
        said = engine.verdict(place, 2, job)
        assert said["state"] == "failed"
        assert f"Airflow says failed of {airflow.dag_of(place)}, run-2" in said["error"]
        assert "exit code 1" in said["error"]

    def test_a_schedule_is_the_dag_s_own_where_workers_are_here(self, engine, deploy, here, root, tmp_path):
        given = Given(manifest.check(tmp_path / "p")[0].content, "airflow", settings=settings_of(here) | {"workers": "here"})
        place = places.prepare(root, os.urandom(16).hex(), tmp_path / "p.zip", given)
        engine.deploy(place, "7 4 1 1 *")
        said = engine._connected(place).ask("GET", "dags", airflow.dag_of(place))
        assert said["is_paused"] is False
        assert said["next_dagrun_run_after"].endswith("-01-01T04:07:00Z"), "and not at once"
        assert datetime.fromisoformat(said["next_dagrun_run_after"]) > datetime.now(UTC)
        engine.end(place)

    def test_a_dag_that_airflow_can_t_read_is_told_with_its_mistake(self, engine, deploy, monkeypatch):
        monkeypatch.setattr(airflow, "DAG", "from airflow.sdk import nothing_of_that_name  # no DAG\n")
        with pytest.raises(GuardrailsError, match="nothing_of_that_name"):
            deploy()

    def test_a_run_that_is_stopped_writes_down_its_end(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        engine.stop(place, 1, job)
        deadline = time.monotonic() + airflow_here.PATIENCE_S
        while not (found := places.ended(place, 1)):
            assert time.monotonic() < deadline, self.said(place, 1)
            time.sleep(0.1)
        assert (found["state"], found["exit_code"]) == ("failed", 128 + 15)

    def test_a_package_s_own_dag_runs_it_without_anything_of_this_project(self, engine, deploy, here, tmp_path):
        folder = tmp_path / "zebra-1"
        shutil.copytree(tmp_path / "p", folder)
        shutil.copytree(builder.ENGINES, folder / "engines", ignore=shutil.ignore_patterns("__pycache__"))
        manifest.write_manifest(folder)
        before = sorted(folder.rglob("*"))
        (here.dags / "zebra_1.py").symlink_to(folder / "engines" / "airflow_dag.py")
        api, dag = engine._connected(deploy()), f"guarded-{start.sha256(folder / manifest.MANIFEST)[:16]}"
        deadline = time.monotonic() + airflow_here.PATIENCE_S
        while api.ask("GET", "dags", dag) is None:
            assert time.monotonic() < deadline, api.ask("GET", "importErrors")
            time.sleep(0.2)
        api.ask("PATCH", "dags", dag, body={"is_paused": False})
        assert api.ask("POST", "dags", dag, "dagRuns", body={"logical_date": None, "conf": {"parameters": {"zoo": "it's; $(id)"}}, "dag_run_id": "a"})
        while (state := api.ask("GET", "dags", dag, "dagRuns", "a")["state"]) in airflow.ALIVE:
            time.sleep(0.2)
        log = str(api.ask("GET", "dags", dag, "dagRuns", "a", "taskInstances", "run", "logs", "1"))
        assert (state, "given it's; $(id)" in log) == ("success", True), log
        assert len(list(tmp_path.glob("zebra-1-runs/*/run.json"))) == 1
        assert sorted(folder.rglob("*")) == before, "else it would not verify any more"

    def test_a_wrong_login_is_told(self, engine, deploy, here, tmp_path, monkeypatch):
        place = deploy()
        wrong = secret(tmp_path, "username: admin\npassword: wrong\n")
        monkeypatch.setenv(airflow_api.CREDENTIALS, str(wrong))
        with pytest.raises(GuardrailsError, match="Airflow does not let 'admin' in") as caught:
            Airflow().deploy(place, "")
        assert "wrong" not in str(caught.value).replace(str(wrong), "")


def secret(folder, text, mode=0o600):
    path = folder / "login.yaml"
    path.touch(mode)
    path.chmod(mode)
    path.write_text(text)
    return path


@pytest.fixture
def deployed(tmp_path):
    """A deployment's folder for Airflow, without one."""
    (tmp_path / "dags").mkdir()
    archived = package(tmp_path)
    settings = {"url": "http://127.0.0.1:9", "dags": str(tmp_path / "dags"), "workers": "elsewhere"}
    given = Given(manifest.check(tmp_path / "p")[0].content, "airflow", {"zoo": "stripes"}, settings=settings)
    place = places.prepare(tmp_path / "deployments", os.urandom(16).hex(), archived, given)
    (place.folder / "airflow_task.py").write_bytes(Path(airflow_task.__file__).read_bytes())
    (place.folder / airflow_task.ASKED).mkdir()
    return place


def text_of(place, schedule=""):
    return airflow.text_of(place, schedule, deployed_at=1_700_000_000)


def test_a_dag_holds_digests_integers_and_where_the_deployment_lies(deployed):
    """Each literal of it is the template's own, but for these."""
    found = {node.value for node in ast.walk(ast.parse(text_of(deployed, "0 6 * * 1-5"))) if isinstance(node, ast.Constant)}
    template = airflow.DAG.format(id="", folder="", content="", dag="", schedule="None", deployed_at=0, seconds=0, task="run")
    own = {node.value for node in ast.walk(ast.parse(template)) if isinstance(node, ast.Constant)}
    assert {value for value in found - own if not isinstance(value, str) or deployed.id not in value} == {
        deployed.deployed()["content"],
        "0 6 * * 1-5",
        1_700_000_000,
        deployed.longest_s + airflow.SECONDS_BESIDE,
    }
    assert str(deployed.folder) in found
    compile(text_of(deployed), "dag.py", "exec")


def test_a_folder_s_name_is_no_code(deployed, tmp_path):
    odd = places.Place(tmp_path / 'a"""\n\'{id}' / deployed.id)
    odd.folder.parent.mkdir()
    os.rename(deployed.folder, odd.folder)
    found = [node.value for node in ast.walk(ast.parse(text_of(odd))) if isinstance(node, ast.Constant)]
    assert str(odd.folder) in found


@pytest.mark.parametrize("schedule", ["at noon", "* * * *", "0 6 * * 1'", "0 6 * * 1\nimport os"])
def test_what_is_no_schedule_is_part_of_no_dag(deployed, schedule):
    assert "schedule='0 6 * * 1'" in text_of(deployed, "0 6 * * 1"), "the twin"
    with pytest.raises(BadRequest):
        text_of(deployed, schedule)


@pytest.mark.parametrize("id", ["x", "0" * 31 + "\n", "../" + "0" * 29])
def test_a_deployment_s_name_is_digits(tmp_path, id):
    with pytest.raises(GuardrailsError, match="is no name of a deployment"):
        airflow.dag_of(places.Place(tmp_path / id))


def task(place, number, name="run-1"):
    command = [sys.executable, "-I", place.folder / "airflow_task.py", str(number), name]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=False)


def test_a_task_runs_what_was_begun_once(deployed):
    refused = task(deployed, 1)
    assert (refused.returncode, "run 1 was not begun by `job start`" in refused.stdout) == (1, True)
    assert not deployed.run(1).exists()
    (deployed.folder / airflow_task.ASKED / "1").touch()
    done = task(deployed, 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "run 1 ended with exit code 0" in done.stdout
    assert places.ended(deployed, 1)["log_tail"].startswith("given stripes")
    assert task(deployed, 1).returncode == 1, "the mark was for one run"


def test_a_task_of_no_run_that_can_t_ask_control_starts_nothing(deployed):
    refused = task(deployed, 0, "scheduled__2026-01-01")
    assert (refused.returncode, "control can't be asked from here" in refused.stdout) == (1, True)
    assert not (deployed.folder / "runs").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can have another account's process")
def test_a_worker_of_another_account_starts_nothing(deployed):
    (deployed.folder / airflow_task.ASKED / "1").touch()
    os.chown(deployed.folder, 4711, -1)
    refused = task(deployed, 1)
    assert (refused.returncode, "the deployment is 4711's" in refused.stdout) == (1, True)
    os.chown(deployed.folder, 0, -1)
    assert task(deployed, 1).returncode == 0, "the twin"


def test_an_airflow_that_does_not_answer_gets_no_dag_and_loses_no_run(deployed, tmp_path, monkeypatch):
    monkeypatch.setenv(airflow_api.CREDENTIALS, str(secret(tmp_path, "token: abc\n")))
    engine = Airflow()
    for attempt in (lambda: engine.deploy(deployed, ""), lambda: engine.is_running(deployed, 1, "run-1")):
        with pytest.raises(GuardrailsError, match=r"Airflow does not answer at http://127\.0\.0\.1:9"):
            attempt()
    assert list((tmp_path / "dags").iterdir()) == []
    engine.end(deployed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": ""}, "says no url"),
        ({"dags": ""}, "says no dags"),
        ({"dags": "dags"}, "is no absolute path"),
        ({"workers": "there"}, "says workers: there"),
        ({"password": "x"}, "says password for airflow, which it does not have"),
    ],
)
def test_settings_that_make_no_sense_are_refused(deployed, change, reason):
    class Changed(places.Place):
        def deployed(self):
            return deployed.deployed() | {"settings": deployed.deployed()["settings"] | change}

    assert airflow.settings_of(deployed)["url"], "the twin"
    with pytest.raises(BadRequest, match=reason):
        airflow.settings_of(Changed(deployed.folder))


@pytest.mark.parametrize(
    "url", ["http://airflow.example.com", "https://me:pw@airflow.example.com", "ftp://127.0.0.1", "airflow", "https://", "https://a/?b=c"]
)
def test_a_login_goes_nowhere_unprotected(url):
    assert airflow_api.checked_url("https://airflow.example.com/data/") == "https://airflow.example.com/data"
    assert airflow_api.checked_url("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    with pytest.raises(BadRequest, match="is no address to send a login to") as caught:
        airflow_api.checked_url(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "user: zoe", "token: [1]", "token: ''", "username: a", "{", "username: xyzzy\npassword: 1\n"])
def test_a_file_without_a_login_is_told_without_its_words(tmp_path, text):
    with pytest.raises(GuardrailsError) as caught:
        airflow_api.read_credentials(secret(tmp_path, text))
    assert "xyzzy" not in str(caught.value)


def test_a_login_that_others_may_read_is_not_used(tmp_path):
    assert airflow_api.read_credentials(secret(tmp_path, "token: abc")) == {"token": "abc"}, "the twin"
    with pytest.raises(GuardrailsError, match="is not this account's alone"):
        airflow_api.read_credentials(secret(tmp_path, "token: abc", mode=0o640))
    (tmp_path / "link").symlink_to(secret(tmp_path, "token: abc"))
    for path in (tmp_path / "link", tmp_path / "nothing"):
        with pytest.raises(GuardrailsError, match="can't be read"):
            airflow_api.read_credentials(path)
