"""A tiny real environment with a kernelspec, a workspace, a catalogue, and a real control process over them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output
from uv import find_uv_bin

from jupyter_guardrails.control.interface import ControlClient, Settings, start_own_control
from jupyter_guardrails.control.interface.messages import DatasetShow, SubmissionCreate, SubmissionPackage, SubmissionShow
from jupyter_guardrails.errors import NotFound

REASON = "a test submits what it made"  # warnings need one
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
    data: {read: ["nyc/*"], request: ["hr/*"]}
    network: {allow: ["packages.example.com:443"]}
promotion:
  production_profile: small
  checks: {vulnerabilities: off}  # it asks an index: test_promotion_checks.py has one of its own
  packages: {deny: [telnetlib3]}
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds ipykernel only."""
    folder = tmp_path_factory.mktemp("tiny") / "env"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", "/usr/bin/python3", str(folder)], check=True)
    made = subprocess.run([uv, "pip", "install", "-q", "--python", str(folder / "bin/python"), "ipykernel"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no package index answers here: {made.stderr[-200:]}")
    return folder / "bin" / "python"


def add_kernelspec(root: Path, name: str, python: Path) -> None:
    folder = root / "kernels" / name
    folder.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python", "metadata": {"supported_encryption": ["curve"]}}
    (folder / "kernel.json").write_text(json.dumps(spec))


@pytest.fixture
def jupyter_path(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on JUPYTER_PATH with the kernelspec `tiny`."""
    add_kernelspec(tmp_path / "jupyter", "tiny", tiny)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return tmp_path / "jupyter"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all worlds of a run of the tests keep the environments that clean runs build; those of other test processes too."""
    folder = tmp_path_factory.getbasetemp().parent / "environments"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class World:
    """A workspace, a catalogue and control's client; `submit` waits for the end. `environments`: where others built theirs."""

    def __init__(self, root: Path, environments: Path | None = None) -> None:
        self.root = root
        self.workspace, self.catalog, self.state_dir = root / "ws", root / "catalog", root / "state"
        self.workspace.mkdir()
        self.catalog.mkdir()
        if environments:
            self.state_dir.mkdir(mode=0o700)
            (self.state_dir / "environments").symlink_to(environments)
        (root / "guardrails.yaml").write_text(POLICY)
        self.client: ControlClient | None = None

    @property
    def settings(self) -> Settings:
        return Settings(self.root / "guardrails.yaml", self.catalog, self.state_dir, self.root / "c.sock", self_chosen=True)

    def notebook(
        self, *sources: str, name: str = "sales.ipynb", kernel: str = "tiny", outputs: dict[int, str] | None = None, **tags: list[str]
    ) -> Path:
        """A notebook as a fresh run from top to bottom leaves it; `outputs` are what cells printed; `tags` by `c0=[...]`."""
        cells = []
        for number, source in enumerate(sources):
            text = (outputs or {}).get(number)
            shown = [new_output("stream", name="stdout", text=text)] if text else []
            found = new_code_cell(source, execution_count=number + 1, outputs=shown, id=f"cell-{number}")
            found.metadata["tags"] = tags.get(f"c{number}", [])
            cells.append(found)
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": kernel, "display_name": kernel}}), path)
        return path

    def dataset(self, name: str, text: str = "a,b\n1,2\n", classification: str = "internal") -> Path:
        """A contract, and a CSV file for it."""
        domain, _, last = name.partition("/")
        path = self.root / "data" / f"{domain}-{last}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        contract = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": name,
            "name": last,
            "version": "1.2.0",
            "status": "active",
            "domain": domain,
            "description": {"purpose": f"All {last}"},
            "team": {"name": "team", "members": [{"username": "dana", "role": "owner"}]},
            "servers": [{"server": "here", "type": "local", "path": str(path), "format": "csv"}],
            "schema": [{"name": last, "properties": [{"name": "a", "logicalType": "integer"}]}],
            "customProperties": [{"property": "guardrails.classification", "value": classification}],
        }
        self.put_up(contract)
        return path

    def contract(self, name: str) -> dict[str, Any]:
        """A dataset's contract as its file says it now."""
        return dict(yaml.safe_load(self._contract_file(name).read_text()))

    def put_up(self, contract: dict[str, Any]) -> None:
        """Write a contract, and return once control goes by it: a catalogue's change shows after a second."""
        name, word = contract["id"], os.urandom(8).hex()
        marked = contract | {"description": {"purpose": f"{contract['description']['purpose']} ({word})"}}
        self._contract_file(name).write_text(yaml.safe_dump(marked))
        deadline = time.monotonic() + 30.0
        while self.client and word not in self._purpose(name):
            assert time.monotonic() < deadline, f"control does not go by the contract of {name}"
            time.sleep(0.05)  # control has no event to wait for over its socket

    def _contract_file(self, name: str) -> Path:
        return self.catalog / f"{name.replace('/', '-')}.odcs.yaml"

    def _purpose(self, name: str) -> str:
        assert self.client
        try:
            return str(self.client.call(DatasetShow(name=name))["description"])
        except NotFound:
            return ""

    def create(self, notebook: str = "sales.ipynb", **fields: Any) -> dict[str, Any]:
        assert self.client
        return self.client.call(
            SubmissionCreate(**{"notebook": notebook, "workspace": str(self.workspace), "key": os.urandom(8).hex(), "reason": REASON} | fields)
        )

    def show(self, id: str) -> dict[str, Any]:
        assert self.client
        return self.client.call(SubmissionShow(id=id))

    def wait(self, id: str, until: Any = None, timeout_s: float = 90.0) -> dict[str, Any]:
        """The submission once `until` holds for it, or once its checks have ended."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.show(id)
            if until(found) if until else found["state"] not in ("submitted", "checking"):
                return found
            time.sleep(0.05)  # control has no event to wait for over its socket
        raise AssertionError(f"still {found['state']}: {found['checks']}")

    def submit(self, notebook: str = "sales.ipynb", **fields: Any) -> dict[str, Any]:
        return self.wait(self.create(notebook, **fields)["id"])

    def package(self, id: str, target: Path) -> Path:
        assert self.client
        _, fds = self.client.call_with_fds(SubmissionPackage(id=id))
        with open(fds[0], "rb") as source:
            target.write_bytes(source.read())
        return target


def check_of(submission: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in submission["checks"] if check["name"] == name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny: Path, environments: Path) -> Iterator[World]:
    """A world whose control runs, for all tests of a module: environments are built once."""
    root = tmp_path_factory.mktemp("w")
    add_kernelspec(root / "jupyter", "tiny", tiny)
    found = World(root, environments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        own = start_own_control(found.settings)
    found.client = own.client
    yield found
    own.stop()


@pytest.fixture
def fresh(tmp_path: Path, jupyter_path: Path, environments: Path) -> World:
    """A world whose control the test starts and ends itself."""
    return World(tmp_path, environments)
