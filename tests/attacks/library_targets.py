"""What the published snippets of kind `library` call of ours: each takes what the snippet hands it, and does with it what the product does."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from uv import find_uv_bin

from jupyter_guardrails.engines import local
from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.policy.yamltree import read_tree
from jupyter_guardrails.promotion import builder

JOB = {
    "name": "sales",
    "entry": "a.ipynb",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "resources": {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 64, "wall_s": 60},
    "policy_digest": "0" * 64,
}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "default": ""}}}
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
ENVIRONMENT = {"PATH": f"{os.path.dirname(find_uv_bin())}:/usr/bin:/bin"}


def unpack(path, destination):
    """A package is read."""
    archive.unpack(path, destination)


def policy(text):
    """A policy's text is read; its mistakes are raised."""
    root, problems = read_tree(text.encode(), "guardrails.yaml")
    if problems:
        raise PolicyError(problems)
    return root


def package(folder, text):
    """A package whose author wrote this text wherever one may: owner, dataset, parameter's value."""
    files = {"env/pylock.kernel.toml": "packages = []\n", "env/pylock.runner.toml": "packages = []\n", "src/a.ipynb": json.dumps(NOTEBOOK)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    builder.copy_program(folder)
    said = {"owner": text, "inputs": [{"name": text}], "parameters": {"json_schema": SCHEMA, "values": {"name": text}}}
    (folder / "job.json").write_text(Job.model_validate(JOB | said).to_text())
    manifest.write_manifest(folder)
    return folder


def command(text):
    """The local engine runs such a job; the exit codes and words of its two steps: building, and running, which an empty lock can't."""
    with tempfile.TemporaryDirectory() as made:
        root, steps = Path(made), []

        def start(step):
            done = subprocess.run(
                step.argv, cwd=step.cwd, env=ENVIRONMENT | {"TMPDIR": made, "HOME": made}, capture_output=True, text=True, timeout=100
            )
            steps.append((done.returncode, done.stdout + done.stderr))
            return done.returncode if step.index else 0

        request = local.Request(
            package(root / "built", text), root / "job", root / "out", root / "cache", parameters={"name": text}, datasets={text: "/etc/hostname"}
        )
        request.folder.mkdir()
        local.unpack(request)
        local.run(request, start)
        return steps
