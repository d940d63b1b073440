"""`doctor`: where settings come from, which policy is in force, who could change it, and the exit code."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_guardrails.cli import doctor
from jupyter_guardrails.control.interface.settings import find_settings
from jupyter_guardrails.policy import load
from jupyter_guardrails.sandbox.permissions import this_account

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files]
rules:
  - name: everyone
    for: everyone
    kernels: {max: 4}
"""


@pytest.fixture
def home():
    """A home folder that other accounts can enter, with a policy and an empty catalogue at the built-in places."""
    with tempfile.TemporaryDirectory(prefix="gd-", dir="/tmp") as made:
        os.chmod(made, 0o755)
        own = Path(made) / ".config" / "jupyter-guardrails"
        (own / "catalog").mkdir(parents=True)
        (own / "guardrails.yaml").write_text(POLICY)
        yield Path(made)


@pytest.fixture
def run(home):
    """The real command in that home."""

    def run(*arguments, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDRAILS_", "XDG_"))}
        command = [sys.executable, "-m", "jupyter_guardrails", "doctor", *arguments]
        return subprocess.run(command, env={**kept, "HOME": str(home), **variables}, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def policy(home):
    """The policy at its built-in place."""
    return home / ".config" / "jupyter-guardrails" / "guardrails.yaml"


def test_the_report_says_what_is_in_force_and_why(run, policy):
    report = json.loads(run("--json").stdout)
    assert report["policy_in_force"] == {"digest": load(policy).digest, "mode": "enforce", "rules": 1}
    assert report["self_chosen"] is True
    assert report["settings"] == {"decided_by": "the built-in places", "ignored": []}
    assert report["boundary"].startswith("Self-chosen policy: nobody else approves.")


def test_a_variable_that_counts_is_named(run, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("max: 4", "max: 5"))
    report = json.loads(run("--json", GUARDRAILS_POLICY=str(other)).stdout)
    assert report["policy_in_force"]["digest"] == load(other).digest
    assert report["settings"]["decided_by"] == "GUARDRAILS_POLICY and the built-in places"


def test_the_text_is_for_reading(run, policy):
    lines = run().stdout.splitlines()
    assert f"           self-chosen policy, mode enforce, rules: 1, digest {load(policy).digest[:12]}" in lines
    assert "settings   from the built-in places" in lines
    assert sum(line.startswith("Self-chosen policy: nobody else approves.") for line in lines) == 1


def test_a_policy_with_a_mistake_is_a_problem(run, policy):
    policy.write_text(POLICY.replace("max: 4", "max: many"))
    done = run("--json")
    report = json.loads(done.stdout)
    assert done.returncode == 2
    assert report["policy_in_force"] is None
    assert "guardrails.yaml:7" in report["problems"][0]
    assert "none in force, see below" in run().stdout


@pytest.mark.parametrize("required", [["files"], ["files", "network", "processes", "memory", "sockets"]])
def test_the_exit_code_is_about_what_the_policy_requires(run, policy, required):
    policy.write_text(POLICY.replace("[files]", json.dumps(required)))
    done = run("--json")
    held = {guarantee["name"] for guarantee in json.loads(done.stdout)["guarantees"] if guarantee["held"]}
    assert done.returncode == (0 if held.issuperset(required) else 3)


def test_a_policy_that_cannot_be_looked_at_is_a_sentence(run, home):
    closed = home / "closed"
    closed.mkdir(mode=0)
    done = run("--json", GUARDRAILS_POLICY=str(closed / "guardrails.yaml"))
    assert done.returncode == 2, done.stderr
    assert str(closed) in json.loads(done.stdout)["problems"][0]


def test_a_warning_does_not_change_the_exit_code(run, policy):
    policy.chmod(0o666)
    done = run("--json")
    assert "policy" in [warning["what"] for warning in json.loads(done.stdout)["warnings"]]
    assert done.returncode == 0


def test_every_warning_is_one_line_of_text(home, policy):
    policy.chmod(0o666)
    settings = find_settings([], {}, home=home, admin_dir=home / "absent")
    report = doctor.examine(settings, this_account())
    text = [line for line in doctor._lines(report) if line.startswith("  ")]
    assert len([line for line in text if str(policy) in line]) == 1
    assert {warning["what"] for warning in report["warnings"]} <= {line.split("/")[0].strip() for line in text}


def test_names_of_files_cannot_play_with_the_terminal(home, policy):
    settings = find_settings([], {"GUARDRAILS_POLICY": str(policy.with_name("a\x1b[2Jb.yaml"))}, home=home, admin_dir=home / "absent")
    settings.policy_path.write_text(POLICY)
    settings.policy_path.chmod(0o666)
    report = doctor.examine(settings, this_account())
    (line,) = [line for line in doctor._lines(report) if line.startswith("  policy")]
    assert line.endswith("a?[2Jb.yaml: it is writable for everyone") or line.endswith("a?[2Jb.yaml: you own it")
