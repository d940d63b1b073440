"""Slurm: each run is a batch job of the operator's account, submitted with sbatch; its deployment lies on a filesystem that the nodes share.

Schedules are the account's own timer or crontab, which runs `job start`, so that control is asked before each run.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_guardrails.engines import places, schedules
from jupyter_guardrails.engines.base import Tell, silent
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package.job import Resources

SCRIPT = "slurm.sbatch"
TIMEOUT_S = 60.0
MINUTES_BESIDE = 1  # for starting and for writing down results: what the job itself may take is run.py's to hold
KILLED = {"TIMEOUT": "it took longer than it may", "OUT_OF_MEMORY": "it used more memory than it may", "CANCELLED": "it was cancelled"}
LOST = {"NODE_FAIL": "its node failed", "BOOT_FAIL": "its node did not start", "PREEMPTED": "it had to make room for another job"}
GONE = "Invalid job id"
NEVER = (
    "PartitionConfig",
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "BadConstraints",
    "QOSMaxWallDurationPerJobLimit",
    "AssocMaxWallDurationPerJobLimit",
)
BEYOND = ": it asks for more than it may, and will not start"


class Slurm:
    """The cluster whose commands this account has on its path."""

    name = "slurm"
    attended = False

    def is_governed(self, settings: Mapping[str, Any]) -> bool:
        """Its nodes share a filesystem, and nothing of this project."""
        return False

    def deploy(self, place: Place, schedule: str, tell: Tell = silent) -> None:
        """The batch script, tried by the cluster itself; with a schedule, what submits it."""
        if shutil.which("sbatch") is None:
            raise GuardrailsError("this machine has no sbatch", next_step="deploy from a machine that submits to your cluster")
        deployed = place.deployed()
        text = script(place.job().resources, deployed["content"], longest_s=place.longest_s, retries=int(deployed["retries"]))
        (place.folder / SCRIPT).write_text(text, encoding="utf-8")
        tell("asks the cluster whether it takes such a job")
        _asked("sbatch", "--test-only", *_options(place), SCRIPT, "0", place=place)
        _refuse_beyond(place.longest_s)
        if schedule:
            schedules.install(place, schedule)

    def start(self, place: Place, number: int) -> str:
        """The cluster's number of the job."""
        return _asked("sbatch", "--parsable", *_options(place), SCRIPT, str(int(number)), place=place).strip().partition(";")[0]

    def is_running(self, place: Place, number: int, job: str) -> bool:
        """Whether it waits or runs; GuardrailsError while the cluster does not answer, so that nothing is taken for lost."""
        state = _field(job, "%T")
        return state not in ("", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY")

    def waits_for(self, place: Place, number: int, job: str) -> str:
        """squeue's reason of a job that pends."""
        state, _, reason = _field(job, "%T|%r").partition("|")
        if state != "PENDING" or reason in ("", "None"):
            return ""
        return f"{reason}{BEYOND if reason in NEVER else ''}"

    def verdict(self, place: Place, number: int, job: str) -> dict[str, Any]:
        """What the cluster says of a job that wrote down no end of its own; it remembers its jobs for some minutes (MinJobAge)."""
        command = ["scontrol", "show", "job", "--oneliner", _checked(job)]
        shown = _ran(command)
        state = re.search(r"\bJobState=([A-Z_]+)", shown.stdout)
        if state is None:
            return {}
        reason = (KILLED | LOST).get(state[1], f"Slurm says {state[1]}")
        then = f"; {places.again(place)}" if state[1] in LOST else ""
        return {"state": "failed", "error": f"{reason} (Slurm job {job}: {state[1]}){then}"}

    def stop(self, place: Place, number: int, job: str) -> None:
        """Cancelled, or gone already."""
        done = _ran(["scancel", _checked(job)])
        if done.returncode and GONE not in done.stderr:
            raise GuardrailsError(f"scancel failed: {done.stderr.strip()[-500:]}", next_step="see `squeue --me`")

    def end(self, place: Place) -> None:
        """Its schedule goes; what was submitted and has not begun will find that it ended."""
        schedules.remove(place)


def script(resources: Resources, content: str, *, longest_s: int, retries: int) -> str:
    """The batch script: integers and a digest. Its one argument is the run's number.

    Where a job is tried again, Slurm puts it back in its queue when its node fails, and says how often it did: start.py counts that as an attempt.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", content):
        raise GuardrailsError("a content digest is 64 hexadecimal digits", next_step="deploy the package again")
    asked = {"mem": f"{math.ceil(resources.memory_bytes / 2**20)}M", "cpus-per-task": math.ceil(resources.cpus)}
    asked |= {"time": minutes(longest_s), "job-name": f"guardrails-{content[:12]}", "comment": content}
    lines = "".join(f"#SBATCH --{name}={value}\n" for name, value in asked.items())
    requeue = "requeue" if retries else "no-requeue"
    return f'#!/bin/sh\n{lines}#SBATCH --{requeue}\nexec ./python -I start.py "$1" "${{SLURM_RESTART_COUNT:-0}}"\n'


def _refuse_beyond(longest_s: int) -> None:
    """GuardrailsError for a job longer than its partition allows: by Slurm's default (EnforcePartLimits=NO) sbatch takes it, and it never starts."""
    shown = _ran(["scontrol", "show", "partition", "--oneliner"])
    wanted = os.environ.get("SBATCH_PARTITION", "")
    for line in shown.stdout.splitlines():
        said = dict(word.split("=", 1) for word in line.split() if "=" in word)
        used = said.get("PartitionName") == wanted if wanted else said.get("Default") == "YES"
        if used and minutes_of(said.get("MaxTime", "")) < minutes(longest_s):
            asks = f"the job may take {minutes(longest_s)} min, and Slurm's partition {said['PartitionName']} allows {said['MaxTime']}"
            raise GuardrailsError(
                f"{asks}: it would wait for ever",
                next_step="let a version with a smaller time limit be submitted, or deploy to a partition that allows it: SBATCH_PARTITION",
            )


def minutes(longest_s: int) -> int:
    """What a job asks of the cluster: its own limit for all attempts, and a little for starting and for writing down results."""
    return math.ceil(longest_s / 60) + MINUTES_BESIDE


def minutes_of(text: str) -> float:
    """A time as Slurm writes it, [DAYS-]HOURS:MINUTES:SECONDS, in minutes; without end where it says no number."""
    found = re.fullmatch(r"(?:([0-9]+)-)?([0-9]+):([0-9]{2}):([0-9]{2})", text)
    if found is None:
        return math.inf
    days, hours, min_, seconds = (int(part or 0) for part in found.groups())
    return days * 1440 + hours * 60 + min_ + seconds / 60


def _options(place: Place) -> list[str]:
    """Nothing of the submitting environment goes along, and the log is start.py's."""
    return ["--export=NONE", "--output=/dev/null", "--error=/dev/null", f"--chdir={place.folder}"]


def _asked(*command: str, place: Place) -> str:
    done = _ran(command, cwd=place.folder)
    if done.returncode:
        raise GuardrailsError(f"{command[0]} refused it: {done.stderr.strip()[-500:]}", next_step="see `sinfo`, and what your cluster allows")
    return done.stdout


def _field(job: str, field: str) -> str:
    """One of squeue's fields of a job; empty when it is over and forgotten."""
    asked = _ran(["squeue", "--noheader", "--states=all", f"--jobs={_checked(job)}", f"--format={field}"])
    if asked.returncode and GONE not in asked.stderr:
        raise GuardrailsError(f"Slurm does not answer: {asked.stderr.strip()[-500:]}", next_step="try again when `squeue` works")
    return asked.stdout.strip()


def _ran(command: Sequence[str], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One of Slurm's commands, ended; GuardrailsError where it has not in `TIMEOUT_S`."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise GuardrailsError(f"Slurm does not answer: {command[0]} took {TIMEOUT_S:.0f} s", next_step="try again when `squeue` works") from error


def _checked(job: str) -> str:
    if not re.fullmatch(r"[0-9]{1,18}", job):
        raise GuardrailsError(f"{job[:50]!r} is no number of a Slurm job", next_step="see `squeue --me`")
    return job
