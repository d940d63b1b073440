"""submit and job from the command line: progress, verdicts, exit codes; a real control comes and goes with each command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails.cli import submit

pytestmark = pytest.mark.slow  # left out of `make test-fast`

REPOSITORY = Path(__file__).resolve().parents[2]
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
promotion: {production_profile: small, checks: {clean_run: "off", vulnerabilities: "off"}}
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "guardrails.yaml").write_text(POLICY)
    (tmp_path / "catalog").mkdir()
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "JUPYTER_PATH": str(tmp_path / "jupyter")}
    environ |= {"GUARDRAILS_POLICY": str(tmp_path / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(tmp_path / "catalog")}
    environ |= {"GUARDRAILS_STATE_DIR": str(tmp_path / "state")}

    def run(*arguments):
        argv = [sys.executable, "-m", "jupyter_guardrails", *map(str, arguments)]
        return subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)

    return run


def notebook(path: Path, source: str = "x = 1", kernel: str = "gone") -> Path:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "outputs": [], "source": source}
    path.write_text(
        json.dumps({"cells": [cell], "metadata": {"kernelspec": {"name": kernel, "display_name": ""}}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def test_a_failed_check_is_exit_1_with_its_fix_and_is_listed_and_shown(command, tmp_path):
    done = command("submit", notebook(tmp_path / "nb.ipynb"))
    assert done.returncode == 1, done.stderr
    assert "FAILED       The environment can be rebuilt: there is no kernelspec 'gone'" in done.stdout
    assert "fix: choose one of them" in done.stdout
    rows = json.loads(command("job", "list", "--json").stdout)["submissions"]
    assert [row["state"] for row in rows] == ["checks_failed"]
    shown = command("job", "show", rows[0]["id"])
    assert shown.returncode == 0
    assert "its checks failed" in shown.stdout
    saved = command("job", "save", rows[0]["id"])
    assert saved.returncode == 1
    assert "has no package" in saved.stderr


def test_errors_have_their_codes(command, tmp_path):
    assert command("submit", "gone.ipynb").returncode == 1
    assert command("submit", notebook(tmp_path / "nb.ipynb"), "--param", "x").returncode == 2
    assert command("submit", tmp_path / "nb.ipynb", "--workspace", tmp_path / "catalog").returncode == 2
    assert command("job", "show", "nope").returncode == 1
    assert command("job", "verify", "nope.zip").returncode == 1
    assert command("job").returncode == 2


def test_a_package_of_nobody_is_not_trusted_and_not_run(command, tmp_path):
    from jupyter_guardrails.package import archive, manifest, signatures
    from jupyter_guardrails.package.job import Job

    job = {"name": "x", "entry": "x.ipynb", "owner": "eve", "parameters": {"json_schema": {}}, "policy_digest": ""}
    job |= {"python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"}}
    job |= {"resources": {"memory_bytes": 1, "cpus": 1, "tasks": 1, "wall_s": 1}}
    folder = tmp_path / "p"
    for name in ("src/x.ipynb", "env/pylock.kernel.toml", "env/pylock.runner.toml", "evidence/checks.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "run.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "job.json").write_text(Job.model_validate(job).to_text())
    digests = manifest.write_manifest(folder)
    signer = signatures.open_signer(tmp_path / "eve")
    (folder / "attestations").mkdir()
    (folder / "attestations" / "provenance.dsse.json").write_text(signatures.sign(signer, digests, signatures.PROVENANCE, {}))
    archive.pack(folder, tmp_path / "p.zip")
    refused = command("job", "verify", "p.zip")
    assert refused.returncode == 1
    assert "NOT trusted" in refused.stdout
    trusted = command("job", "verify", "p.zip", "--trust", tmp_path / "eve")
    assert trusted.returncode == 0, trusted.stdout + trusted.stderr
    run = command("job", "run", "p.zip")
    assert run.returncode == 1
    assert "is not trusted here" in run.stderr
    assert not (tmp_path / "ran").exists()


def test_news_are_said_once():
    check = {"name": "a", "title": "A", "state": "running", "detail": "", "findings": [], "seconds": None}
    shown: dict[str, str] = {}
    assert list(submit._news({"checks": [check]}, shown)) == ["…            A"]
    assert list(submit._news({"checks": [check]}, shown)) == []
    done = check | {"state": "failed", "detail": "one", "findings": [{"cell": 0, "line": 2, "message": "m", "fix": "f"}]}
    assert list(submit._news({"checks": [done]}, shown)) == ["FAILED       A: one", "             - cell 1, line 2: m", "               fix: f"]
