"""All that a reviewer looks at, gathered from control and from the packages of this version and the one approved before."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import SubmissionDecisions, SubmissionEvidence
from jupyter_guardrails.control.interface.messages import SubmissionPackage, SubmissionShow
from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive, manifest
from jupyter_guardrails.package.job import numbered
from jupyter_guardrails.review import diff
from jupyter_guardrails.review.diff import Change
from jupyter_guardrails.review.shortened import shortened

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
    content = _content(client, id, found["content_digest"], runs=True)
    before = _content(client, said["before"]["id"], "", runs=False) if said["before"] else None
    return Evidence(found, decided, said, content, changes(before, content) if before else None)


def changes(before: Content, now: Content) -> list[Change]:
    """Everything that is not as it was approved last."""
    return [
        *_cells(before, now),
        *diff.files(before.files, now.files),
        *diff.locks(before.lock, now.lock),
        *diff.outputs(before.job, now.job),
        *diff.jobs(before.job, now.job),
    ]


def _cells(before: Content, now: Content) -> Iterator[Change]:
    """Of each notebook, which is named where it isn't the only one."""
    pairs = _pairs(before, now)
    for name, (old, new) in pairs.items():
        for change in diff.notebooks(old, new):
            yield Change(f"{name}, {change.what}", change.lines) if len(pairs) > 1 else change


def _pairs(before: Content, now: Content) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The first notebooks belong together whatever they are called, the others by their names."""
    (first, *rest), (old, *gone) = now.notebooks, before.notebooks
    both = {first: (before.notebooks[old], now.notebooks[first])}
    both |= {name: (before.notebooks[name] if name in gone else {}, now.notebooks[name]) for name in rest}
    return both | {name: (before.notebooks[name], {}) for name in gone if name not in rest}


def _content(client: ControlClient, id: str, digest: str, *, runs: bool) -> Content:
    said, fds = client.call_with_fds(SubmissionPackage(id=id))
    with opened(fds[0], digest or said["content_digest"]) as folder:
        return read(folder, runs=runs)


@contextlib.contextmanager
def opened(package: int, digest: str) -> Iterator[Path]:
    """A package, by its descriptor, unpacked into a folder that is gone afterwards, and recomputed: what is shown is what the digest names."""
    with tempfile.TemporaryDirectory(prefix="guardrails-review-") as name:
        folder = Path(name)
        with os.fdopen(package, "rb") as file:
            archive.unpack(file, folder)
        digests, problems = manifest.check(folder)
        if problems or digests.content != digest:
            raise PackageError(f"the package is not what is in review: {'; '.join(problems[:3]) or digests.content}", next_step="ask for it again")
        yield folder


def read(folder: Path, *, runs: bool) -> Content:
    """An unpacked package; its clean runs, which may be large, only when they are wanted."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    names, source = _notebooks(job), folder / "src"
    files = {name: path for name, path in manifest.list_files(source).items() if name not in names}
    texts = {name: path.read_bytes() if path.stat().st_size <= MOST_BYTES else _large(path) for name, path in files.items()}
    lock = (folder / "env" / "pylock.kernel.toml").read_text(encoding="utf-8")
    ran = dict(clean_runs(folder)) if runs else {}
    return Content(job, {name: _notebook(source / name) for name in names}, texts, lock, ran, _made(folder / "evidence" / "outputs.json"))


def clean_runs(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The clean run of each notebook of an unpacked package, by its name, read when it is asked for; empty where there is none."""
    for number, name in enumerate(_notebooks(json.loads((folder / "job.json").read_text(encoding="utf-8")))):
        path = folder / "evidence" / numbered("executed.ipynb", number)
        yield name, _notebook(path) if path.is_file() else {}


def _notebooks(job: dict[str, Any]) -> tuple[str, ...]:
    return (str(job["entry"]), *map(str, job.get("then", ())))


def _made(path: Path) -> dict[str, dict[str, Any]]:
    """Of packages that say so."""
    return {one["path"]: one for one in json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def _large(path: Path) -> bytes:
    """Compared by its digest alone."""
    return f"{path.stat().st_size} bytes, sha256 {manifest.hash_file(path)}".encode()


def _notebook(path: Path) -> dict[str, Any]:
    """A notebook as JSON; a very large one without its biggest outputs, and one that is large in other ways says so in its only cell."""
    if path.stat().st_size > 8 * MOST_BYTES:
        try:
            return shortened(path)
        except (ValueError, RecursionError) as error:
            text = f"{path.name} has {path.stat().st_size} bytes and is not shown ({error}): save the package to look at it"
            return {"cells": [{"cell_type": "markdown", "source": text}]}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
