"""A JupyterLab that has our page and not our server extension, as one that was started by another command, or by one that forgot it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

START_S = 90
WITHOUT = "--ServerApp.jpserver_extensions={'jupyter_guardrails': False}"


class PlainLab:
    """It listens on 127.0.0.1 and its files lie below `root`."""

    def __init__(self, *, port: int, token: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gp-", dir="/tmp"))
        self.url, self.token = f"http://127.0.0.1:{port}/", token
        self.log = (self.root / "log").open("w+")
        command = [os.path.abspath(sys.executable), "-m", "jupyterlab", "--no-browser", WITHOUT, "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={self.root}", *(["--allow-root"] if os.getuid() == 0 else [])]
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.root), "JUPYTER_TOKEN": token}
        self.process = subprocess.Popen(command, env=environment, cwd=self.root, stdout=self.log, stderr=self.log)

    def wait_ready(self) -> PlainLab:
        """Returns when it answers; what it printed is the error otherwise."""
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{self.url}api/status", headers={"Authorization": f"token {self.token}"}, timeout=30).raise_for_status()
                return self
            time.sleep(0.1)
        raise AssertionError((self.root / "log").read_text())

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def plain_lab(*, port: int, token: str) -> Iterator[PlainLab]:
    """A plain Lab that is ready; it ends with the block."""
    server = PlainLab(port=port, token=token)
    try:
        yield server.wait_ready()
    finally:
        server.kill()
        server.log.close()
        shutil.rmtree(server.root, ignore_errors=True)
