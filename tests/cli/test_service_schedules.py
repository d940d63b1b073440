"""A schedule that really starts runs: a timer of the operator's own systemd, and where there is none a line of crontab that a real cron reads.

Control is a service on a real systemd; ana submits, ben approves and operates.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from real_systemd import booted
from uv import find_uv_bin

GUARDRAILS = (sys.executable, "-m", "jupyter_guardrails")
PATIENCE_S = 300.0  # of which cron and systemd wait for the minute, and timers for another (AccuracySec)
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 3, terminals: small}}
promotion: {production_profile: small, reviewers: {users: [ben]}, checks: {vulnerabilities: off}}
"""
# What user@.service of systemd is, but for PAM and logind, which this machine does not start.
USER_SYSTEMD = """\
[Service]
User=ben
Type=notify
Environment=HOME=/home/ben XDG_RUNTIME_DIR=/run/user/ben
ExecStart=/lib/systemd/systemd --user
Delegate=yes
KillMode=mixed
"""
RUNTIME = {"XDG_RUNTIME_DIR": "/run/user/ben"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1"),
]


def environment_of(account):
    """What a shell of it has."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "UV_"))}
    return kept | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root" if account == "root" else f"/home/{account}"}


class Scene:
    """Commands of accounts on a machine where a job was approved."""

    def __init__(self, inside):
        self.inside = inside
        for name in ("ana", "ben"):
            inside.run("useradd", "--create-home", "--shell", "/bin/bash", name)
        inside.write("/etc/jupyter/guardrails/guardrails.yaml", POLICY)
        inside.run("mkdir", "/etc/jupyter/guardrails/catalog")
        for command in json.loads(inside.run(*GUARDRAILS, "init", "--service", "--json").stdout)["next"]:
            if command.startswith("system"):
                inside.run(*command.split())
        self._add_kernelspec()
        self.approved = self._approve()

    def _add_kernelspec(self):
        python = "/opt/tiny/bin/python"
        environ = environment_of("root")
        self.inside.run(find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", "/opt/tiny", env=environ)
        made = self.inside.run(find_uv_bin(), "pip", "install", "-q", "--python", python, "ipykernel", check=False, env=environ)
        if made.returncode:
            pytest.skip(f"no package index answers here: {made.stderr[-300:]}")
        spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "tiny", "language": "python"}
        self.inside.write("/usr/local/share/jupyter/kernels/tiny/kernel.json", json.dumps(spec | {"metadata": {"supported_encryption": ["curve"]}}))

    def _approve(self):
        cell = new_code_cell("open('told.txt', 'w').write('by itself')", execution_count=1, id="cell-1")
        notebook = new_notebook(cells=[cell], metadata={"kernelspec": {"name": "tiny", "display_name": "tiny"}})
        self.inside.write("/home/ana/work/sales.ipynb", nbformat.writes(notebook))
        self.inside.run("chown", "-R", "ana:ana", "/home/ana/work")
        found = self.guardrails("ana", "submit", "/home/ana/work/sales.ipynb", "--wait", "--reason", "a test")
        self.guardrails("ben", "job", "approve", found["id"], "--digest", found["content_digest"])
        return found["id"]

    def guardrails(self, account, *words, **environment):
        """What an account's command prints with --json; it must have succeeded."""
        environ = environment_of(account) | environment
        done = self.inside.run(*GUARDRAILS, *words, "--json", account=account, env=environ, timeout=PATIENCE_S)
        return json.loads(done.stdout)

    def deploy(self, **environment):
        """A deployment of ben's that runs each minute."""
        return self.guardrails("ben", "job", "deploy", self.approved, "--schedule", "* * * * *", **environment)["deployment"]["id"]

    def first_run(self, id):
        """The first run that its schedule started, when it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            runs = self.guardrails("ben", "job", "runs", id)["deployments"][0]["runs"]
            if runs and runs[-1]["state"] != "running":
                return runs[-1]
            assert time.monotonic() < deadline, self.inside.run("journalctl", "--no-pager", "--lines=50").stdout
            time.sleep(1)  # of a schedule there is no event

    def told(self, id):
        """What the first run wrote."""
        return self.inside.run("cat", f"/home/ben/.local/share/jupyter-guardrails/deployments/{id}/runs/1/out/files/told.txt").stdout


@pytest.fixture(scope="module")
def scene():
    with booted() as inside:
        yield Scene(inside)


@pytest.fixture
def user_systemd(scene):
    """Ben's own systemd answers."""
    scene.inside.write("/etc/systemd/system/of-ben.service", USER_SYSTEMD)
    scene.inside.run("install", "-d", "-o", "ben", "-m", "700", RUNTIME["XDG_RUNTIME_DIR"])
    scene.inside.run("systemctl", "daemon-reload")
    scene.inside.run("systemctl", "start", "of-ben.service")
    yield
    scene.inside.run("systemctl", "stop", "of-ben.service")


def timers(scene):
    listing = ("systemctl", "--user", "list-timers", "--all", "--no-pager")
    return scene.inside.run(*listing, account="ben", env=environment_of("ben") | RUNTIME).stdout


def test_a_timer_of_the_account_s_systemd_starts_runs_until_it_is_undeployed(scene, user_systemd):
    id = scene.deploy(**RUNTIME)
    assert f"guardrails-{id}.timer" in timers(scene)
    assert (scene.first_run(id)["state"], scene.told(id)) == ("complete", "by itself")
    scene.guardrails("ben", "job", "undeploy", id, **RUNTIME)
    assert f"guardrails-{id}" not in timers(scene)
    assert not [path for path in scene.inside.run("ls", "/home/ben/.config/systemd/user").stdout.split() if id in path]


def test_a_line_of_crontab_starts_runs_until_it_is_undeployed(scene):
    if not Path("/usr/sbin/cron").exists():
        pytest.skip("cron is not on this machine")
    id = scene.deploy()
    lines = scene.inside.run("crontab", "-l", account="ben").stdout.splitlines()
    assert [line.rpartition("# ")[2] for line in lines] == [f"guardrails-{id}"]
    scene.inside.write("/etc/systemd/system/its-cron.service", "[Service]\nExecStart=/usr/sbin/cron -f\n")
    scene.inside.run("systemctl", "daemon-reload")
    scene.inside.run("systemctl", "start", "its-cron.service")
    assert (scene.first_run(id)["state"], scene.told(id)) == ("complete", "by itself")
    scene.guardrails("ben", "job", "undeploy", id)
    assert id not in scene.inside.run("crontab", "-l", account="ben", check=False).stdout
