"""A deployment's folder: the package, what it is given, and its runs. The same on every engine, which only starts `start.py` in it.

ROOT/environments/           built once when a package is deployed, for all deployments with the same locks
ROOT/ID/deployment.json      digests, parameters, datasets
ROOT/ID/start.py             checks the package, runs it, writes down how that ended
ROOT/ID/python               the interpreter that starts it, and that the environments were made from
ROOT/ID/package/             as it was approved
ROOT/ID/runs/N/              log.txt, started.json, ended.json, out/ and, of earlier attempts of a job that is tried again, attempts/
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_guardrails.engines import start
from jupyter_guardrails.errors import NotFound, PackageError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import Job, read_job

TAIL_BYTES = 4000
MOST_DRIFT, MOST_DRIFT_LETTERS = 20, 500  # sentences of one run, and letters of one
RUN_JSON_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Given:
    """What a deployment's runs are given; `command`: what to run instead of the package's run.py (it gets the folder and the run's number)."""

    content_digest: str
    engine: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # what the policy says of the engine
    environ: Mapping[str, str] = field(default_factory=dict)  # where its operator's control is


@dataclass(frozen=True, slots=True)
class Place:
    """One deployment's folder."""

    folder: Path

    @property
    def id(self) -> str:
        """The deployment's."""
        return self.folder.name

    @property
    def package(self) -> Path:
        """The unpacked package."""
        return self.folder / "package"

    @property
    def environments(self) -> Path:
        """Of all deployments beside this one."""
        return self.folder.parent / "environments"

    @property
    def python(self) -> Path:
        """The interpreter that starts its runs, which the environments were built with."""
        return self.folder / "python"

    def run(self, number: int) -> Path:
        """The folder of one run."""
        return self.folder / "runs" / str(number)

    def deployed(self) -> dict[str, Any]:
        """What it was given; NotFound when there is no such deployment on this machine."""
        try:
            return dict(json.loads((self.folder / "deployment.json").read_text(encoding="utf-8")))
        except OSError as error:
            raise NotFound(f"deployment {self.id} is not in {self.folder.parent}", next_step="do this where, and as whom, it was deployed") from error

    def job(self) -> Job:
        """The package's job."""
        return read_job(self.package)

    @property
    def longest_s(self) -> int:
        """How long a run may take at most, all of its attempts together."""
        return int(self.job().resources.wall_s) * (1 + int(self.deployed().get("retries", 0)))

    def mark_ended(self) -> None:
        """Nothing of it starts from here any more, whatever an engine still has of it."""
        (self.folder / "ended").touch()


def prepare(root: Path, id: str, package: Path, given: Given) -> Place:
    """Unpack a package for a deployment; PackageError, with nothing left, when its content is other than what is deployed."""
    place = Place(root / id)
    place.folder.mkdir(mode=0o700, parents=True)
    try:
        archive.unpack(package, place.package)
        digests, problems = manifest.check(place.package)
        if problems or digests.content != given.content_digest:
            raise PackageError(f"the package is not what was approved: its content digest is {digests.content}", next_step="deploy it again")
        (place.folder / "start.py").write_bytes(Path(start.__file__).read_bytes())
        said: dict[str, Any] = {
            "id": id,
            "content": digests.content,
            "manifest": start.sha256(place.package / start.MANIFEST),
            "engine": given.engine,
        }
        said |= {"parameters": dict(given.parameters), "datasets": dict(given.datasets), "masked": list(given.masked)}
        said |= {"command": list(given.command), "settings": dict(given.settings), "environ": dict(given.environ)}
        said["retries"] = place.job().retries
        start.write(place.folder / "deployment.json", said)
        place.python.symlink_to(getattr(sys, "_base_executable", "") or sys.executable)
    except BaseException:
        shutil.rmtree(place.folder, ignore_errors=True)
        raise
    return place


def ended(place: Place, number: int) -> dict[str, Any] | None:
    """How a run ended, as `deployments.report` takes it; None while it has not."""
    try:
        said = json.loads((place.run(number) / "ended.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    code = int(said["exit_code"])
    measured = _json(place.run(number) / "use.json")
    found = {"state": "complete" if code == 0 else "failed", "exit_code": code, "peak_bytes": measured.get("peak_bytes", said["peak_bytes"])}
    found |= {"attempts": int(said.get("attempts", 1)), "outputs": list(said.get("outputs", ())), "drift": drift(place, number)}
    return found | failure(place, number) | {"log_tail": tail(place, number)}


def lost(place: Place, number: int) -> dict[str, Any]:
    """A run that is over, and of which nothing says how it ended; what is known of its machine, and what to do."""
    began = _json(place.run(number) / "started.json")
    here = began.get("host") == os.uname().nodename and bool(began.get("boot"))
    restarted = here and began["boot"] != start.BOOT.read_text(encoding="ascii").strip()
    why = "its machine was started anew while it ran" if restarted else "it was ended from outside: nothing says how"
    return {"state": "lost", "error": f"{why}; {again(place)}", "log_tail": tail(place, number)}


def again(place: Place) -> str:
    """How a run that was lost is made up for."""
    return f"`jupyter guardrails job start {place.id}` begins another run"


def unresolved(place: Place) -> str:
    """The first dataset that runs would not find, or would refuse since nobody vouches for its masks; empty where there is none."""
    deployed = place.deployed()
    for entry in place.job().inputs:
        path = deployed["datasets"].get(entry.name) or entry.path
        if not path or not os.access(path, os.R_OK):
            return f"{entry.name} is not found here: --dataset {entry.name}=PATH"
        if (entry.masks or entry.rows) and entry.name not in deployed["masked"]:
            return f"{entry.name} was masked or filtered in the clean run: --masked {entry.name} where the file of --dataset is alike"
    return ""


def drift(place: Place, number: int) -> list[str]:
    """How the columns of its data differed from those of the clean run, in sentences, as the run says itself."""
    said = _json(place.run(number) / "out" / "run.json").get("inputs")
    entries = [entry for entry in said if isinstance(entry, dict) and isinstance(entry.get("drift"), list)] if isinstance(said, list) else []
    found = [f"{entry.get('name')}: {text}" for entry in entries for text in entry["drift"]]
    return [text.encode("utf-8", "replace").decode()[:MOST_DRIFT_LETTERS] for text in found[:MOST_DRIFT]]


def failure(place: Place, number: int) -> dict[str, Any]:
    """The cell that failed, counted from 1 in the author's notebook, and its error; nothing where no cell did. Of several notebooks it is named."""
    said = _json(place.run(number) / "out" / "run.json")
    name = said.get("notebook")
    which = f"{name}: " if isinstance(name, str) and name in place.job().then else ""
    error = {"error": f"{which}{str(said.get('error', '')).encode('utf-8', 'replace').decode()[-3000:]}"}
    cells = said.get("cells")
    numbers = [cell.get("cell") for cell in cells if isinstance(cell, dict) and cell.get("state") != "ok"] if isinstance(cells, list) else []
    if not numbers or not isinstance(numbers[0], int) or not 0 <= numbers[0] < 1 << 30:
        return error
    injected = not which and bool(said.get("parameters")) and numbers[0] > _parameters_cell(place)
    return {"cell": numbers[0] + (0 if injected else 1)} | error


def tail(place: Place, number: int) -> str:
    """The last lines of a run's log; empty before there is one."""
    try:
        with (place.run(number) / "log.txt").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            return log.read(TAIL_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _parameters_cell(place: Place) -> int:
    """The last cell whose number is the author's: run.py puts parameters after the one tagged so, else first (then -1)."""
    notebook = _json(place.package / "src" / place.job().entry)
    tagged = (n for n, cell in enumerate(notebook.get("cells", ())) if "parameters" in cell.get("metadata", {}).get("tags", []))
    return next(tagged, -1)


def _json(path: Path) -> dict[str, Any]:
    """A JSON file that a job may have written: nothing when it is none, or absurdly large."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            said = json.loads(file.read(RUN_JSON_BYTES)) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
