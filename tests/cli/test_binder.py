"""Binder: what its image is made with, and that its command line starts the governed demo behind a base URL."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import pytest
import requests
from ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
BASE, TOKEN = "/user/flights-demo-x1/", "token-of-binder"
INDEX = ("SSL_CERT_", "PIP_", "UV_", "NODE_", "YARN_", "NPM_CONFIG_", "npm_config_")  # which package index, and whose certificates it has
START_S, BUILD_S = 900.0, 900.0  # the demo makes an environment of some hundred MB first
SAID_TWICE = ("base_url=" + BASE, "token=" + TOKEN, "trust_xheaders=True", "default_url=/lab", "allow_origin=*", "allow_origin_pat=.*")


def command_line(port: int) -> list[str]:
    """As Binder's spawner writes it: each setting for the old server and for the new one."""
    settings = [f"--{server}.{setting}" for server in ("NotebookApp", "ServerApp") for setting in SAID_TWICE]
    return [str(ROOT / "binder" / "start"), "jupyter-notebook", "--ip=127.0.0.1", f"--port={port}", *settings]


def environment_of(home: Path, bin_: Path) -> dict[str, str]:
    """A person's, whose first programs are those of one environment."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(INDEX)}
    return {**kept, "HOME": str(home), "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}


@contextlib.contextmanager
def started(home: Path, bin_: Path):
    """The address of what `binder/start` runs, for the length of this block."""
    port = free_port()
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command_line(port), env=environment_of(home, bin_), cwd=home, stdout=output, stderr=output)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}{BASE}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def wait_until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the server does; what it printed is the error otherwise."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if requests.get(f"{address}api/status", headers=AS_BINDER, timeout=30).ok:
                return
        time.sleep(0.1)
    pytest.fail(f"it did not start ({process.poll()}): {log.read_text()[-3000:]}")


AS_BINDER = {"Authorization": f"token {TOKEN}"}


def assert_governed(server: str) -> None:
    """Behind its base URL, for who has the token alone, as ana of the demo, with the demo's data."""
    found = requests.get(f"{server}{BASE}guardrails/me", headers=AS_BINDER, timeout=60)
    assert found.status_code == 200, found.text
    assert found.json()["person"] == "ana"
    names = [one["name"] for one in requests.get(f"{server}{BASE}guardrails/datasets", headers=AS_BINDER, timeout=60).json()["datasets"]]
    assert "nyc/flights" in names
    assert "tour.ipynb" in requests.get(f"{server}{BASE}api/contents", headers=AS_BINDER, timeout=60).text
    assert requests.get(f"{server}{BASE}guardrails/me", timeout=60).status_code == 403
    assert requests.get(f"{server}/guardrails/me", headers=AS_BINDER, timeout=60).status_code == 404


@pytest.fixture
def home():
    """A home with a short name, which a demo's sockets need."""
    folder = Path(tempfile.mkdtemp(prefix="gr-b-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_its_command_line_starts_the_governed_demo_behind_a_base_url(home):
    with started(home, Path(sys.executable).parent) as server:
        assert_governed(server)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
def test_its_image_is_built_from_a_fresh_checkout_and_starts(home):
    """As repo2docker runs it: postBuild in the checkout's root, in an environment that has nothing of ours."""
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    checkout, environment = home / "checkout", home / "environment"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    venv.create(environment, with_pip=True)
    built = subprocess.run(
        [str(checkout / "binder" / "postBuild")],
        env=environment_of(home, environment / "bin"),
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    shutil.rmtree(checkout)  # what was installed stands for itself
    with started(home, environment / "bin") as server:
        assert_governed(server)
