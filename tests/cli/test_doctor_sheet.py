"""`doctor --preflight` in the build of an image, and the sheet of `doctor --bundle`; the example in the documentation has its form."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails.sandbox.probe_trials import HELD, NOT_HELD, TRIALS, UNCLEAR
from jupyter_guardrails.sandbox.spec import GUARANTEES

ROOT = Path(__file__).parents[2]
SIMULATE = str(ROOT / "tests" / "sandbox" / "simulate_host.py")


def doctor(*arguments, host=None, home="/nonexistent", **variables):
    """The real command, on a lesser host if one is named."""
    prefix = [sys.executable, SIMULATE, host] if host else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDRAILS_", "XDG_"))}
    command = [*prefix, sys.executable, "-m", "jupyter_guardrails", "doctor", *arguments]
    return subprocess.run(command, env={**kept, "HOME": str(home), **variables}, capture_output=True, text=True, check=False, timeout=90)


def test_preflight_is_fine_where_all_would_hold():
    done = doctor("--preflight", "--require=files,network,memory")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing: nothing" in done.stdout
    assert "is not the one that runs" in done.stdout


@pytest.mark.parametrize(("host", "missing", "setting"), [("nolandlock", ["files"], "landlock"), ("seccomp", ["processes"], "allows unshare")])
def test_preflight_ends_with_3_and_the_setting_where_something_would_not(host, missing, setting):
    done = doctor("--preflight", "--json", f"--require={','.join(missing)},network", host=host)
    report = json.loads(done.stdout)
    assert (done.returncode, report["missing"]) == (3, missing)
    assert setting in next(g["setting"] for g in report["guarantees"] if g["name"] == missing[0])
    assert doctor("--preflight", "--require=network", host=host).returncode == 0


def test_preflight_asks_the_policy_when_nothing_is_named(tmp_path):
    policy = tmp_path / "guardrails.yaml"
    policy.write_text("apiVersion: guardrails/v1\nmode: enforce\nrequire: [files]\nrules: [{name: all, for: everyone, kernels: {max: 1}}]\n")
    assert doctor("--preflight", host="nolandlock", GUARDRAILS_POLICY=str(policy)).returncode == 3
    policy.write_text(policy.read_text().replace("[files]", "[network]"))
    assert doctor("--preflight", host="nolandlock", GUARDRAILS_POLICY=str(policy)).returncode == 0


@pytest.mark.parametrize("arguments", [("--preflight", "--require=flies"), ("--preflight", "--require="), ("--require=files",)])
def test_what_makes_no_sense_is_usage(arguments):
    done = doctor(*arguments)
    assert done.returncode == 2
    assert "next:" in done.stderr


def test_plain_doctor_names_the_setting_and_refuses_what_is_required(tmp_path):
    policy = tmp_path / "guardrails.yaml"
    policy.write_text("apiVersion: guardrails/v1\nmode: enforce\nrequire: [files]\nrules: [{name: all, for: everyone, kernels: {max: 1}}]\n")
    done = doctor(host="nolandlock", GUARDRAILS_POLICY=str(policy))
    assert done.returncode == 3
    assert "NOT HELD files (required)" in done.stdout
    assert "next: docker run --security-opt seccomp=" in done.stdout


def rows(markdown, heading):
    """The cells of the table below a heading, without its head."""
    table = markdown.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def check_form(markdown):
    """The same for the sheet of this machine and for the example."""
    assert {"kernel", "landlock", "user namespaces", "seccomp around us", "cgroup", "lsm", "container"} <= {
        row[0] for row in rows(markdown, "The machine")
    }
    assert [row[0] for row in rows(markdown, "Guarantees")] == list(GUARANTEES)
    tried = rows(markdown, "Tried")
    assert [(row[0], row[1]) for row in tried] == [(trial.guarantee, trial.promise) for trial in TRIALS]
    assert all(row[3].startswith((HELD, NOT_HELD, UNCLEAR)) and re.fullmatch(r"\d{4}-\d\d-\d\d", row[4]) for row in tried)


def test_the_sheet_of_this_machine(tmp_path):
    made = tmp_path / "sheet.md"
    done = doctor("--bundle", str(made), home=tmp_path)
    assert done.returncode == 0, done.stderr
    check_form(made.read_text())
    assert str(tmp_path) not in made.read_text()
    again = doctor("--bundle", str(made))
    assert again.returncode == 2  # nothing is overwritten
    assert "File exists" in again.stderr


def test_the_sheet_as_json():
    sheet = json.loads(doctor("--bundle", "--json").stdout)
    assert [trial["name"] for trial in sheet["trials"]] == [trial.name for trial in TRIALS]
    assert sheet["broken"] == []


def test_the_example_in_the_documentation_has_the_form_of_a_sheet():
    example = (ROOT / "docs" / "security.md").read_text().split("<!-- example sheet -->", 1)[1].replace("\n### ", "\n## ")
    check_form(example)
