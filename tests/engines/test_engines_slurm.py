"""Slurm keeps the contract of engines, on a real cluster of one node."""

import json
import math
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import slurm_cluster
from engine_contract import JOB, PATIENCE_S, EngineContract, package

from jupyter_guardrails.cli import job_deploy
from jupyter_guardrails.engines import slurm
from jupyter_guardrails.engines.slurm import Slurm
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.package import manifest
from jupyter_guardrails.package.job import Resources, read_job
from jupyter_guardrails.promotion import engine_files

LONG = pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
WHY_NOT = slurm_cluster.why_not()
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def cluster():
    with slurm_cluster.running() as conf, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        yield conf


@pytest.mark.slow
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
class TestSlurm(EngineContract):
    @pytest.fixture
    def engine(self, cluster):
        return Slurm()

    def test_a_job_has_an_account_s_rights_and_nothing_of_its_environment(self, engine, deploy, monkeypatch):
        monkeypatch.setenv("MY_SECRET", "xyzzy")
        environment, uid = self.seen_by_a_run(engine, deploy())
        assert "xyzzy" not in str(environment)
        assert uid == os.getuid()

    def test_what_the_cluster_ends_is_told_in_its_words(self, engine, deploy):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
        self.over(engine, place, 1, job)
        assert engine.verdict(place, 1, job)["state"] == "failed"
        assert f"Slurm job {job}" in engine.verdict(place, 1, job)["error"]

    @pytest.mark.soak
    @LONG
    def test_a_run_whose_node_fails_is_tried_again_as_often_as_the_job_says(self, engine, deploy):
        place = deploy(code="-2")
        job = engine.start(place, 1)
        self.waits(place)
        pid = json.loads((place.run(1) / "started.json").read_text())["pid"]
        above = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])  # slurmstepd, which would tell it to end first
        os.kill(above, signal.SIGKILL)
        os.killpg(os.getpgid(pid), signal.SIGKILL)
        node = subprocess.run(["sinfo", "--noheader", "--partition=prod", "--format=%n"], capture_output=True, text=True, check=True).stdout.strip()
        update = ["scontrol", "update", f"NodeName={node}"]
        subprocess.run([*update, "State=DOWN", "Reason=a test"], check=True)
        resumed = subprocess.run([*update, "State=RESUME"], capture_output=True, text=True, check=False)
        if resumed.returncode:  # it has come back by itself already, and is none that can be resumed
            now = subprocess.run(["sinfo", "--noheader", f"--nodes={node}", "--format=%T"], capture_output=True, text=True, check=True).stdout
            assert "down" not in now, (now, resumed.stderr)
        found = self.finished(engine, place, 1, job)
        assert (found["state"], found["attempts"]) == ("complete", 2)
        assert "its machine was lost; attempt 2 of 2" in found["log_tail"]
        assert (place.run(1) / "attempts" / "1" / "out" / "waits").exists(), "what the first one wrote is kept"

    def test_what_no_node_can_give_is_refused_when_it_is_deployed(self, engine, root, tmp_path, deploy):
        place = deploy()
        text = (place.package / "job.json").read_text()
        (place.package / "job.json").write_text(re.sub(r'"cpus":\s*1[.0-9]*', '"cpus": 5000', text))
        with pytest.raises(GuardrailsError, match="sbatch refused it"):
            engine.deploy(place, "")

    def test_a_job_that_its_partition_never_starts_is_refused_or_says_why(self, engine, deploy, monkeypatch):
        """The partition allows a minute, the job asks for three, both attempts together: sbatch takes it all the same."""
        place = deploy()
        monkeypatch.setenv("SBATCH_PARTITION", "short")
        with pytest.raises(GuardrailsError, match=r"may take 3 min, and Slurm's partition short allows 00:01:00"):
            engine.deploy(place, "")
        job = engine.start(place, 1)
        deadline = time.monotonic() + PATIENCE_S
        while not (said := engine.waits_for(place, 1, job)):
            assert engine.is_running(place, 1, job)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert re.fullmatch(r"Partition\w+: it asks for more than it may, and will not start", said), (
            "PartitionConfig at first, then PartitionTimeLimit"
        )
        told = job_deploy._outcome({"engine": "slurm"}, {"number": 1, "engine_job": job, "error": ""}, place)
        assert told["state"] == "running"
        assert re.fullmatch(r"slurm says why it waits: Partition\w+: it asks for more .*", told["error"]), "its author and its operator read that"
        engine.stop(place, 1, job)
        monkeypatch.delenv("SBATCH_PARTITION")
        job = engine.start(place, 2)
        assert self.finished(engine, place, 2, job)["state"] == "complete", "the twin"
        assert engine.waits_for(place, 2, job) == ""

    def test_a_package_s_own_script_runs_it_without_anything_of_this_project(self, engine, tmp_path):
        package(tmp_path)
        folder = tmp_path / "p"
        (folder / "engines").mkdir()
        for name, text in engine_files.texts(read_job(folder)).items():
            (folder / name).write_text(text)
        manifest.write_manifest(folder)
        before = sorted(folder.rglob("*"))
        submit = ["sbatch", "--parsable", str(folder / "engines" / "slurm.sbatch")]
        fine, failing, astray = (
            subprocess.run([*submit, *options], cwd=where, capture_output=True, text=True, check=True).stdout.strip()
            for where, options in ((folder, ["--param=zoo=it's; $(id)"]), (folder, ["--param=code=1"]), (tmp_path, []))
        )
        deadline = time.monotonic() + PATIENCE_S
        while any(engine.is_running(None, 0, job) for job in (fine, failing, astray)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        logs = {path.stem.rpartition("-")[2]: path.read_text() for path in [*tmp_path.glob("*.log"), *tmp_path.parent.glob("guarded-*.log")]}
        assert (logs[fine].count("given it's; $(id)\n"), logs[failing].count("the last line")) == (1, 2), "a failure is tried again as the job says"
        found = {job: sorted(path.name for path in (tmp_path / "p-runs" / job).iterdir()) for job in (fine, failing)}
        assert found == {fine: ["1"], failing: ["1", "2"]}
        assert "JobState=COMPLETED" in shown(fine)
        assert "ExitCode=1:0" in shown(failing)
        assert ("ExitCode=2:0" in shown(astray), "submit it from the package's folder" in logs[astray]) == (True, True)
        assert sorted(folder.rglob("*")) == before, "else it would not verify any more"


def shown(job):
    return subprocess.run(["scontrol", "show", "job", "--oneliner", job], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("text", "minutes"), [("00:01:30", 1.5), ("1-02:00:00", 1560), ("UNLIMITED", math.inf), ("", math.inf)])
def test_times_are_read_as_slurm_writes_them(text, minutes):
    assert slurm.minutes_of(text) == minutes


def test_a_job_is_not_lost_because_the_cluster_does_not_answer(monkeypatch):
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "slurm.conf")
        conf.write_text(slurm_cluster.CONF.format(host="nowhere", root=folder, ports=(1, 2), cpus=1, patience_s=2))
        monkeypatch.setenv("SLURM_CONF", str(conf))
        with pytest.raises(GuardrailsError, match="Slurm does not answer"):
            Slurm().is_running(None, 1, "5")


def test_a_cluster_that_keeps_its_commands_waiting_is_told_as_that(tmp_path, monkeypatch):
    (tmp_path / "squeue").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "TIMEOUT_S", 0.2)
    with pytest.raises(GuardrailsError, match="Slurm does not answer: squeue took"):
        Slurm().is_running(None, 1, "5")


def test_a_job_that_is_not_tried_again_stays_out_of_the_queue():
    asked = {retries: slurm.script(Resources.model_validate(JOB["resources"]), DIGEST, longest_s=60, retries=retries) for retries in (0, 1)}
    assert ["--no-requeue\n" in asked[0], "--requeue\n" in asked[1]] == [True, True]


def test_a_script_holds_integers_and_a_digest():
    text = slurm.script(Resources.model_validate(JOB["resources"]), DIGEST, longest_s=60, retries=0)
    assert f"#SBATCH --comment={DIGEST}\n" in text
    assert "#SBATCH --mem=256M\n" in text
    assert "#SBATCH --time=2\n" in text
    for digest in ("", "x" * 64, f"{DIGEST}\n#SBATCH --uid=0"):
        with pytest.raises(GuardrailsError):
            slurm.script(Resources.model_validate(JOB["resources"]), digest, longest_s=60, retries=0)


@pytest.mark.parametrize("job", ["", "5,6", "--user=root", "5; reboot", "٣"])
def test_what_is_no_number_of_a_job_is_not_handed_to_the_cluster(job):
    with pytest.raises(GuardrailsError, match="is no number of a Slurm job"):
        Slurm().stop(None, 1, job)
