"""What Airflow's task does for one run of a deployment. Standard library only, Python 3.11 or newer.

    python3 -I airflow_task.py NUMBER AIRFLOWS_NAME_OF_THE_RUN

It lies in the deployment's folder. NUMBER is a run that `job start` began, which left a mark; 0: Airflow's own schedule began it, and
control is asked for a number first. So whoever may trigger DAGs in Airflow starts nothing that control has not allowed.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ASKED = "asked"  # folder of marks, one a run that `job start` handed to Airflow
REFUSED = 1


class NotAllowed(Exception):
    """Why nothing is started."""


def number_of(folder: Path, deployed: dict[str, Any], number: int, name: str, environ: dict[str, str]) -> int:
    """The run's number, which control gave out; NotAllowed without one."""
    if number:
        try:
            (folder / ASKED / str(number)).unlink()
        except FileNotFoundError:
            raise NotAllowed(f"run {number} was not begun by `job start`") from None
        return number
    if not deployed["command"]:
        raise NotAllowed("it was not begun by `job start`, and control can't be asked from here")
    asked = _guardrails(folder, deployed, environ, "start", f"--engine-job={name}")
    if asked.returncode:
        raise NotAllowed(f"control refused it: {asked.stderr.strip()[-2000:]}")
    return int(asked.stdout)


def report(folder: Path, deployed: dict[str, Any], environ: dict[str, str]) -> None:
    """Control is told how it ended, where it can be from here; `job runs` tells it in any case."""
    if deployed["command"]:
        told = _guardrails(folder, deployed, environ, "runs")
        if told.returncode:
            print(f"control was not told how it ended: {told.stderr.strip()[-2000:]}", flush=True)


def _guardrails(folder: Path, deployed: dict[str, Any], environ: dict[str, str], verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [deployed["command"][0], "-I", "-m", "jupyter_guardrails", "job", verb, folder.name, f"--deployments={folder.parent}", *words]
    return subprocess.run(command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def execute(folder: Path, number: int, environ: dict[str, str]) -> int:
    """The run, by start.py; told to end, it tells the run so and waits for that."""
    command = [str(folder / "python"), "-I", str(folder / "start.py"), str(number)]
    child = subprocess.Popen(command, env=environ, cwd=folder, stdin=subprocess.DEVNULL)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: child.terminate())
    return child.wait()


def main(folder: Path, number: int, name: str) -> int:
    """The run's exit code; nothing of the worker's own environment goes along."""
    owner = os.stat(folder).st_uid
    if os.getuid() != owner:
        print(f"this worker's account is {os.getuid()}, and the deployment is {owner}'s: its runs have the rights of who deployed it")
        return REFUSED
    deployed = json.loads((folder / "deployment.json").read_text(encoding="utf-8"))
    environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": pwd.getpwuid(owner).pw_dir, **deployed["environ"]}
    try:
        number = number_of(folder, deployed, number, name, environ)
    except NotAllowed as problem:
        print(f"nothing was run: {problem}", flush=True)
        return REFUSED
    code = execute(folder, number, environ)
    print(f"run {number} ended with exit code {code}; its log is {folder / 'runs' / str(number) / 'log.txt'}", flush=True)
    report(folder, deployed, environ)
    return code


if __name__ == "__main__":
    sys.exit(main(HERE, int(sys.argv[1]), sys.argv[2]))
