"""What a package has for engines without us: digests and integers, the narrowest pod, an image that is not root's, and run.py alone behind each."""

import json
import os
import re
import shlex
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from jupyter_guardrails.package import manifest
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.promotion import builder, engine_files
from jupyter_guardrails.promotion.payload import run as payload

JOB = {
    "name": "zebra-sales",
    "entry": "zebra.ipynb",
    "owner": "zoe",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {"properties": {"zoo": {"type": "string"}}}, "values": {"zoo": "stripes"}},
    "resources": {"memory_bytes": 3 << 29, "cpus": 1.5, "tasks": 64, "wall_s": 300},
    "retries": 2,
    "policy_digest": "0" * 64,
}
LOCKS = ("env/pylock.kernel.toml", "env/pylock.runner.toml")
OTHERS = {"name": "x", "entry": "$(id).ipynb", "owner": "x; reboot", "description": "`id`\n#SBATCH --uid=0", "labels": {"a": "b: c"}}


def texts(**changes):
    return engine_files.texts(Job.model_validate(JOB | changes))


def pod_of(body):
    spec = body["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]


def test_files_hold_nothing_of_a_job_but_digests_and_integers():
    """Two jobs with other words throughout have the same files, but for digests."""
    mine, theirs = texts(), texts(**OTHERS)
    assert mine != theirs
    for name, text in mine.items():
        assert re.sub(r"\b[0-9a-f]{12,64}\b", "D", text) == re.sub(r"\b[0-9a-f]{12,64}\b", "D", theirs[name]), name
        assert not re.search("zebra|zoe|zoo|stripes|reboot", text)
    assert texts() == mine, "the same job, the same bytes"
    assert texts(resources=JOB["resources"] | {"wall_s": 360})["engines/slurm.sbatch"] != mine["engines/slurm.sbatch"]


def test_a_slurm_script_asks_for_what_the_job_needs():
    lines = texts()["engines/slurm.sbatch"].splitlines()
    assert {"#SBATCH --mem=1536M", "#SBATCH --cpus-per-task=2", "#SBATCH --time=30"} <= set(lines), "three tries, and 15 min for the environments"


@pytest.mark.parametrize(("schedule", "kind"), [("", "Job"), ("0 6 * * 1-5", "CronJob")])
def test_a_kubernetes_file_is_strictly_valid_and_as_narrow_as_it_can_be(schedule, kind):
    body = yaml.safe_load(texts(schedule=schedule)["engines/kubernetes.yaml"])
    for version in ("1.29", "1.31"):
        kubernetes_validate.validate(body, version, strict=True)
    assert (body["kind"], body["spec"].get("suspend")) == (kind, True if schedule else None)
    pod = pod_of(body)
    container = pod["containers"][0]
    assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (False, True, 65532)
    narrow = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == narrow
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "1500m", "memory": str(3 << 29)}
    assert re.fullmatch(r"job@sha256:0{64}", container["image"]), "the operator's to fill in, and no image until then"
    pod["runAsRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(body, "1.31", strict=True)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", ""),
        ("0 6 * * 1-5", "0 6 * * 1,2,3,4,5"),
        ("*/20 0 1 1,7 *", "0,20,40 0 1 1,7 *"),
        ("5 4 * * 7", "5 4 * * 0"),
        ("5 4 1 * 5-7", "5 4 1 * 0,5,6"),
        ("5 4 */2 * 1", ""),  # cron: odd days that are Mondays; Kubernetes: odd days, and Mondays
        ("5 4 1 * */2", ""),
    ],
)
def test_a_schedule_is_said_in_numbers_that_kubernetes_has_or_not_at_all(schedule, said):
    assert engine_files.cron(schedule) == said
    assert yaml.safe_load(texts(schedule=schedule)["engines/kubernetes.yaml"])["kind"] == ("CronJob" if said else "Job")


def steps_of(text):
    """A Containerfile's instructions: (name, what follows)."""
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and not line.startswith("#")]


def test_an_image_is_built_from_a_given_base_by_run_py_and_not_root_s():
    steps = steps_of(texts()["engines/Containerfile"])
    assert [name for name, _ in steps] == ["ARG", "FROM", "ARG", "COPY", "RUN", "USER", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"]
    said = dict(steps[1:])
    assert (steps[0][1], said["FROM"]) == ("BASE=docker.io/library/python:3.11-slim", "${BASE}"), "of the Python that its locks are for"
    assert said["USER"] == "65532:65532"
    making, entry = shlex.split(said["RUN"].partition(" && ")[0]), json.loads(said["ENTRYPOINT"])
    for argv in (making, entry):
        assert argv[:3] == ["python3", "-I", "/job/package/run.py"]
    assert payload.arguments(making[3:]).prepare
    pod = pod_of(yaml.safe_load(texts()["engines/kubernetes.yaml"]))
    running = payload.arguments([*entry[3:], *json.loads(said["CMD"]), *pod["containers"][0]["args"]])
    assert (running.environments, running.out) == ("/job/environments", "/results/$(POD_NAME)"), (
        "the pod's own results, and what the image was made with"
    )


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("GUARDRAILS_SOAK"), reason="a long run only: GUARDRAILS_SOAK=1")
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_buildah_makes_the_image(tmp_path):
    """On a base that is this machine's own /usr: no registry is asked."""
    if not shutil.which("buildah"):
        pytest.skip("buildah is not on this machine")
    package, base = tmp_path / "job", tmp_path / "base"
    job = Job.model_validate(JOB)
    files = {"src/zebra.ipynb": "{}", "job.json": job.to_text()} | dict.fromkeys(LOCKS, "packages = []\n")
    for name, text in (files | engine_files.texts(job)).items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    builder.copy_program(package)
    manifest.write_manifest(package)
    for name in ("etc", "usr", "tmp", "proc", "sys", "dev"):
        (base / "root" / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (base / "root" / name).symlink_to(f"usr/{name}")
    (base / "Containerfile").write_text("FROM scratch\nCOPY root/ /\n")
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    here = [f"--root={tmp_path}/store", f"--runroot={tmp_path}/run", "--storage-driver=vfs"]
    build = ["buildah", *here, "bud", f"--signature-policy={tmp_path}/policy.json", "--isolation=chroot", "--pull-never", "--volume=/usr:/usr:ro"]
    subprocess.run([*build, "--tag=localhost/base", str(base)], check=True)
    made = [f"--file={package}/engines/Containerfile", "--build-arg=BASE=localhost/base", "--tag=localhost/job", str(package)]
    built = subprocess.run([*build, *made], capture_output=True, text=True, check=False)
    assert "environment kernel: built in" in built.stdout, built.stdout + built.stderr
    asked = subprocess.run(["buildah", *here, "inspect", "--type=image", "localhost/job"], capture_output=True, text=True, check=True)
    config = json.loads(asked.stdout)["OCIv1"]["config"]
    assert (config["User"], config["Entrypoint"][:3]) == ("65532:65532", ["python3", "-I", "/job/package/run.py"])
