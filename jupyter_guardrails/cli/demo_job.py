"""Runs a job package as somebody else would: another account, an empty folder, the system's Python, without this project."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jupyter_guardrails import errors

OTHER_ACCOUNT = "nobody"
SYSTEM_PYTHON = "/usr/bin/python3"
INDEX_SETTINGS = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_CERT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_FIND_LINKS",
    "SSL_CERT_FILE",
)
TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class JobRun:
    """Who ran it, where, and its result table as the CSV's bytes."""

    account: str
    folder: Path
    table: bytes


def run_elsewhere(package: Path, datasets: dict[str, str], *, table: str) -> JobRun:
    """Unpack and run a package in an empty folder; raises GuardrailsError with the end of what it printed."""
    account, identity = _other_account()
    folder = Path(tempfile.mkdtemp(prefix="gr-job-", dir="/tmp"))
    shutil.copyfile(package, folder / "package.zip")
    _give(folder, identity)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", **_index_settings()}
    _unreadable(datasets.values(), identity, environment)
    _run([SYSTEM_PYTHON, "-m", "zipfile", "-e", "package.zip", "job"], folder, identity, environment)
    command = [SYSTEM_PYTHON, "run.py", "--out=../out", *(f"--dataset={name}={path}" for name, path in datasets.items())]
    _run(command, folder / "job", identity, environment)
    found = folder / "out" / "files" / table
    if not found.is_file():
        raise errors.GuardrailsError(f"the job ended well but left no {table}", next_step=f"look into {folder / 'out'}")
    return JobRun(account, folder, found.read_bytes())


def _other_account() -> tuple[str, dict[str, object]]:
    """A name and the arguments of subprocess that make a process this account's."""
    if os.getuid() != 0:
        return f"{pwd.getpwuid(os.getuid()).pw_name} (the same account with an empty home: only root can become another)", {}
    entry = pwd.getpwnam(OTHER_ACCOUNT)
    return OTHER_ACCOUNT, {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _give(folder: Path, identity: dict[str, object]) -> None:
    for place in (folder, *folder.iterdir()):
        if identity:
            os.chown(place, identity["user"], identity["group"])  # type: ignore[arg-type] # numbers, as made above


def _index_settings() -> dict[str, str]:
    """Where packages come from is the machine's business, not the author's: these pass."""
    return {name: os.environ[name] for name in INDEX_SETTINGS if name in os.environ}


def _unreadable(paths: Iterable[str], identity: dict[str, object], environment: dict[str, str]) -> None:
    """Say it in a sentence when the other account can't reach the data, instead of letting the job fail."""
    for path in paths:
        done = subprocess.run(["/usr/bin/head", "-c1", path], capture_output=True, env=environment, cwd="/", check=False, **identity)  # type: ignore[call-overload] # user, group
        if done.returncode != 0:
            raise errors.GuardrailsError(
                f"the account that runs the job can't read {path}", next_step="put the demo where everybody can read, with --dir /tmp/demo"
            )


def _run(command: list[str], folder: Path, identity: dict[str, object], environment: dict[str, str]) -> None:
    done = subprocess.run(  # type: ignore[call-overload] # user, group
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
        **identity,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.decode(errors="replace").splitlines()[-25:])
        raise errors.GuardrailsError(f"the job failed with exit code {done.returncode}:\n{end}", next_step=f"it ran in {folder}: {' '.join(command)}")
