"""Starts one run of a deployment: checks the package, runs it, keeps its log and how it ended. Standard library only, Python 3.11 or newer.

    python3 -I start.py NUMBER [RESTARTS]

It lies outside of the package, in the deployment's folder, where nothing of the author's can change it: it runs nothing whose manifest, and whose
run.py, are not the very bytes that were deployed. run.py verifies every other file. What a run writes is in runs/NUMBER/; where the job says so,
one that failed is tried again, and what an earlier attempt wrote is in runs/NUMBER/attempts/1/ and so on.
RESTARTS: how often the engine began this run again after it lost the machine that it ran on; each is an attempt.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest-sha256.txt"
LOG_BYTES = 16 << 20  # of a run's log; what comes after that is not kept
ALTERED = LOST = 1
BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux's name of the time since a machine was started
MOST_OUTPUTS, MOST_BYTES, MOST_NAME = 100, 8 << 30, 1000  # of what a run leaves: control takes no more
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


def attempts(folder: Path, deployed: dict[str, Any], number: int, lost: int = 0) -> tuple[int, int]:
    """Run it, and again where it failed as often as the job says, unless it was told to end; the last exit code, and how often it was run.

    `lost`: attempts that were made before, the last of which ended with its machine.
    """
    told, most, run = list[bool](), 1 + int(deployed.get("retries", 0)), folder / "runs" / str(number)
    code, attempt, why = LOST, lost, "its machine was lost"
    while attempt < most and code not in FOR_GOOD and not told:
        if attempt:
            put_away(run, attempt)
            note(run, f"{why}; attempt {attempt + 1} of {most}")
        attempt += 1
        code = execute(folder, deployed, number, told)
        why = f"exit code {code}"
    if attempt == lost:
        note(run, f"{why}, in attempt {attempt} of {most}; it is not tried again")
    return code, attempt


def note(run: Path, sentence: str) -> None:
    """A line of ours in a run's log."""
    with (run / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"start.py: {sentence}\n")


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


def outputs(folder: Path) -> list[dict[str, Any]]:
    """Path, sha256 and size of the files that a run left, as they are now: what is published later has to be these. Links are none."""
    found: list[dict[str, Any]] = []
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if len(found) < MOST_OUTPUTS and (one := output(folder, Path(place, name))):
                found.append(one)
    return found


def output(folder: Path, path: Path) -> dict[str, Any] | None:
    """One of them; None for what is no file with a name as text, or very large."""
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_BYTES or len(name) > MOST_NAME:
                return None
            return {"path": name, "sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size_bytes": state.st_size}
    except (OSError, UnicodeEncodeError):
        return None


def write(path: Path, said: dict[str, Any]) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(said) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def lost_before(run: Path) -> int:
    """How many attempts of a run there were, the last of which its engine lost with a machine."""
    return 1 + sum(1 for _ in (run / "attempts").glob("*"))


def main(folder: Path, number: int, restarts: int = 0) -> int:
    """One run; its number is taken once only, unless its engine begins it again since it lost the machine."""
    run = folder / "runs" / str(number)
    if restarts and (run / "ended.json").exists():  # only its engine did not hear of it
        return int(json.loads((run / "ended.json").read_text(encoding="utf-8"))["exit_code"])
    lost = lost_before(run) if restarts and run.exists() else 0
    run.mkdir(parents=True, exist_ok=bool(restarts))
    deployed = json.loads((folder / "deployment.json").read_text(encoding="utf-8"))
    boot = BOOT.read_text(encoding="ascii").strip() if BOOT.exists() else ""
    write(run / "started.json", {"at": time.time(), "pid": os.getpid(), "host": os.uname().nodename, "boot": boot})
    if problem := problem_of(folder, deployed):
        (run / "log.txt").write_text(f"start.py: {problem}; nothing was run\n", encoding="utf-8")
        code, tried = ALTERED, 1
    else:
        code, tried = attempts(folder, deployed, number, lost)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest of its processes
    made = outputs(run / "out" / "files") if code == 0 else []
    write(run / "ended.json", {"at": time.time(), "exit_code": code, "peak_bytes": peak, "attempts": tried, "outputs": made})
    return code


if __name__ == "__main__":
    sys.exit(main(HERE, *map(int, sys.argv[1:3])))
