"""All that a reviewer looks at, gathered from control and from the packages of this version and the one approved before."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import review_diff
from jupyter_guardrails.cli.review_diff import Change
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import SubmissionDecisions, SubmissionEvidence
from jupyter_guardrails.control.interface.messages import SubmissionPackage, SubmissionShow
from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import numbered

MOST_BYTES = 8 << 20  # of one file that is compared or shown


@dataclass(frozen=True, slots=True)
class Content:
    """A package as it is compared: job.json, its notebooks by name, other files of src/, the kernel's lock, each clean run, and what those wrote."""

    job: dict[str, Any]
    notebooks: dict[str, dict[str, Any]]
    files: dict[str, bytes]
    lock: str
    clean_runs: dict[str, dict[str, Any]]
    made: dict[str, dict[str, Any]] = field(default_factory=dict)  # path -> format, rows and bytes of what its clean run wrote


@dataclass(frozen=True, slots=True)
class Evidence:
    """One submission for its reviewer; `changes` is None where no version was approved before it, `content` where it has no package."""

    submission: dict[str, Any]
    decisions: dict[str, Any]
    said: dict[str, Any]
    content: Content | None
    changes: list[Change] | None


def gather(client: ControlClient, id: str) -> Evidence:
    """The evidence of a submission that this person may see; PackageError where its package is not what control says it is."""
    found, decided = client.call(SubmissionShow(id=id)), client.call(SubmissionDecisions(id=id))
    if not found["package"]:
        return Evidence(found, decided, {"before": None, "data": [], "cost": None, "cost_before": None}, None, None)
    said = client.call(SubmissionEvidence(id=id))
    content = _content(client, id, found["content_digest"])
    before = _content(client, said["before"]["id"], "") if said["before"] else None
    return Evidence(found, decided, said, content, changes(before, content) if before else None)


def changes(before: Content, now: Content) -> list[Change]:
    """Everything that is not as it was approved last."""
    return [
        *_cells(before, now),
        *review_diff.files(before.files, now.files),
        *review_diff.locks(before.lock, now.lock),
        *review_diff.outputs(before.job, now.job),
        *review_diff.jobs(before.job, now.job),
    ]


def _cells(before: Content, now: Content) -> Iterator[Change]:
    """Of each notebook, which is named where it isn't the only one."""
    pairs = _pairs(before, now)
    for name, (old, new) in pairs.items():
        for change in review_diff.notebooks(old, new):
            yield Change(f"{name}, {change.what}", change.lines) if len(pairs) > 1 else change


def _pairs(before: Content, now: Content) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The first notebooks belong together whatever they are called, the others by their names."""
    (first, *rest), (old, *gone) = now.notebooks, before.notebooks
    both = {first: (before.notebooks[old], now.notebooks[first])}
    both |= {name: (before.notebooks[name] if name in gone else {}, now.notebooks[name]) for name in rest}
    return both | {name: (before.notebooks[name], {}) for name in gone if name not in rest}


def _content(client: ControlClient, id: str, digest: str) -> Content:
    """Unpacked into a folder that is gone afterwards, and recomputed: what is shown is what the digest names."""
    said, fds = client.call_with_fds(SubmissionPackage(id=id))
    with tempfile.TemporaryDirectory(prefix="guardrails-review-") as folder:
        with os.fdopen(fds[0], "rb") as file:
            archive.unpack(file, folder)
        digests, problems = manifest.check(Path(folder))
        if problems or digests.content != (digest or said["content_digest"]):
            raise PackageError(f"the package is not what is in review: {'; '.join(problems[:3]) or digests.content}", next_step="ask for it again")
        return _read(Path(folder))


def _read(folder: Path) -> Content:
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    names, source = (str(job["entry"]), *map(str, job.get("then", ()))), folder / "src"
    files = {name: path for name, path in manifest.list_files(source).items() if name not in names}
    ran = {name: folder / "evidence" / numbered("executed.ipynb", number) for number, name in enumerate(names)}
    clean_runs = {name: _notebook(path) if path.is_file() else {} for name, path in ran.items()}
    texts = {name: path.read_bytes() if path.stat().st_size <= MOST_BYTES else _large(path) for name, path in files.items()}
    lock = (folder / "env" / "pylock.kernel.toml").read_text(encoding="utf-8")
    return Content(job, {name: _notebook(source / name) for name in names}, texts, lock, clean_runs, _made(folder / "evidence" / "outputs.json"))


def _made(path: Path) -> dict[str, dict[str, Any]]:
    """Of packages that say so."""
    return {one["path"]: one for one in json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def _large(path: Path) -> bytes:
    """Compared by its digest alone."""
    return f"{path.stat().st_size} bytes, sha256 {manifest.hash_file(path)}".encode()


def _notebook(path: Path) -> dict[str, Any]:
    """A notebook as JSON; what is too large to be looked at says so in its only cell."""
    if path.stat().st_size > 8 * MOST_BYTES:
        text = f"{path.name} has {path.stat().st_size} bytes: save the package to look at it"
        return {"cells": [{"cell_type": "markdown", "source": text}]}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
