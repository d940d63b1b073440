"""A person's own control with a kernelspec, submissions of small notebooks, and `jupyter guardrails job …` beside it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from uv import find_uv_bin

from jupyter_guardrails.control.interface import Settings, start_own_control
from jupyter_guardrails.control.interface.messages import SubmissionCreate, SubmissionShow

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
    data: {read: ["nyc/*"]}
    publish: {to: [team]}
promotion: {production_profile: small, checks: {vulnerabilities: off}}
"""


class World:
    """`command` runs the command line against a control that stays."""

    def __init__(self, root: Path) -> None:
        self.root, self.workspace, self.deployments = root, root / "ws", root / "deployments"
        for folder in (self.workspace, root / "catalog", self.deployments):
            folder.mkdir()
        (root / "guardrails.yaml").write_text(POLICY)

    @classmethod
    @contextlib.contextmanager
    def made(cls, root: Path) -> Iterator[World]:
        """A world whose control runs."""
        world = cls(root)
        world._add_kernelspec()
        settings = Settings(root / "guardrails.yaml", root / "catalog", root / "state", root / "state" / "control.sock", self_chosen=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
            own = start_own_control(settings)
        world.client = own.client
        try:
            yield world
        finally:
            own.stop()

    def _add_kernelspec(self) -> None:
        python = self.root / "env" / "bin" / "python"
        subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", str(self.root / "env")], check=True)
        made = subprocess.run([find_uv_bin(), "pip", "install", "-q", "--python", str(python), "ipykernel"], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"no package index answers here: {made.stderr[-200:]}")
        folder = self.root / "jupyter" / "kernels" / "tiny"
        folder.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "tiny", "language": "python", "metadata": {"supported_encryption": ["curve"]}}
        (folder / "kernel.json").write_text(json.dumps(spec))

    @property
    def environ(self) -> dict[str, str]:
        """Of the command line."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "UV_"))}
        kept |= {"PATH": os.environ["PATH"], "HOME": str(self.root), "LANG": "C.UTF-8", "JUPYTER_PATH": str(self.root / "jupyter")}
        kept |= {"GUARDRAILS_POLICY": str(self.root / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(self.root / "catalog")}
        return kept | {"GUARDRAILS_STATE_DIR": str(self.root / "state")}

    def _argv(self, words: tuple[Any, ...]) -> list[str]:
        placed = words[:1] == ("job",) and words[1] in ("deploy", "start", "runs", "logs", "undeploy", "publish")
        rest = ("--deployments", self.deployments) if placed else ()
        return [sys.executable, "-m", "jupyter_guardrails", *map(str, (*words, *rest))]

    def command(self, *words: Any) -> subprocess.CompletedProcess[str]:
        """An ended `jupyter guardrails …`."""
        return subprocess.run(self._argv(words), capture_output=True, text=True, env=self.environ, cwd=self.root, timeout=180)

    @contextlib.contextmanager
    def started(self, *words: Any, until: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs, from when `until` holds."""
        process = subprocess.Popen(self._argv(words), env=self.environ, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        try:
            while not until():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)  # of another process's files there is no event
            yield process
        finally:
            process.kill()
            process.wait()

    def json(self, *words: Any) -> Any:
        """What a command prints with --json; it must have succeeded."""
        done = self.command(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def submit(self, name: str, *sources: str, parameters: int | None = None, draft: bool = False, **details: Any) -> dict[str, Any]:
        """A submission of these cells, when its checks have ended; cell number `parameters` is tagged so."""
        cells = [new_code_cell(source, execution_count=n, id=f"cell-{n}") for n, source in enumerate(sources, 1)]
        if parameters is not None:
            cells[parameters].metadata["tags"] = ["parameters"]
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": "tiny", "display_name": "tiny"}}), self.workspace / name)
        key = os.urandom(8).hex()
        request = {"notebook": name, "workspace": str(self.workspace), "key": key, "draft": draft, "reason": "a test"} | details
        found = self.client.call(SubmissionCreate.model_validate(request))
        deadline = time.monotonic() + 120
        while found["state"] in ("submitted", "checking"):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)  # control has no event to wait for over its socket
            found = self.client.call(SubmissionShow(id=found["id"]))
        assert found["state"] == ("draft" if draft else "in_review"), found
        return found

    def deploy(self, submission: str, *words: str) -> dict[str, Any]:
        """A live deployment."""
        found: dict[str, Any] = self.json("job", "deploy", submission, *words)["deployment"]
        return found

    def deployment(self, id: str) -> dict[str, Any]:
        """As control knows it now."""
        found: dict[str, Any] = self.json("job", "runs", id)["deployments"][0]
        return found

    def runs(self, id: str) -> list[dict[str, Any]]:
        """Its runs, newest first."""
        found: list[dict[str, Any]] = self.deployment(id)["runs"]
        return found

    def place(self, id: str) -> Path:
        """Its folder."""
        return self.deployments / id
