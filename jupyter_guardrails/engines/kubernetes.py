"""Kubernetes: each run is a Job, made with the official client in the cluster that the operator's kubeconfig names.

Deployments lie on a volume that both this machine and the cluster see, under the same path: the policy names its claim, an image with the Python that
the environments were made from, and the namespace. Schedules are the operator's own timer or crontab, so that control is asked before each run.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from jupyter_guardrails.engines import schedules
from jupyter_guardrails.engines.base import Tell, silent
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import BadRequest, GuardrailsError
from jupyter_guardrails.package.job import Resources

SECONDS_BESIDE = 60  # for starting and for writing down results: what the job itself may take is run.py's to hold
KEPT_S = 7 * 24 * 3600  # how long the cluster keeps a Job that is over
NEEDED = ("namespace", "image", "claim")
PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
NOT_FOUND = 404


class Kubernetes:
    """The cluster of the operator's kubeconfig."""

    name = "kubernetes"
    attended = False

    def is_governed(self, settings: Mapping[str, Any]) -> bool:
        """A pod has its own limits, and nothing of this project."""
        return False

    def deploy(self, place: Place, schedule: str, tell: Tell = silent) -> None:
        """The cluster itself judges a Job of it, strictly, and makes none; with a schedule, what makes them."""
        (place.folder / "runs").mkdir(exist_ok=True)  # it is mounted there, over what is read-only
        tell("asks the cluster whether it takes such a Job")
        self._create(place, 1, dry_run="All")
        if schedule:
            schedules.install(place, schedule)

    def start(self, place: Place, number: int) -> str:
        """The Job's name."""
        self._create(place, number)
        return name_of(place, number)

    def is_running(self, place: Place, number: int, job: str) -> bool:
        """Whether it waits or runs; GuardrailsError while the cluster does not answer, so that nothing is taken for lost."""
        found = self._read(place, number)
        return found is not None and not any(condition.status == "True" for condition in _final(found))

    def waits_for(self, place: Place, number: int, job: str) -> str:
        """That none of its pods runs yet."""
        found = self._read(place, number)
        return "its pod has not started" if found is not None and found.status.active and found.status.ready == 0 else ""

    def verdict(self, place: Place, number: int, job: str) -> dict[str, Any]:
        """Why the cluster ended a Job that wrote down no end of its own."""
        found = self._read(place, number)
        reasons = [f"{condition.reason}: {condition.message}" for condition in _final(found) if condition.type == "Failed"] if found else []
        return {"state": "failed", "error": f"Kubernetes says {reasons[0]}"[:4000]} if reasons else {}

    def stop(self, place: Place, number: int, job: str) -> None:
        """Deleted with its pods, or gone already."""
        api, settings = _connected(), settings_of(place)
        _asked(api.delete_namespaced_job, name_of(place, number), settings["namespace"], propagation_policy="Background")

    def end(self, place: Place) -> None:
        """Its schedule goes; a Job that has not begun will find that it ended."""
        schedules.remove(place)

    def _create(self, place: Place, number: int, **options: str) -> None:
        body, namespace = manifest(place, number), settings_of(place)["namespace"]
        _asked(_connected().create_namespaced_job, namespace, body, field_validation="Strict", **options)

    def _read(self, place: Place, number: int) -> Any:
        return _asked(_connected().read_namespaced_job_status, name_of(place, number), settings_of(place)["namespace"])


def settings_of(place: Place) -> dict[str, str]:
    """What the policy says of the cluster; BadRequest for what is missing, or for an image that may change."""
    found = {name: str(value) for name, value in place.deployed()["settings"].items()}
    if missing := [name for name in NEEDED if not found.get(name)]:
        raise BadRequest(f"the policy says no {missing[0]} for kubernetes", next_step=f"promotion.engines.kubernetes: {{{', '.join(NEEDED)}}}")
    if not PINNED.fullmatch(found["image"]):
        raise BadRequest("the policy's image for kubernetes has no digest, and could change", next_step="write it as NAME@sha256:…")
    return found


def name_of(place: Place, number: int) -> str:
    """A Job's name: digits of the deployment, and the run's number."""
    if not re.fullmatch(r"[0-9a-f]{32}", place.id):
        raise GuardrailsError(f"{place.id[:50]!r} is no name of a deployment", next_step="see `jupyter guardrails job runs`")
    return f"guardrails-{place.id}-{int(number)}"


def manifest(place: Place, number: int) -> dict[str, Any]:
    """The Job of a run: digests and integers, what the policy says of the cluster, and where deployments lie. Nothing that an author wrote."""
    settings, deployed, resources = settings_of(place), place.deployed(), place.job().resources
    marks = {"app.kubernetes.io/managed-by": "jupyter-guardrails", "guardrails.jupyter.org/deployment": place.id}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _account(settings),
        "containers": [_container(place, number, settings, resources)],
        "volumes": [{"name": "deployments", "persistentVolumeClaim": {"claimName": settings["claim"]}}, {"name": "tmp", "emptyDir": {}}],
    }
    spec = {"backoffLimit": 0, "activeDeadlineSeconds": place.longest_s + SECONDS_BESIDE, "ttlSecondsAfterFinished": KEPT_S}
    metadata = {"name": name_of(place, number), "labels": marks, "annotations": {"guardrails.jupyter.org/content": deployed["content"]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec | {"template": {"metadata": {"labels": marks}, "spec": pod}}}


def _account(settings: Mapping[str, str]) -> dict[str, Any]:
    """The account that the folder belongs to, never root's."""
    uid, gid = int(settings.get("user", os.getuid())), int(settings.get("group", os.getgid()))
    if uid == 0:
        raise BadRequest(
            "a job runs as root nowhere", next_step="deploy it as the account that it runs as, or name a `user` in the policy's settings"
        )
    return {"runAsNonRoot": True, "runAsUser": uid, "runAsGroup": gid, "fsGroup": gid, "seccompProfile": {"type": "RuntimeDefault"}}


def _container(place: Place, number: int, settings: Mapping[str, str], resources: Resources) -> dict[str, Any]:
    amounts = {"cpu": f"{math.ceil(resources.cpus * 1000)}m", "memory": str(int(resources.memory_bytes))}
    root, folder = str(place.folder.parent), str(place.folder)
    mounts = [
        {"name": "deployments", "mountPath": folder, "subPath": place.id, "readOnly": True},
        {"name": "deployments", "mountPath": f"{folder}/runs", "subPath": f"{place.id}/runs"},
        {"name": "deployments", "mountPath": f"{root}/environments", "subPath": "environments", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    return {
        "name": "job",
        "image": settings["image"],
        "workingDir": folder,
        "command": ["./python", "-I", "start.py", str(int(number))],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": {"limits": amounts, "requests": amounts},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }


def _connected() -> Any:
    """The client of the cluster that kubeconfig names; GuardrailsError that says what is missing."""
    try:
        from kubernetes import client, config  # an extra: most machines have no cluster
    except ImportError as error:
        raise GuardrailsError("the Kubernetes client is not installed", next_step="pip install 'jupyter_guardrails[kubernetes]'") from error
    try:
        config.load_kube_config(os.environ.get("KUBECONFIG") or None)  # type: ignore[no-untyped-call] # the client has no types
    except config.ConfigException as error:
        raise GuardrailsError(f"no cluster is configured: {error}", next_step="set KUBECONFIG, or deploy from a machine that has one") from error
    return client.BatchV1Api()


def _asked(call: Any, *arguments: Any, **options: Any) -> Any:
    """The cluster's answer, None for what is not there; GuardrailsError with its words for everything else."""
    from kubernetes.client.exceptions import ApiException  # an extra, as above
    from urllib3.exceptions import HTTPError

    try:
        return call(*arguments, **options, _request_timeout=60)
    except ApiException as error:
        if error.status == NOT_FOUND and "create" not in call.__name__:
            return None
        words = f"{error.reason} {error.body or ''}".strip()[-500:]
        raise GuardrailsError(f"the cluster refused it: {words}", next_step="see `kubectl auth can-i`, and what the policy says of it") from error
    except HTTPError as error:
        raise GuardrailsError(f"the cluster does not answer: {type(error).__name__}", next_step="try again when `kubectl` works") from error


def _final(job: Any) -> list[Any]:
    return [condition for condition in job.status.conditions or [] if condition.type in ("Complete", "Failed") and condition.status == "True"]
