"""The local engine's processes: each run is a process of the operator's account, and a timer of systemd or a line of crontab starts more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_guardrails.engines import schedules
from jupyter_guardrails.engines.base import Tell, silent
from jupyter_guardrails.engines.places import Place


class Local:
    """Runs on this machine, each in a session of its own."""

    name = "local"
    attended = True

    def is_governed(self, settings: Mapping[str, Any]) -> bool:
        """This very machine."""
        return True

    def deploy(self, place: Place, schedule: str, tell: Tell = silent) -> None:
        """With a schedule: a timer or a line of crontab that runs `job start`."""
        if schedule:
            schedules.install(place, schedule)

    def start(self, place: Place, number: int) -> str:
        """The process and when it started, since numbers of processes come again."""
        argv = [sys.executable, "-I", str(place.folder / "start.py"), str(number)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        return f"{process.pid}:{_started(process.pid)}"

    def is_running(self, place: Place, number: int, job: str) -> bool:
        """Whether that very process is there; an ended child of ours is waited for."""
        pid, _, started = job.partition(":")
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(pid), os.WNOHANG)
        return bool(started) and _started(int(pid)) == started

    def waits_for(self, place: Place, number: int, job: str) -> str:
        """Nothing: a process begins at once."""
        return ""

    def verdict(self, place: Place, number: int, job: str) -> dict[str, Any]:
        """Nothing: of a process that was killed the machine remembers nothing."""
        return {}

    def stop(self, place: Place, number: int, job: str) -> None:
        """Ended as its own end would be: it writes down that it was."""
        if self.is_running(place, number, job):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job.partition(":")[0]), signal.SIGTERM)

    def end(self, place: Place) -> None:
        """Its schedule goes; what runs goes on to its end."""
        schedules.remove(place)


def _started(pid: int) -> str:
    """When a process started, in ticks since boot (field 22 of /proc/PID/stat); empty when there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
