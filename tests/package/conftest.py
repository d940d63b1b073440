from pathlib import Path

import pytest

from jupyter_guardrails.package import manifest
from jupyter_guardrails.package.job import Job

JOB = {
    "name": "sales",
    "entry": "sales.ipynb",
    "owner": "ana",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {"type": "object", "properties": {}}},
    "resources": {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 64, "wall_s": 60},
    "policy_digest": "0" * 64,
}


@pytest.fixture
def job() -> Job:
    return Job.model_validate(JOB)


@pytest.fixture
def folder(tmp_path: Path, job: Job) -> Path:
    """A built package without attestations."""
    return build(tmp_path / "package", job)


def build(folder: Path, job: Job) -> Path:
    files = {
        "src/sales.ipynb": '{"cells": []}',
        "src/data/ü.csv": "a,b\n",
        "lib/guarded/__init__.py": "",
        "env/pylock.kernel.toml": "",
        "env/pylock.runner.toml": "",
        "evidence/checks.json": "{}",
        "run.py": "print()",
        "job.json": job.to_text(),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    manifest.write_manifest(folder)
    return folder
