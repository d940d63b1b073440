"""`jupyter guardrails exec` under a policy that changes while it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 400MiB, cpus: 1}}
rules: [{name: everyone, for: everyone, kernels: {profiles: [small], default: small}}]
"""
PROGRAM = """
import resource, time
def try_it():
    try:
        return len(bytearray(300 << 20)) > 0
    except MemoryError:
        return False
print(try_it(), flush=True)
while resource.getrlimit(resource.RLIMIT_DATA)[0] > 300 << 20: time.sleep(0.01)
print(try_it(), flush=True)
"""


@pytest.mark.slow
def test_its_memory_limit_follows_and_it_is_told(tmp_path):
    policy, work = tmp_path / "guardrails.yaml", tmp_path / "work"
    policy.write_text(POLICY)
    for folder in (work, tmp_path / "catalog"):
        folder.mkdir()
    names = {"GUARDRAILS_POLICY": policy, "GUARDRAILS_CATALOG": tmp_path / "catalog", "GUARDRAILS_STATE_DIR": tmp_path / "state"}
    command = [sys.executable, "-m", "jupyter_guardrails", "exec", "--workspace", str(work), "--", sys._base_executable, "-c", PROGRAM]
    environment = os.environ | {name: str(path) for name, path in names.items()}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as running:
        assert running.stdout.readline() == "True\n", running.stderr.read()
        fresh = Path(tmp_path / "fresh")
        fresh.write_text(POLICY.replace("400MiB", "200MiB"))
        fresh.replace(policy)
        told = next(line for line in running.stderr if line.startswith("guardrails: "))
        assert "may now use 200 MiB of memory (before: 400 MiB)" in told
        said, _ = running.communicate(timeout=60)
        assert said == "False\n"
        assert running.returncode == 0
