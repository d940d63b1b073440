"""Starts one run of a deployment: checks the package, runs it, keeps its log and how it ended. Standard library only, Python 3.11 or newer.

    python3 -I start.py NUMBER

It lies outside of the package, in the deployment's folder, where nothing of the author's can change it: it runs nothing whose manifest, and whose
run.py, are not the very bytes that were deployed. run.py verifies every other file. What a run writes is in runs/NUMBER/; where the job says so,
one that failed is tried again, and what an earlier attempt wrote is in runs/NUMBER/attempts/1/ and so on.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest-sha256.txt"
LOG_BYTES = 16 << 20  # of a run's log; what comes after that is not kept
ALTERED = 1
FOR_GOOD = (0, 2, 3)  # of run.py: fine, wrongly called, and a machine that can't: to try these again changes nothing


def sha256(path: Path) -> str:
    """sha256 hex of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def problem_of(folder: Path, deployed: dict[str, Any]) -> str:
    """Why nothing of this package may run here; empty when it may."""
    if (folder / "ended").exists():
        return "this deployment has ended"
    manifest = folder / "package" / MANIFEST
    try:
        if sha256(manifest) != deployed["manifest"]:
            return "the package's manifest is not the one that was deployed"
        lines = (line.split("  ", 1) for line in manifest.read_text(encoding="utf-8").splitlines())
        wanted = {name: digest for digest, name in lines}
        if sha256(folder / "package" / "run.py") != wanted.get("run.py"):
            return "the package's run.py is not the one that was deployed"
    except (OSError, ValueError) as error:
        return f"the package can't be read ({error})"
    return ""


def command_of(folder: Path, deployed: dict[str, Any], number: int) -> list[str]:
    """What to run: the deployment's own command with folder and number, else the package's run.py with its parameters and datasets."""
    if deployed["command"]:
        return [*deployed["command"], str(folder), str(number)]
    given = [f"--param={name}={text}" for name, text in deployed["parameters"].items()]
    given += [f"--dataset={name}={path}" for name, path in deployed["datasets"].items()] + [f"--masked={name}" for name in deployed["masked"]]
    places = [f"--environments={folder.parent / 'environments'}", f"--out={folder / 'runs' / str(number) / 'out'}"]
    return [sys.executable, "-I", str(folder / "package" / "run.py"), *places, *given]


def keep(source: IO[bytes], sink: IO[bytes]) -> None:
    """Copy a run's output to its log as it comes, up to `LOG_BYTES`."""
    left = LOG_BYTES
    while part := os.read(source.fileno(), 1 << 16):
        if left > 0:
            sink.write(part[:left])
            left -= len(part)
            if left <= 0:
                sink.write(b"\n[the log is full: what follows is not kept]\n")
            sink.flush()


def attempts(folder: Path, deployed: dict[str, Any], number: int) -> tuple[int, int]:
    """Run it, and again where it failed as often as the job says, unless it was told to end; the last exit code, and how often it was run."""
    told, most, run = list[bool](), 1 + int(deployed.get("retries", 0)), folder / "runs" / str(number)
    code = 0
    for attempt in range(1, most + 1):
        if attempt > 1:
            put_away(run, attempt - 1)
            with (run / "log.txt").open("a", encoding="utf-8") as log:
                log.write(f"start.py: exit code {code}; attempt {attempt} of {most}\n")
        code = execute(folder, deployed, number, told)
        if code in FOR_GOOD or told:
            break
    return code, attempt


def put_away(run: Path, attempt: int) -> None:
    """What an attempt wrote makes room for the next one's."""
    kept = run / "attempts" / str(attempt)
    kept.mkdir(parents=True)
    for name in ("out", "use.json"):
        if (run / name).exists():
            os.replace(run / name, kept / name)


def execute(folder: Path, deployed: dict[str, Any], number: int, told: list[bool]) -> int:
    """Run it, and write its log; the exit code. Told to end, it tells the run so, and goes on to write down how that ended.

    `told` holds something then.
    """
    command = command_of(folder, deployed, number)
    with (folder / "runs" / str(number) / "log.txt").open("ab") as log:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder)
        except OSError as error:
            log.write(f"start.py: {command[0]} can't be started: {error}\n".encode())
            return 3

        def end(*_: object) -> None:
            told.append(True)
            child.terminate()

        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, end)
        if told:  # between two attempts
            child.terminate()
        assert child.stdout is not None
        keep(child.stdout, log)
        code = child.wait()
    return code if code >= 0 else 128 - code


def write(path: Path, said: dict[str, Any]) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(said) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def main(folder: Path, number: int) -> int:
    """One run; its number is taken once only."""
    run = folder / "runs" / str(number)
    run.mkdir(parents=True)
    deployed = json.loads((folder / "deployment.json").read_text(encoding="utf-8"))
    write(run / "started.json", {"at": time.time(), "pid": os.getpid(), "host": os.uname().nodename})
    if problem := problem_of(folder, deployed):
        (run / "log.txt").write_text(f"start.py: {problem}; nothing was run\n", encoding="utf-8")
        code, tried = ALTERED, 1
    else:
        code, tried = attempts(folder, deployed, number)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest of its processes
    write(run / "ended.json", {"at": time.time(), "exit_code": code, "peak_bytes": peak, "attempts": tried})
    return code


if __name__ == "__main__":
    sys.exit(main(HERE, int(sys.argv[1])))
