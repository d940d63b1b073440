"""A job that becomes an experiment again: its package as control keeps it, unpacked, and what it ran with then and would now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.interface.client import ControlClient
from jupyter_guardrails.control.interface.messages import DatasetShow, SubmissionPackage
from jupyter_guardrails.errors import Conflict, NotFound, PackageError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import Job, read_job

LOCK = "env/pylock.kernel.toml"
PINS = "reopened.json"


@dataclass(frozen=True, slots=True)
class Reopened:
    """`package`: the unpacked one; `files`: name in the experiment's folder -> file of it; `pins`: what belongs into PINS beside them."""

    package: Path
    job: Job
    name: str
    files: Mapping[str, Path]
    pins: Mapping[str, Any]

    def pins_text(self, **more: Any) -> str:
        """The text of PINS."""
        return json.dumps({**self.pins, **more}, indent=1) + "\n"


def reopen(client: ControlClient, submission: str, scratch: Path) -> Reopened:
    """The package of a submission, in a new folder of `scratch`; PackageError where it is not what was submitted."""
    said, fds = client.call_with_fds(SubmissionPackage(id=submission))
    package = scratch / "package"
    with open(fds[0], "rb") as zipped:
        archive.unpack(zipped, package)
    digests, problems = manifest.check(package)
    if problems or digests.content != said["content_digest"]:
        raise PackageError(f"{said['name']} is not what was submitted", next_step="submit the notebook again")
    job, name = read_job(package), said["name"].removesuffix(archive.SUFFIX)
    pins = _pins(client, job, name) | {"submission": submission, "content_digest": digests.content}
    return Reopened(package, job, name, _files(package), pins)


def _files(package: Path) -> dict[str, Path]:
    """Notebook, modules and files as they lay in the workspace, with the lock beside them."""
    files = manifest.list_files(package / "src")
    beside = Path(LOCK).name
    if taken := sorted({beside, PINS} & set(files)):
        raise Conflict(f"the job has a file {taken[0]} of its own", next_step="unpack it by hand: `jupyter guardrails job save`")
    return files | {beside: package / LOCK}


def _pins(client: ControlClient, job: Job, name: str) -> dict[str, Any]:
    """What it ran with: parameters, interpreter, and each dataset's version then and now; and what was said of it, to be said again."""
    inputs = [{"name": entry.name, "version": entry.version, "masks": entry.masks, "now": _version_now(client, entry.name)} for entry in job.inputs]
    ran = {"python": job.python.model_dump(), "parameters": job.parameters.values, "inputs": inputs}
    return {"job": name, "entry": job.entry, **ran, "details": _said(job)}


def _said(job: Job) -> dict[str, Any]:
    """Its details without what nobody said; of the files that it makes those that are meant as a dataset, since a package names the others, too."""
    details = job.details.model_dump(mode="json", exclude_defaults=True, exclude={"outputs"})
    outputs = [output.model_dump(include={"name", "path", "dataset"}) for output in job.outputs if output.dataset]
    return details | ({"outputs": outputs} if outputs else {})


def _version_now(client: ControlClient, name: str) -> str | None:
    """The contract's version of today; None where this person may not know of it."""
    try:
        return str(client.call(DatasetShow(name=name))["version"])
    except NotFound:
        return None
