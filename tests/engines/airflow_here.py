"""A real Airflow 3 in a virtual environment and a folder of the test's own, on loopback; all of it ends with the block."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from ports import free_port
from uv import find_uv_bin

PATIENCE_S = 180.0
WANTED = "apache-airflow>=3.1"
PARTS = ("api-server", "scheduler", "dag-processor")


@dataclass(frozen=True)
class Here:
    """Where it is, and the login of who may do everything in it."""

    url: str
    dags: Path
    credentials: Path


def installed(root: Path) -> str:
    """Makes `root`/airflow, an environment that holds it; why it can't be had, or nothing."""
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", str(root / "airflow")], check=True)
    install = [find_uv_bin(), "pip", "install", "-q", "--python", str(root / "airflow" / "bin" / "python"), WANTED]
    return subprocess.run(install, capture_output=True, text=True, check=False).stderr[-300:]


@contextlib.contextmanager
def running(root: Path, within: Callable[..., list[str]] = lambda *command: list(command), owner: int | None = None) -> Iterator[Here]:
    """It, once its API answers and its scheduler lives; `within`: a command line of the account `owner` that it runs as."""
    home = Path(tempfile.mkdtemp(prefix="gr-airflow-", dir="/tmp"))
    password = secrets.token_urlsafe(12)
    url = f"http://127.0.0.1:{free_port()}"
    here = Here(url, home / "dags", home / "login.yaml")
    here.dags.mkdir()
    here.credentials.touch(0o600)
    here.credentials.write_text(json.dumps({"username": "admin", "password": password}))
    (home / "passwords.json").write_text(json.dumps({"admin": password}))
    for path in (home, *home.iterdir()):
        os.chown(path, owner or os.getuid(), -1)
    environ, started = _environ(root, home, url), []
    program = str(root / "airflow" / "bin" / "airflow")
    try:
        subprocess.run(within(program, "db", "migrate"), env=environ, cwd=home, check=True, capture_output=True)
        for part in PARTS:
            log = (home / f"{part}.log").open("wb")
            command = within(program, part)
            started.append(subprocess.Popen(command, env=environ, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True))
        _until_healthy(url, started, home)
        yield here
    finally:
        _end(started)
        shutil.rmtree(home, ignore_errors=True)


def _environ(root: Path, home: Path, url: str) -> dict[str, str]:
    """Its settings: one worker of each kind, files looked at often, nothing of ours."""
    settings = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "API__HOST": "127.0.0.1",
        "API__PORT": url.rpartition(":")[2],
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets.token_hex(16),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "1",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "LOGGING__WORKER_LOG_SERVER_PORT": "0",
    }
    kept = {"PATH": f"{root / 'airflow' / 'bin'}:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "AIRFLOW_HOME": str(home)}
    return kept | {f"AIRFLOW__{name}": value for name, value in settings.items()} | {"WORKERS_OWN_SECRET": "xyzzy"}


def _until_healthy(url: str, started: list[subprocess.Popen[bytes]], home: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(requests.RequestException, ValueError):
            said = requests.get(f"{url}/api/v2/monitor/health", timeout=10).json()
            if all(said[part]["status"] == "healthy" for part in ("scheduler", "dag_processor")):
                return
        assert all(process.poll() is None for process in started), _logs(home)
        assert time.monotonic() < deadline, _logs(home)
        time.sleep(0.2)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """All parts at once, each with all that it started: they are sessions of their own."""
    for process in started:
        _signal(process, signal.SIGTERM)
    for process in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        _signal(process, signal.SIGKILL)
        process.wait(20)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _logs(home: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-3000:]}" for path in sorted(home.glob("*.log")))
