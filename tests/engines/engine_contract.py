"""What every engine keeps, with real runs of a small package: a new engine inherits this class and gives `engine`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import ClassVar

import pytest

from jupyter_guardrails.engines import places
from jupyter_guardrails.engines.base import Engine
from jupyter_guardrails.engines.places import Given, Place
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import Job

PATIENCE_S = 90.0
JOB = {
    "name": "zebra-sales",
    "entry": "zebra.ipynb",
    "owner": "zoe",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {"properties": {"zoo": {"type": "string"}, "code": {"type": "integer"}}}},
    "resources": {"memory_bytes": 256 << 20, "cpus": 1, "tasks": 64, "wall_s": 60},
    "policy_digest": "0",
    "retries": 1,
}
# Stands for the package's own, which needs environments: says what it was given, uses memory, ends as it is told.
RUN = """\
import argparse, json, pathlib, sys, time
parser = argparse.ArgumentParser()
for flag in ("--param", "--dataset", "--masked"):
    parser.add_argument(flag, action="append", default=[])
for flag in ("--environments", "--out"):
    parser.add_argument(flag)
options = parser.parse_args()
given = dict(text.split("=", 1) for text in options.param)
out = pathlib.Path(options.out)
out.mkdir(parents=True, exist_ok=True)
print("given", given.get("zoo"), flush=True)
much = bytearray(60 << 20)
if given.get("code") == "-1" or (given.get("code") == "-2" and not (out.parent / "attempts").exists()):
    (out / "waits").touch()
    time.sleep(600)
code = max(0, int(given.get("code", "0")))
if code >= 100:  # fails so often as the hundreds say, with the code that is left
    tried = sum(1 for _ in (out.parent / "attempts").glob("*"))
    code = code % 100 if tried < code // 100 else 0
cells = [{"cell": 0, "state": "ok"}, {"cell": 1, "state": "error" if code else "ok"}]
(out / "run.json").write_text(json.dumps({"cells": cells, "error": "ValueError: no zebra" if code else "", "parameters": {}}))
print("the last line", flush=True)
sys.exit(code)
"""
NEVER_IN_ENGINE_FILES = re.compile(r"zebra|zoe|zoo|stripes", re.IGNORECASE)


def package(folder: Path) -> Path:
    """A package as a zip."""
    for name, text in {"src/zebra.ipynb": '{"cells": []}', "run.py": RUN, "job.json": Job.model_validate(JOB).to_text()}.items():
        (folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "p" / name).write_text(text)
    manifest.write_manifest(folder / "p")
    archive.pack(folder / "p", folder / "p.zip")
    return folder / "p.zip"


class EngineContract:
    """Each test is a promise of an engine."""

    settings: ClassVar[dict] = {}  # what the policy says of it

    @pytest.fixture
    def engine(self) -> Engine:
        """The one that is tested."""
        raise NotImplementedError

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Where its deployments lie; it must be there for what the engine starts, too."""
        return tmp_path / "deployments"

    @pytest.fixture
    def deploy(self, engine: Engine, root: Path, tmp_path: Path):
        """`deploy(**parameters)`: a deployment of the package, each with an id of its own; ended with the test."""
        made: list[Place] = []
        archived = package(tmp_path)
        digests, _ = manifest.check(tmp_path / "p")

        def deployed(**parameters: str) -> Place:
            given = Given(digests.content, engine.name, {"zoo": "stripes", **parameters}, settings=self.settings)
            place = places.prepare(root, os.urandom(16).hex(), archived, given)
            made.append(place)
            engine.deploy(place, "")
            return place

        yield deployed
        for place in made:
            engine.end(place)

    def finished(self, engine: Engine, place: Place, number: int, job: str) -> dict:
        """How a run ended."""
        self.over(engine, place, number, job)
        found = places.ended(place, number)
        assert found, self.said(place, number)
        return found

    def over(self, engine: Engine, place: Place, number: int, job: str) -> None:
        """Returns when a run is there no more, however it ended."""
        deadline = time.monotonic() + PATIENCE_S
        while engine.is_running(place, number, job):
            assert time.monotonic() < deadline, self.said(place, number)
            time.sleep(0.05)  # of an engine there is no event

    def seen_by_a_run(self, engine: Engine, place: Place) -> tuple[dict[str, str], int]:
        """The environment that the engine gives to what it starts, and the account."""
        (place.folder / "start.py").write_text("import json, os\njson.dump([dict(os.environ), os.getuid()], open('seen', 'w'))\n")
        self.over(engine, place, 1, engine.start(place, 1))
        environment, uid = json.loads((place.folder / "seen").read_text())
        return environment, uid

    def waits(self, place: Place) -> None:
        """Returns when run 1, told to wait, does so."""
        deadline = time.monotonic() + PATIENCE_S
        while not (place.run(1) / "out" / "waits").exists():
            assert time.monotonic() < deadline, self.said(place, 1)
            time.sleep(0.05)

    def said(self, place: Place, number: int) -> str:
        """For a failing test: what the run said."""
        return places.tail(place, number) or str(sorted(place.folder.rglob("*")))

    def test_a_run_ends_with_its_exit_code_log_and_peak_use(self, engine, deploy):
        place = deploy()
        found = self.finished(engine, place, 1, engine.start(place, 1))
        assert (found["state"], found["exit_code"], found["error"]) == ("complete", 0, "")
        assert found["log_tail"].splitlines() == ["given stripes", "the last line"], "parameters travel in the deployment, to run.py"
        assert 60 << 20 <= found["peak_bytes"] <= 1 << 30

    def test_a_failure_is_tried_again_and_has_its_code_its_cell_and_its_error(self, engine, deploy):
        place = deploy(code="201")
        found = self.finished(engine, place, 1, engine.start(place, 1))
        assert (found["state"], found["exit_code"], found["cell"], found["error"]) == ("failed", 1, 2, "ValueError: no zebra")
        assert (found["attempts"], "attempt 2 of 2" in found["log_tail"], found["log_tail"].count("given")) == (2, True, 2)

    def test_runs_are_apart_and_a_number_is_taken_once(self, engine, deploy):
        place = deploy()
        for number in (1, 2):
            assert self.finished(engine, place, number, engine.start(place, number))["state"] == "complete"
        with contextlib.suppress(GuardrailsError):  # an engine may refuse it; else start.py does
            self.finished(engine, place, 2, engine.start(place, 2))
        assert places.ended(place, 2)["log_tail"].count("given stripes") == 1

    def test_a_run_is_stopped(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        assert engine.is_running(place, 1, job), "the twin: it is there until it is stopped"
        engine.stop(place, 1, job)
        self.over(engine, place, 1, job)
        assert (places.ended(place, 1) or {"state": "failed"})["state"] == "failed"

    def test_the_same_bytes_run_again_and_again(self, engine, deploy):
        first, second = deploy(), deploy()
        for place in (first, second):
            assert self.finished(engine, place, 1, engine.start(place, 1))["state"] == "complete"
        assert first.deployed()["content"] == second.deployed()["content"]
        assert (first.folder / "start.py").read_bytes() == (second.folder / "start.py").read_bytes()

    def test_what_was_changed_after_it_was_deployed_does_not_run(self, engine, deploy):
        for name in ("run.py", "manifest-sha256.txt"):
            place = deploy()
            changed = place.package / name
            changed.write_text(changed.read_text() + "\n")
            found = self.finished(engine, place, 1, engine.start(place, 1))
            assert (found["state"], found["exit_code"]) == ("failed", 1)
            assert "nothing was run" in found["log_tail"]
            assert "given" not in found["log_tail"]

    def test_what_has_ended_does_not_start_and_ending_twice_is_fine(self, engine, deploy):
        place = deploy()
        engine.end(place)
        engine.end(place)
        place.mark_ended()
        found = self.finished(engine, place, 1, engine.start(place, 1))
        assert found["state"] == "failed"
        assert "this deployment has ended" in found["log_tail"]

    def test_generated_files_hold_nothing_that_its_author_wrote(self, engine, deploy):
        """Names and parameters are data, in job.json and deployment.json: never part of a script, a unit or a manifest."""
        place = deploy()
        self.finished(engine, place, 1, engine.start(place, 1))
        kept = {place.folder / "deployment.json"}
        files = [
            path
            for path in place.folder.rglob("*")
            if path.is_file() and not path.is_symlink() and place.package not in path.parents and path not in kept
        ]
        generated = [path for path in files if place.folder / "runs" not in path.parents]
        assert generated, "start.py at least"
        assert [path for path in generated if NEVER_IN_ENGINE_FILES.search(path.read_text())] == []
        assert "stripes" in (place.folder / "deployment.json").read_text(), "the twin: they are somewhere"
