"""The local engine keeps the contract of engines, and its schedules are crontab's and systemd's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from engine_contract import JOB, EngineContract

from jupyter_guardrails.engines import places, schedules, start
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.engines.process import Local
from jupyter_guardrails.errors import BadRequest, GuardrailsError


class TestLocal(EngineContract):
    @pytest.fixture
    def engine(self):
        return Local()

    @pytest.mark.parametrize(
        ("code", "state", "exit_code", "attempts"), [("101", "complete", 0, 2), ("102", "failed", 2, 1), ("103", "failed", 3, 1)]
    )
    def test_what_may_go_better_is_tried_again_and_what_can_not_is_not(self, engine, deploy, code, state, exit_code, attempts):
        place = deploy(code=code)
        found = self.finished(engine, place, 1, engine.start(place, 1))
        assert (found["state"], found["exit_code"], found["attempts"]) == (state, exit_code, attempts)
        assert (place.run(1) / "attempts" / "1" / "out" / "run.json").exists() == (attempts == 2)
        assert place.longest_s == 2 * JOB["resources"]["wall_s"]

    def test_what_is_told_to_end_is_not_tried_again(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        engine.stop(place, 1, job)
        found = self.finished(engine, place, 1, job)
        assert (found["state"], found["attempts"]) == ("failed", 1)

    def test_a_run_that_its_machine_took_along_is_lost_and_says_what_to_do(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        os.killpg(int(job.partition(":")[0]), signal.SIGKILL)  # its own session: start.py and what it runs
        while engine.is_running(place, 1, job):
            time.sleep(0.05)
        said = places.lost(place, 1)
        assert (said["state"], said["error"].partition(";")[0]) == ("lost", "it was ended from outside: nothing says how")
        assert said["error"].endswith(f"`jupyter guardrails job start {place.id}` begins another run")
        began = json.loads((place.run(1) / "started.json").read_text())
        start.write(place.run(1) / "started.json", began | {"boot": "before"})
        assert places.lost(place, 1)["error"].startswith("its machine was started anew while it ran; ")
        start.write(place.run(1) / "started.json", began | {"boot": "before", "host": "another"})
        assert places.lost(place, 1)["error"].startswith("it was ended from outside")

    def test_a_run_is_begun_again_by_an_engine_that_lost_its_machine_and_by_nobody_else(self, engine, deploy):
        place = deploy(code="-2")
        job = engine.start(place, 1)
        self.waits(place)
        os.killpg(int(job.partition(":")[0]), signal.SIGKILL)
        program = [sys.executable, "-I", place.folder / "start.py", "1"]
        assert subprocess.run(program, capture_output=True, check=False).returncode == 1, "its number is taken"
        assert places.ended(place, 1) is None
        assert subprocess.run([*program, "1"], check=False).returncode == 0
        found = places.ended(place, 1)
        assert (found["state"], found["attempts"]) == ("complete", 2)
        assert subprocess.run([*program, "2"], check=False).returncode == 0, "the engine did not hear that it ended"
        assert places.ended(place, 1)["log_tail"].count("given") == 2
        (place.run(1) / "ended.json").unlink()
        assert subprocess.run([*program, "3"], check=False).returncode == 1
        assert "its machine was lost, in attempt 2 of 2; it is not tried again" in places.ended(place, 1)["log_tail"]

    def test_a_number_of_a_process_that_comes_again_is_not_the_run(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        pid, _, started = job.partition(":")
        assert engine.is_running(place, 1, job)
        assert not engine.is_running(place, 1, f"{pid}:{int(started) + 1}")
        engine.stop(place, 1, f"{pid}:{int(started) + 1}")
        assert engine.is_running(place, 1, job), "nobody else's process is ended"
        engine.stop(place, 1, job)
        self.finished(engine, place, 1, job)


CRON_AND_SYSTEMD = [
    ("0 6 * * *", ["*-*-* 06:00:00"]),
    ("*/15 8-10 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 08,09,10:00,15,30,45:00"]),
    ("30 4 1,15 * *", ["*-*-01,15 04:30:00"]),
    ("0 0 1 1 0", ["*-01-01 00:00:00", "Sun *-01-* 00:00:00"]),  # crontab(5): either of both
    ("0 0 */2 * 7", ["Sun *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 00:00:00"]),  # a star: both
]


@pytest.mark.parametrize(("schedule", "lines"), CRON_AND_SYSTEMD)
def test_a_schedule_is_the_same_for_systemd(schedule, lines):
    assert schedules.calendars(schedule) == lines
    if shutil.which("systemd-analyze"):
        for line in lines:
            assert subprocess.run(["systemd-analyze", "calendar", line], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "schedule", ["", "at noon", "60 0 * * *", "0 0 0 * *", "0 0 * * 8", "5-1 * * * *", "*/0 * * * *", "0 0 * * *; reboot", "@daily"]
)
def test_what_is_no_schedule_is_refused(schedule):
    with pytest.raises(BadRequest):
        schedules.calendars(schedule)


PRIVATE_CRONTABS = 'mount -t tmpfs t /var/spool/cron && cd /var/spool/cron && mkdir -m 1730 crontabs && chgrp crontab crontabs && exec "$@"'
IN_CRONTAB = """
import pathlib, subprocess, sys
from jupyter_guardrails.engines import schedules
from jupyter_guardrails.engines.places import Place
subprocess.run(["crontab", "-"], input="0 0 * * * /bin/mine  # mine\\n", text=True, check=True)
place = Place(pathlib.Path(sys.argv[1]))
schedules.install(place, "*/5 * * * *")
schedules.install(place, "0 6 * * 1-5")
print(subprocess.run(["crontab", "-l"], capture_output=True, text=True).stdout, end="=====\\n")
schedules.remove(place)
schedules.remove(place)
print(subprocess.run(["crontab", "-l"], capture_output=True, text=True).stdout, end="")
"""


def test_a_line_of_crontab_starts_the_deployment_and_goes_with_it(tmp_path):
    """With the real crontab, over a spool of the test's own."""
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", PRIVATE_CRONTABS, "sh", "crontab", "-l"], capture_output=True, text=True, check=False)
    if "no crontab" not in tried.stderr:
        pytest.skip(f"needs root and cron: {tried.stderr[-200:]}")
    folder = tmp_path / "per cent % 'quoted'" / "abc123"
    argv = ["unshare", "--mount", "sh", "-c", PRIVATE_CRONTABS, "sh", sys.executable, "-c", IN_CRONTAB, str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installed, _, removed = done.stdout.partition("=====\n")
    mine, line = installed.splitlines()
    assert mine == "0 0 * * * /bin/mine  # mine"
    assert line.startswith("0 6 * * 1-5 "), "the second schedule replaces the first"
    command = line.split(" ", 5)[5].replace(r"\%", "%")  # as cron does
    echoed = subprocess.run(["sh", "-c", f"set -- {command}\nprintf '%s\\n' \"$@\""], capture_output=True, text=True, check=True).stdout.splitlines()
    assert echoed == schedules.command(Place(folder))
    assert removed.splitlines() == [mine]


def test_without_systemd_and_cron_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GuardrailsError, match="there is no crontab") as refusal:
        schedules.install(Place(tmp_path / "abc"), "0 6 * * *")
    assert "without --schedule" in refusal.value.next_step


def test_the_log_of_a_run_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "LOG_BYTES", 1000)
    (tmp_path / "runs" / "1").mkdir(parents=True)
    command = [sys.executable, "-c", "import sys; print('x' * 5000)"]
    assert start.execute(tmp_path, {"command": command}, 1, []) == 0
    log = (tmp_path / "runs/1/log.txt").read_text()
    assert log.startswith("x" * 1000 + "\n[the log is full")
    assert len(log) < 1100


def test_what_a_run_wrote_is_read_with_care(tmp_path):
    """out/ is the job's: nothing in it is believed to be small, JSON, or about this run."""
    place = Place(tmp_path / "abc")
    (place.run(1) / "out").mkdir(parents=True)
    start.write(place.run(1) / "ended.json", {"at": 0, "exit_code": 1, "peak_bytes": 5})
    for text in ("", "[1, 2]", '{"cells": 5}', '{"cells": [5]}', '{"cells": [{"cell": "x", "state": "error"}]}', "{" * 100_000):
        (place.run(1) / "out" / "run.json").write_text(text)
        found = places.ended(place, 1)
        assert (found["state"], found.get("cell")) == ("failed", None)
    (place.run(1) / "out" / "run.json").write_text('{"error": "half a \\ud800"}')
    assert places.ended(place, 1)["error"] == "half a ?"
    os.remove(place.run(1) / "out" / "run.json")
    os.mkfifo(place.run(1) / "out" / "run.json")
    assert places.ended(place, 1)["state"] == "failed", "a pipe is not waited for"
