"""A really running `jupyter guardrails lab` of one person, with a small policy, a small catalogue and kernels in an environment of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests
from ports import free_port
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from uv import find_uv_bin

TOKEN = "token-of-the-browser-tests"
START_S = 90
KERNEL_PACKAGES = ("ipykernel", "pandas", "fsspec")
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
groups: {analysts: [ana]}
profiles:
  small: {memory: 1GiB, cpus: 1}
  large: {memory: 2GiB, cpus: 2}
rules:
  - name: everyone-starts-small
    for: everyone
    kernels: {profiles: [small, large], default: small, max: 20, terminals: small}
    data: {read: ["nyc/*"], request: ["hr/*"], browse: all}
  - name: restricted-stays-shut
    for: everyone
    deny: {data: [{classification: restricted}]}
promotion:
  production_profile: small
  checks: {clean_run: require, data: require, environment: "off", secrets: require, order: warn, vulnerabilities: "off"}
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {id}
name: {name}
version: 1.0.0
status: active
domain: {domain}
description: {{purpose: "{purpose}"}}
team: {{name: owners, members: [{{username: carol, role: owner}}]}}
servers: [{{server: local, type: local, path: {path}, format: csv}}]
schema:
  - name: {name}
    physicalType: table
    properties:
      - {{name: carrier, logicalType: string, description: Airline}}
      - {{name: flights, logicalType: integer, description: How many}}
customProperties: [{{property: guardrails.classification, value: {classification}}}]
"""
DATASETS = (
    ("nyc/flights", "Flights that left New York, by airline", "internal"),
    ("nyc/weather", "Weather at the airports, by hour", "public"),
    ("hr/bonuses", "Bonuses by team", "confidential"),
    ("hr/headcount", "People by team and month", "confidential"),
    ("hr/salaries", "Salaries by person", "restricted"),
)
GOOD = ("import pandas as pd\n\ndf = pd.DataFrame({'x': range(5)})", "print(df['x'].sum())")
BAD = ("x = 1", "password = 'hunter2-and-more-Z8xQ1v'\nprint(x)")
PLACES = {"policy": "guardrails.yaml", "catalog": "catalog", "state": "state", "workspace": "ws"}


def make_kernel_environment(root: Path) -> Path:
    """An environment for kernels that has nothing of ours, as a scientist's has; below it lies the Jupyter path of its kernelspec."""
    uv, folder = find_uv_bin(), root / "env"
    python = str(folder / "bin" / "python")
    for command in (
        [uv, "venv", "--quiet", "--python", os.path.realpath(sys.executable), str(folder)],
        [uv, "pip", "install", "--quiet", "--python", python, *KERNEL_PACKAGES],
        [python, "-m", "ipykernel", "install", f"--prefix={folder}", "--name=study", "--display-name=Study"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no environment for kernels could be made (is the package index within reach?): {done.stderr.strip()}")
    return folder / "share" / "jupyter"


class GovernedLab:
    """One `jupyter guardrails lab` of ana's, or another `command` (interpreter, application); all it needs lies below `root`, a short name."""

    def __init__(
        self, *, policy: str = POLICY, jupyter_path: Path | None = None, port: int | None = None, command: tuple[str, str] = (sys.executable, "lab")
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
        self.token = TOKEN
        self.policy, self.catalog, self.state, self.workspace = (self.root / name for name in PLACES.values())
        for folder in (self.catalog, self.workspace, self.root / "home", self.root / "data"):
            folder.mkdir()
        self.policy.write_text(policy)
        for name, purpose, classification in DATASETS:
            self.add_dataset(name, purpose, classification)
        self.add_notebook("good.ipynb", *GOOD)
        self.add_notebook("bad.ipynb", *BAD)
        self.jupyter_path = jupyter_path or make_kernel_environment(self.root)
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self.lines: list[str] = []
        self._ready, self._ended = threading.Event(), threading.Event()
        self.process = self._start(port, *command)
        threading.Thread(target=self._read_log, daemon=True).start()

    def put_policy(self, text: str) -> None:
        """Write a valid policy that is another one, and return once control goes by it."""
        before = self._policy_digest()
        self.policy.write_text(text)
        deadline = time.monotonic() + START_S
        while self._policy_digest() == before:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _policy_digest(self) -> str:
        answer = requests.get(f"{self.url}guardrails/me", headers={"Authorization": f"token {self.token}"}, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["policy"]["digest"])

    def add_dataset(self, name: str, purpose: str, classification: str) -> None:
        """A contract and its three rows."""
        domain, _, title = name.partition("/")
        path = self.root / "data" / f"{title}.csv"
        path.write_text("carrier,flights\nAA,3\nUA,5\nDL,7\n")
        text = CONTRACT.format(id=name.replace("/", "-"), name=title, domain=domain, purpose=purpose, path=path, classification=classification)
        (self.catalog / f"{domain}_{title}.odcs.yaml").write_text(text)

    def add_notebook(self, name: str, *sources: str, tags: Mapping[int, list[str]] | None = None) -> None:
        """A notebook that has never run; `tags` of some of its cells."""
        kernelspec = {"kernelspec": {"name": "study", "display_name": "Study", "language": "python"}}
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        for number, names in (tags or {}).items():
            cells[number].metadata["tags"] = names
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernelspec), self.workspace / name)

    def _start(self, port: int, python: str, application: str) -> subprocess.Popen[str]:
        command = [
            os.path.abspath(python),
            "-m",
            "jupyter_guardrails",
            application,
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--LabApp.expose_app_in_browser=True",  # a page of these tests may run JupyterLab's commands
        ]
        command += [f"--ServerApp.root_dir={self.workspace}", *(["--allow-root"] if os.getuid() == 0 else [])]
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.root / "home"), "JUPYTER_TOKEN": TOKEN, "GUARDRAILS_AS": "ana"}
        environment |= {"GUARDRAILS_POLICY": str(self.policy), "GUARDRAILS_CATALOG": str(self.catalog), "GUARDRAILS_STATE_DIR": str(self.state)}
        environment |= {name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "PIP_", "UV_"))}  # which package index
        environment["JUPYTER_PATH"] = str(self.jupyter_path)
        return subprocess.Popen(command, env=environment, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if "is running at" in line:
                self._ready.set()
        self._ended.set()
        self._ready.set()

    def wait_ready(self) -> GovernedLab:
        """Returns when it answers; what it printed is the error otherwise."""
        assert self._ready.wait(START_S), self.log()
        assert not self._ended.is_set(), self.log()
        with requests.Session() as session:  # its sockets are bound before they answer
            session.mount("http://", HTTPAdapter(max_retries=Retry(total=8, backoff_factor=0.1)))
            session.get(f"{self.url}api/status", headers={"Authorization": f"token {self.token}"}, timeout=30).raise_for_status()
        return self

    def log(self) -> str:
        """The last lines that it printed."""
        return "".join(self.lines[-200:])

    def stop(self) -> None:
        """End it by its process id, wait, and remove its files."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


@contextlib.contextmanager
def running(**arguments: Any) -> Iterator[GovernedLab]:
    """A Lab that is ready; it ends with the block."""
    server = GovernedLab(**arguments)
    try:
        yield server.wait_ready()
    finally:
        server.stop()
