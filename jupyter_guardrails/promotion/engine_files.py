"""What a package brings along for engines that nothing of ours is on: a Slurm script, a Kubernetes file, a Containerfile.

Each calls run.py alone. What is written here for a job is digests and integers; its names and parameters are in job.json, which run.py reads.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from string import Template
from typing import Any

import yaml

from jupyter_guardrails.package.details import schedule_values
from jupyter_guardrails.package.job import Job

TEMPLATES = Path(__file__).parent / "payload" / "engine_templates"
SECONDS_BESIDE = 900  # for the environments, which the first run builds
ACCOUNT = 65532  # nobody's own: the number that images without root have by custom
FOR_GOOD = [2, 3]  # run.py's exit codes for what another try does not change
KEPT_S = 7 * 24 * 3600  # how long the cluster keeps a Job that is over
WEEKDAY, SUNDAY = 4, 7  # cron's second Sunday, which Kubernetes does not know


def texts(job: Job) -> dict[str, str]:
    """The files by their name in the package; the same job, the same bytes."""
    digest = hashlib.sha256(job.to_text().encode()).hexdigest()
    return {"engines/slurm.sbatch": _slurm(job, digest), "engines/kubernetes.yaml": _kubernetes(job, digest), "engines/Containerfile": _image(job)}


def _filled(name: str, values: dict[str, int | str]) -> str:
    return Template((TEMPLATES / name).read_text(encoding="utf-8")).substitute(values)


def _slurm(job: Job, digest: str) -> str:
    tries = 1 + job.retries
    asked = {"memory": math.ceil(job.resources.memory_bytes / 2**20), "cpus": math.ceil(job.resources.cpus)}
    asked |= {"minutes": math.ceil((job.resources.wall_s * tries + SECONDS_BESIDE) / 60), "tries": tries}
    return _filled("slurm.sbatch", {**asked, "digest": digest, "short": digest[:12]})


def _image(job: Job) -> str:
    """The base has the very Python that the locks were made for."""
    major, minor = (int(part) for part in job.python.version.split("."))
    return _filled("Containerfile", {"python": f"{major}.{minor}", "account": ACCOUNT})


def _kubernetes(job: Job, digest: str) -> str:
    """A Job; or where the package has a schedule that Kubernetes can keep, a CronJob."""
    schedule, metadata = cron(job.schedule), {"name": f"guarded-{digest[:16]}", "annotations": {"guardrails.jupyter.org/job": digest}}
    if schedule:
        spec: dict[str, Any] = {"schedule": schedule, "suspend": True, "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": _job(job)}}
        body: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}
    else:
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": _job(job)}
    return (TEMPLATES / "kubernetes.yaml").read_text(encoding="utf-8") + yaml.safe_dump(body, sort_keys=False)


def cron(schedule: str) -> str:
    """The schedule in numbers that Kubernetes takes; empty where there is none, or where it would mean other days there.

    `*/2` beside a day of the week means both to cron, and either to Kubernetes.
    """
    words = schedule.split()
    if not words or ("*" not in (words[2], words[4]) and any(word.startswith("*") for word in (words[2], words[4]))):
        return ""
    fields = [
        sorted({0 if number == SUNDAY and place == WEEKDAY else number for number in numbers})
        for place, numbers in enumerate(schedule_values(schedule))
    ]
    return " ".join("*" if word == "*" else ",".join(map(str, numbers)) for word, numbers in zip(words, fields, strict=True))


def _job(job: Job) -> dict[str, Any]:
    tries = 1 + job.retries
    return {
        "backoffLimit": job.retries,
        "activeDeadlineSeconds": job.resources.wall_s * tries + SECONDS_BESIDE,
        "ttlSecondsAfterFinished": KEPT_S,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "job", "operator": "In", "values": FOR_GOOD}}]},
        "template": {"spec": _pod(job)},
    }


def _pod(job: Job) -> dict[str, Any]:
    amounts = {"cpu": f"{math.ceil(job.resources.cpus * 1000)}m", "memory": str(job.resources.memory_bytes)}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ACCOUNT,
            "runAsGroup": ACCOUNT,
            "fsGroup": ACCOUNT,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "job",
                "image": f"job@sha256:{'0' * 64}",
                "args": ["--out=/results/$(POD_NAME)"],
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"limits": amounts, "requests": dict(amounts)},
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "results", "mountPath": "/results"}, {"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "results", "persistentVolumeClaim": {"claimName": "job-results"}}, {"name": "tmp", "emptyDir": {}}],
    }
