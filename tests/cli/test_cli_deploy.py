"""Deploying from the command line: an approved package becomes a job of the operator's account; runs, logs, failures with their cell, schedules."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deploy_world import World

from jupyter_guardrails.control.interface.deployments import DeploymentsList
from jupyter_guardrails.engines import airflow_api, airflow_task

pytestmark = pytest.mark.slow  # left out of `make test-fast`
LONG = pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World.made(tmp_path_factory.mktemp("d")) as world:
        yield world


TABLE = "pathlib.Path('r.csv').write_text(f'n,sold\\n{n},{n * 21}\\n');"


@pytest.fixture(scope="module")
def sales(world):
    """A submission whose checks have passed."""
    return world.submit(
        "sales.ipynb", "n = 2", "import pathlib\npathlib.Path('r.txt').write_text(str(n * 21))\nprint('sold', n)", TABLE, parameters=0
    )


def test_a_package_is_deployed_runs_and_says_what_came_of_it(world, sales):
    made = world.deploy(sales["id"], "--param", "n=3")
    assert (made["state"], made["self_test"], made["content_digest"]) == ("live", True, sales["content_digest"])
    done = world.command("job", "start", made["id"])
    assert done.returncode == 0, done.stdout + done.stderr
    run = world.runs(made["id"])[0]
    assert (run["number"], run["state"], run["exit_code"]) == (1, "complete", 0)
    assert run["peak_bytes"] > 20 << 20, "an interpreter alone has more"
    assert "cell 4 of 4: ok" in run["log_tail"]
    assert (world.place(made["id"]) / "runs/1/out/files/r.txt").read_text() == "63"
    shown = world.command("job", "logs", made["id"]).stdout
    assert "cell 4 of 4: ok" in shown
    text = world.command("job", "runs").stdout
    assert f"{made['id']}  sales-1  local  live (self-test, not approved)" in text
    assert "run 1" in text
    assert "complete, exit 0, peak" in text
    becomes_a_dataset(world, made["id"], text)
    begun_by_an_engine(world, made["id"])


def becomes_a_dataset(world, id, text):
    """What the run left is published as it was recorded, and what was changed since is not."""
    file = world.place(id) / "runs/1/out/files/r.csv"
    assert f"    made r.csv, {file.stat().st_size} bytes, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}" in text
    done = world.command("job", "publish", id, "r.csv", "team/sold", "--description", "what was sold")
    assert done.returncode == 0, done.stderr
    assert "made by:       job sales, version 1, run 1 (self-test, not approved)" in done.stdout
    assert "other than its package says" not in done.stdout
    assert "made by:        job sales, version 1, run 1" in world.command("data", "show", "team/sold").stdout
    file.write_text("n,sold\n3,64\n")
    refused = world.command("job", "publish", id, "r.csv", "team/sold", "--run", "1")
    assert (refused.returncode, "not the one that the run left" in refused.stderr) == (1, True), refused.stderr


def begun_by_an_engine(world, id):
    """Airflow's own schedule starts what its task does here: control gives the number, the sandbox is production's, its end is told at once."""
    place = world.place(id)
    (place / "airflow_task.py").write_bytes(Path(airflow_task.__file__).read_bytes())
    command = [sys.executable, "-I", place / "airflow_task.py", "0", "scheduled__2026-11-27"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = world.client.call(DeploymentsList(id=id))["deployments"][0]["runs"][0]
    assert (run["number"], run["state"], run["engine_job"]) == (2, "complete", "scheduled__2026-11-27")
    assert (place / "runs/2/out/files/r.txt").read_text() == "63"


def test_a_run_that_fails_names_its_cell(world):
    failing = world.submit("late.ipynb", "n = 1", "print('fine')", "assert n == 1, 'n is not one'", parameters=0)
    made = world.deploy(failing["id"], "--param", "n=2")
    done = world.command("job", "start", made["id"])
    assert done.returncode == 1
    run = world.runs(made["id"])[0]
    assert (run["state"], run["exit_code"], run["cell"]) == ("failed", 1, 3), "counted in the author's notebook, without the injected cell"
    assert "n is not one" in run["error"]
    assert "cell 3: " in world.command("job", "runs", made["id"]).stdout


@pytest.mark.soak
@LONG
def test_the_next_deployment_ends_the_one_before(world, sales):
    first, second = world.deploy(sales["id"]), world.deploy(sales["id"])
    assert world.deployment(first["id"])["state"] == "ended"
    refused = world.command("job", "start", first["id"])
    assert refused.returncode == 1
    assert "replaced by sales-1 on local" in refused.stderr
    assert world.runs(first["id"]) == []
    assert world.command("job", "start", second["id"]).returncode == 0, "the twin"


class Unread(BaseHTTPRequestHandler):
    """An Airflow 3 that never looks for new DAGs."""

    def do_GET(self):
        answers = {"/api/v2/version": {"version": "3.1.0"}, "/api/v2/importErrors": {"import_errors": []}}
        found = answers.get(self.path.partition("?")[0])
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    do_PATCH = do_GET

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.fixture
def unread(world, tmp_path):
    """The folder of DAGs of such an Airflow, which the policy names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Unread) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "dags").mkdir()
        (tmp_path / "login.yaml").touch(0o600)
        (tmp_path / "login.yaml").write_text("token: abc")
        policy = world.root / "guardrails.yaml"
        before, engine = policy.read_text(), {"url": f"http://127.0.0.1:{server.server_port}", "dags": str(tmp_path / "dags")}
        policy.write_text(before.replace("promotion: {", f"promotion: {{engines: {json.dumps({'local': {}, 'airflow': engine})}, "))
        yield tmp_path / "dags"
        policy.write_text(before)
        server.shutdown()


def test_a_deployment_that_waits_says_for_what_and_an_interrupt_leaves_nothing_of_it(world, sales, unread):
    before = sorted(world.deployments.iterdir())
    argv = [sys.executable, "-m", "jupyter_guardrails", "job", "deploy", sales["id"], "--engine=airflow", f"--deployments={world.deployments}"]
    environ = world.environ | {airflow_api.CREDENTIALS: str(unread.parent / "login.yaml")}
    with subprocess.Popen(argv, env=environ, cwd=world.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as deploying:
        said = []
        for text in deploying.stderr:
            said.append(text)
            if "waits until Airflow has read" in text:
                assert "by default 300 s; 900 s at most" in text
                assert len(list(unread.iterdir())) == 1, "the twin: it was there"
                deploying.send_signal(signal.SIGINT)
        assert (deploying.wait(60), deploying.stdout.read()) == (130, ""), said
    assert "takes back" in said[-1]
    assert list(unread.iterdir()) == []
    assert sorted({*world.deployments.iterdir()} - {world.deployments / "environments"}) == [path for path in before if path.name != "environments"]
    made = next(row for row in world.json("job", "runs")["deployments"] if row["engine"] == "airflow")
    assert (made["state"], made["reason"]) == ("ended", "it could not be deployed: it was interrupted")


def test_an_ended_deployment_starts_no_more(world, sales):
    made = world.deploy(sales["id"])
    assert world.command("job", "undeploy", made["id"], "--reason", "not needed").returncode == 0
    refused = world.command("job", "start", made["id"])
    assert (refused.returncode, "not needed" in refused.stderr) == (1, True)
    around_us = subprocess.run([sys.executable, "-I", world.place(made["id"]) / "start.py", "7"], check=False)
    assert around_us.returncode == 1
    assert "this deployment has ended" in (world.place(made["id"]) / "runs/7/log.txt").read_text()
    (world.place(made["id"]) / "airflow_task.py").write_bytes(Path(airflow_task.__file__).read_bytes())
    command = [sys.executable, "-I", world.place(made["id"]) / "airflow_task.py", "0", "scheduled__2026-11-27"]
    scheduled = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert scheduled.returncode == 1
    assert "control refused it" in scheduled.stdout
    assert "not needed" in scheduled.stdout


def test_nothing_runs_of_a_package_that_was_changed_after_it_was_deployed(world, sales):
    made = world.deploy(sales["id"])
    changed = world.place(made["id"]) / "package" / "src" / "sales.ipynb"
    changed.write_text(changed.read_text().replace("sold", "sold twice"))
    done = world.command("job", "start", made["id"])
    assert done.returncode == 1
    run = world.runs(made["id"])[0]
    assert run["state"] == "failed"
    assert "nothing was run" in run["log_tail"]
    assert not (world.place(made["id"]) / "runs/1/out/run.json").exists()


def test_what_can_not_be_deployed_says_why_and_leaves_nothing(world, sales):
    before = sorted(world.deployments.iterdir())
    for words, reason in (
        (["--param", "m=3"], "sales has no parameter m"),
        (["--param", "n=three"], "parameter n is integer"),
        (["--dataset", "nyc/x=/etc/hostname"], "sales reads no dataset nyc/x"),
        (["--schedule", "at noon"], "is no schedule"),
        (["--run-as", "etl"], "runs as who deploys it"),
    ):
        refused = world.command("job", "deploy", sales["id"], *words)
        assert refused.returncode in (1, 2)
        assert reason in refused.stderr, refused.stderr
    assert sorted(world.deployments.iterdir()) == before
    draft = world.submit("sales.ipynb", "n = 2", draft=True)
    assert "has no package" in world.command("job", "deploy", draft["id"]).stderr


def test_a_job_becomes_an_experiment_again(world, sales):
    """Code, environment and pins, in a new folder."""
    done = world.command("job", "reopen", sales["id"], "--to", world.root / "again")
    assert done.returncode == 0, done.stderr
    assert f"content: {sales['content_digest']}" in done.stdout
    pins = json.loads((world.root / "again" / "reopened.json").read_text())
    spec = json.loads((world.root / ".local/share/jupyter/kernels" / pins["kernelspec"] / "kernel.json").read_text())
    ran = subprocess.run([spec["argv"][0], "-c", "import ipykernel, sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert "/jupyter-guardrails/environments/kernel-" in ran.stdout
    notebook = json.loads((world.root / "again" / "sales.ipynb").read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == pins["kernelspec"]
    assert "".join(notebook["cells"][0]["source"]) == "n = 2"
    assert "is there already" in world.command("job", "reopen", sales["id"], "--to", world.workspace).stderr
    (world.root / "again" / "sales.ipynb").write_text(json.dumps(notebook | {"cells": []}))
    once_more = world.command("job", "reopen", sales["id"], "--to", world.root / "again", "--no-environment")
    assert (once_more.returncode, json.loads((world.root / "again" / "sales.ipynb").read_text())["cells"]) == (0, []), "what changed since stays"
    assert world.command("job", "reopen", "nope").returncode == 1


@pytest.mark.soak
@LONG
def test_a_run_that_was_killed_is_lost_and_the_next_one_is_not(world, sales):
    """Nothing of it says how it ended: its operator is told so."""
    made = world.deploy(sales["id"])
    with world.started("job", "start", made["id"], until=lambda: (world.place(made["id"]) / "runs/1/started.json").exists()) as start:
        pid = json.loads((world.place(made["id"]) / "runs/1/started.json").read_text())["pid"]
        os.kill(pid, 9)
        assert start.wait(60) == 1
    assert world.runs(made["id"])[0]["state"] == "lost"
    assert world.command("job", "start", made["id"]).returncode == 0
    assert [run["state"] for run in world.runs(made["id"])] == ["complete", "lost"]
