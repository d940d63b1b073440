"""Really started servers, governed and plain, of the account that runs the tests or of an ordinary one; with kernels' environments made by uv."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from live_kernel import LiveKernel
from ports import free_port
from uv import find_uv_bin

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"  # not that of whoever runs the tests, whose folders others may not read
TOKEN = "token-of-the-compatibility-tests"
START_S = 90.0
ORDINARY = "guardrails-test"
ROOT = Path(__file__).parents[2]
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  roomy: {memory: 4GiB, cpus: 2}
rules:
  - name: everyone-has-room
    for: everyone
    kernels: {profiles: [roomy], default: roomy, max: 20, terminals: roomy}
"""
SECRET = "only-for-the-admin"
IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Ana"), ("EMAIL", "ana@example.com"))}


def ordinary_account() -> str | None:
    """The account for tests that root has made, when root runs them; else None, which is whoever runs the tests."""
    with contextlib.suppress(KeyError):
        return ORDINARY if os.getuid() == 0 and pwd.getpwnam(ORDINARY) else None
    return None


class LiveServer:
    """One server process; `module` follows `python -m`, everything it needs lies below `root`, whose name is short for unix sockets."""

    def __init__(
        self, root: Path, module: tuple[str, ...], *, python: str = sys.executable, account: str | None = None, arguments: tuple[str, ...] = ()
    ):
        self.root, self.port, self.token, self._module = root, free_port(), TOKEN, module
        self.workspace, self.home, self.log = root / "ws", root / "home", root / "log"
        self._account = pwd.getpwnam(account) if account else pwd.getpwuid(os.getuid())
        for folder in (self.workspace, self.home, root / "catalog", root / "elsewhere"):
            folder.mkdir(parents=True, exist_ok=True)
        (root / "elsewhere" / "secret.txt").write_text(SECRET)
        (root / "guardrails.yaml").write_text(POLICY)
        subprocess.run(["chown", "-R", f"{self._account.pw_uid}:{self._account.pw_gid}", str(root)], check=True)
        command = [python, "-m", *module, "--no-browser", f"--ServerApp.port={self.port}", f"--ServerApp.root_dir={self.workspace}"]
        command += ["--ServerApp.ip=127.0.0.1", *(["--allow-root"] if self._account.pw_uid == 0 else []), *arguments]
        become = ["setpriv", f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
        prefix = become if self._account.pw_uid != os.getuid() else []
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*prefix, *command], env=self._environment(), cwd=self.workspace, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _environment(self) -> dict[str, str]:
        places = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state"}
        environment = {name: str(self.root / place) for name, place in places.items()}
        environment |= {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": str(self.home), "JUPYTER_TOKEN": TOKEN, **IDENTITY}
        if "jupyter_guardrails" not in self._module:
            environment["JUPYTER_NO_CONFIG"] = "1"  # else the extension, which is enabled where it is installed, would govern the plain one
        return environment | {"JUPYTER_PATH": str(self.root.parent / "share" / "jupyter")}

    def wait_ready(self) -> LiveServer:
        """Returns when it answers; what it printed is the error otherwise."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                self.request("GET", "api/status").raise_for_status()
                return self
            time.sleep(0.1)  # its port can only be tried
        raise AssertionError(f"the server did not start ({self.process.poll()}):\n{self.tail()}")

    def wait_ended(self) -> str:
        """Everything it printed, once it has ended by itself."""
        self.process.wait(START_S)
        return self.log.read_text(errors="replace")

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """The answer to one request."""
        headers = {"Authorization": f"token {TOKEN}"} | arguments.pop("headers", {})
        return requests.request(method, f"http://127.0.0.1:{self.port}/{path}", headers=headers, timeout=120, **arguments)

    def kernel(self, name: str, *, notebook: str = "") -> LiveKernel:
        """A new kernel, through a session of a notebook as JupyterLab and VS Code start it, or bare."""
        if notebook:
            body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": name}}
            answer = self.request("POST", "api/sessions", json=body)
            assert answer.status_code == 201, f"{answer.text}\n{self.tail()}"
            return LiveKernel(self, answer.json()["kernel"]["id"])
        answer = self.request("POST", "api/kernels", json={"name": name})
        assert answer.status_code == 201, f"{answer.text}\n{self.tail()}"
        return LiveKernel(self, answer.json()["id"])

    def as_person(self, command: list[str]) -> str:
        """What a command prints that the server's account runs outside of all sandboxes, in its own home folder."""
        become = ["setpriv", f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
        prefix = become if self._account.pw_uid != os.getuid() else []
        done = subprocess.run([*prefix, *command], env=self._environment(), cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def own(self, path: Path) -> Path:
        """Give a file or folder that a test made to the account of the server."""
        subprocess.run(["chown", "-R", f"{self._account.pw_uid}:{self._account.pw_gid}", str(path)], check=True)
        return path

    def tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def stop(self) -> None:
        """End it by its process id, and wait."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()


def make_environment(folder: Path, packages: list[str], *, editable: bool = False) -> Path:
    """A venv with these packages; skipped when the package index is out of reach."""
    uv = find_uv_bin()
    ours = ["-e", f"{ROOT}[broker]"] if editable else []
    run_or_skip([uv, "venv", "--quiet", "--seed", "--python", os.path.realpath(sys.executable), str(folder)])
    links = [f"--find-links={place}" for place in os.environ.get("PIP_FIND_LINKS", "").split()]  # uv reads none of pip's settings
    run_or_skip([uv, "pip", "install", "--quiet", *links, "--python", str(folder / "bin" / "python"), *ours, *packages])
    return folder


def run_or_skip(command: list[str]) -> None:
    """Run what needs the package index."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no environment for compatibility tests could be made (is the package index within reach?): {done.stderr.strip()[-2000:]}")


def write_kernelspec(share: Path, name: str, argv: list[str], *, language: str = "python", **more: Any) -> None:
    """One kernelspec below a Jupyter data folder."""
    folder = share / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": language, **more}))
