"""What control does with files of a submission: freeze the notebook, judge what the worker built, sign it, keep it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from jupyter_guardrails.catalog.labels import Label
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.policies import allowed
from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive, manifest, signatures
from jupyter_guardrails.package.details import Details
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.package.verify import verify_archive
from jupyter_guardrails.policy import Decision, EffectivePolicy

LOCK = "env/pylock.kernel.toml"
BUILD_TYPE = "https://guardrails.jupyter.org/notebook-package/v1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A package as control keeps it."""

    name: str
    digests: manifest.Digests
    path: Path


@dataclass(frozen=True, slots=True)
class Data:
    """What a job's results inherit from, what its clean run read and was bound to, and which notebooks it ran beside the first."""

    inherited: Label
    declared: Sequence[DeclaredInput]
    then: Sequence[str] = ()  # the notebooks that run after the first


def job_name(notebook: str) -> str:
    """The notebook's name as a job may be called: small letters, digits, `.`, `_`, `-`."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", PurePosixPath(notebook).stem.lower()).strip("-._")
    return plain[:64].rstrip("-._") or "notebook"


def freeze_notebooks(sources: Mapping[str, IO[bytes]], folder: Path) -> dict[str, str]:
    """Copy each notebook into folder/frozen/src; by its name the sha256 of the very bytes that were copied."""
    return {name: _freeze(source, folder / "frozen" / "src" / name) for name, source in sources.items()}


def _freeze(source: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as sink:
        while part := source.read(manifest.CHUNK):
            digest.update(part)
            sink.write(part)
        sink.flush()
        os.fsync(sink.fileno())
    return digest.hexdigest()


def refused_packages(folder: Path, policy: EffectivePolicy, now: datetime) -> dict[str, Decision]:
    """Packages of the kernel's lock that the policy refuses, each with the decision."""
    decisions = {name: allowed(policy, "package.use", name, now) for name in names(folder)}
    return {name: decision for name, decision in decisions.items() if not decision.allowed}


def refused(packages: Iterable[str], policy: EffectivePolicy, now: datetime) -> list[Decision]:
    """The decisions against some Python packages."""
    decisions = [allowed(policy, "package.use", name, now) for name in packages]
    return [decision for decision in decisions if not decision.allowed]


def findings(stopped: Iterable[Decision], refused: Mapping[str, Decision], policy: EffectivePolicy) -> list[dict[str, Any]]:
    """What a check of them says; those that are only not on the list can be asked for, and offer that."""
    not_listed = policy.place("promotion.packages.allow")
    offers = [({"do": "request_package", "package": name} if one.rule == not_listed else None, one) for name, one in refused.items()]
    told = [*((None, one) for one in stopped), *offers]
    said = [{"message": f"{one.reason} [{one.rule}]", "fix": one.next_step, "kind": "package", "offer": offer} for offer, one in told]
    return [one | {"cell": None, "line": None} for one in said]


def names(folder: Path) -> list[str]:
    """The Python packages of the kernel's lock."""
    return _names((folder / LOCK).read_text(encoding="utf-8"))


def names_in_archive(file: IO[bytes] | Path) -> list[str]:
    """The same of a package's zip that was verified before."""
    with zipfile.ZipFile(file) as zipped:
        return _names(zipped.read(LOCK).decode("utf-8"))


def _names(lock: str) -> list[str]:
    return [str(package["name"]) for package in tomllib.loads(lock)["packages"]]


def check_job(job: Job, row: dict[str, Any], policy_digest: str, inputs: Sequence[DeclaredInput], details: Details) -> None:
    """PackageError unless what the worker built is the job that was submitted, and says of its data what its clean run was bound to."""
    wanted: dict[str, Any] = {"name": row["name"], "entry": row["notebook"], "owner": row["principal"], "policy_digest": policy_digest}
    wanted |= {key: value for key, value in details if key != "outputs"}
    wrong = [key for key, value in wanted.items() if getattr(job, key) != value]
    wrong += [f"pinned {name}" for name in details.pinned if not any(entry.name == name and entry.sha256 for entry in job.inputs)]
    wrong += [f"output {output.name}" for output in details.outputs if not any(output.same_as(found) for found in job.outputs)]
    if wrong or job.parameters.values != row["parameters"]:
        raise PackageError(f"the worker built another job than was submitted ({', '.join(wrong) or 'parameters'})", next_step="submit again")
    said = {entry.name: (entry.version, entry.masks, entry.rows, entry.counts) for entry in job.inputs}
    if said != {entry.name: (entry.version, entry.masks, entry.rows, entry.counts) for entry in inputs}:
        raise PackageError("the package says something else of its data than its clean run was bound to", next_step="submit again")


def keep(folder: Path, row: dict[str, Any], state_dir: Path, *, now: datetime, service: bool, data: Data) -> Kept:
    """Sign the built folder, pack it under its content digest, read the zip back: only what verifies is kept."""
    signer = signatures.open_signer(state_dir / "keys")
    digests, problems = manifest.check(folder)
    if problems:
        raise PackageError(f"what the worker built is not what its manifest says: {'; '.join(problems[:5])}", next_step="submit again")
    attestations = folder / manifest.ATTESTATIONS
    shutil.rmtree(attestations, ignore_errors=True)
    attestations.mkdir()
    for name, (kind, predicate) in _statements(row, now, service=service, data=data).items():
        (attestations / name).write_text(signatures.sign(signer, digests, kind, predicate), encoding="utf-8")
    path = _pack(folder, row, state_dir / "packages" / digests.content)
    verified = verify_archive(path, [signer.public_key])
    if not verified.trusted or verified.digests != digests:
        path.unlink()
        raise PackageError(f"the packed file does not verify: {'; '.join(verified.problems)}", next_step="submit again")
    return Kept(path.name, digests, path)


def _pack(folder: Path, row: dict[str, Any], store: Path) -> Path:
    """The zip, whole on the disk before anyone can name it."""
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = store / f"{row['id']}" / f"{row['name']}-{row['version']}{archive.SUFFIX}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(".new")
    archive.pack(folder, fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fresh, path)
    return path


def _inputs(data: Data) -> list[dict[str, Any]]:
    """The data that its workspace was given, as SLSA's resource descriptors; of what it declares, with what its clean run was bound to."""
    said = {(item.name, item.version): item.classification for item in data.inherited.inputs}
    bound = {(entry.name, entry.version): {"masks": entry.masks, "rows": entry.rows} for entry in data.declared}
    return [
        {"name": name, "uri": f"dataset://{name}", "annotations": {"version": version, "classification": label} | bound.get((name, version), {})}
        for (name, version), label in said.items()
    ]


def _statements(row: dict[str, Any], now: datetime, *, service: bool, data: Data) -> dict[str, tuple[str, dict[str, Any]]]:
    """File name -> predicate type and predicate: where the package came from, and what control was told of its checks."""
    external = {"notebook": row["notebook"], "notebook_sha256": row["notebook_digest"], "submitter": row["principal"], "version": row["version"]}
    external |= {"then": list(data.then)} if data.then else {}
    built: dict[str, Any] = {"buildType": BUILD_TYPE, "externalParameters": external, "resolvedDependencies": _inputs(data)}
    built["internalParameters"] = {"classification": data.inherited.classification, "purposes": list(data.inherited.purposes)}
    details = {
        "builder": {"id": f"https://guardrails.jupyter.org/control/{'service' if service else 'own'}"},
        "metadata": {"invocationId": row["id"], "finishedOn": now.isoformat()},
    }
    states = {check["name"]: check["state"] for check in row["checks"]}
    outcome: dict[str, Any] = {"result": "WARNED" if "warned" in states.values() else "PASSED", "configuration": [], "self_test": not service}
    by_state = {f"{word}Tests": sorted(name for name, state in states.items() if state == word) for word in ("passed", "warned", "failed")}
    return {
        "provenance.dsse.json": (signatures.PROVENANCE, {"buildDefinition": built, "runDetails": details}),
        "checks.dsse.json": (signatures.TEST_RESULT, outcome | by_state),
    }
