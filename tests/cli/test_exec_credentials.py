"""`credentials.yaml` from inside a real sandbox: it can't be read in any mode, and nothing starts where it could be; `doctor` says what is wrong."""

import json
import os
import subprocess
import sys

import pytest

POLICY = "apiVersion: guardrails/v1\nmode: {mode}\nrules: [{{name: all, for: everyone}}]\n"
SECRET = "hunter2-AKIAEXAMPLE"


@pytest.fixture
def place(tmp_path):
    for folder in ("policy", "catalog", "home", "workspace"):
        (tmp_path / folder).mkdir()
    (tmp_path / "workspace" / "note").write_text("a note\n")
    credentials = tmp_path / "policy" / "credentials.yaml"
    credentials.write_text(f"sources: [{{for: s3://lake, key: a, secret: {SECRET}}}]\n")
    credentials.chmod(0o600)
    return tmp_path


def run(place, mode, *command):
    (place / "policy" / "guardrails.yaml").write_text(POLICY.format(mode=mode))
    environ = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "GUARDRAILS_STATE_DIR": str(place / "state")}
    environ |= {"GUARDRAILS_POLICY": str(place / "policy" / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(place / "catalog")}
    whole = [sys.executable, "-m", "jupyter_guardrails", *command]
    return subprocess.run(whole, env=environ, cwd=place, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_a_kernel_reads_its_note_and_not_the_credentials(place, mode):
    look = f"cat note; cat {place}/policy/credentials.yaml; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    done = run(place, mode, "exec", "--workspace", str(place / "workspace"), "--", "/bin/sh", "-c", look)
    assert "a note" in done.stdout, done.stderr
    assert "GUARDRAILS" in done.stdout or "PATH=" in done.stdout
    assert "credentials.yaml" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_nothing_starts_where_a_kernel_could_read_it(place):
    done = run(place, "enforce", "exec", "--workspace", str(place / "policy"), "--", "/bin/cat", "credentials.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "kernels run as control's account here" in done.stderr


def test_doctor_says_whether_it_is_right_and_never_what_is_in_it(place):
    right = run(place, "enforce", "doctor", "--json")
    assert json.loads(right.stdout)["credentials"] == {"path": str(place / "policy" / "credentials.yaml"), "there": True, "problems": []}
    (place / "policy" / "credentials.yaml").chmod(0o644)
    wrong = run(place, "enforce", "doctor")
    assert wrong.returncode in (2, 3)
    assert "has mode 644, and others may read or change it" in wrong.stdout
    assert "secrets    " in wrong.stdout
    assert SECRET not in right.stdout + wrong.stdout + wrong.stderr
