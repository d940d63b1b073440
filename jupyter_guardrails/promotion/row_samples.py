"""The first rows of each dataset instead of all: a draft's clean run reads small files that control made, by the calls of a job's bindings."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from jupyter_guardrails.control.interface.work import WorkerSample
from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.promotion.locks import canonical_name, pinned
from jupyter_guardrails.promotion.results import Finding
from jupyter_guardrails.promotion.work import Work

FOLDER = ".sample"  # in the fresh folder: hidden, so that a notebook that lists its own folder sees what it would see


def make(work: Work, workspace: Path, rows: int) -> tuple[dict[str, str], list[Finding]]:
    """Put the files there; the variables of its kernels, and a finding for each dataset of which it reads all, since no sample could be made."""
    folder = workspace / FOLDER
    folder.mkdir()
    form = "parquet" if "pyarrow" in {canonical_name(name) for name in pinned(work.locks["kernel"])} else "csv"
    bound: dict[str, str | None] = {}
    whole = list[Finding]()
    for number, entry in enumerate(work.inputs):
        request = WorkerSample.model_validate({"submission": work.order.submission, "name": entry.name, "rows": rows, "form": form})
        try:
            bound[entry.name] = _made(work, request, folder / str(number))
        except GuardrailsError as error:
            bound[entry.name] = entry.path
            whole.append(Finding(f"it read all of {entry.name}, since no sample of it could be made: {error.message}", fix=error.next_step))
    file = folder / "bindings.json"
    file.write_text(json.dumps(bound), encoding="utf-8")
    return {"GUARDRAILS_BINDINGS": str(file)}, whole


def _made(work: Work, request: WorkerSample, place: Path) -> str:
    """The path of the file, or of the folder with one file, that stands for the dataset."""
    said, fds = work.control.call_with_fds(request)
    with open(fds[0], "rb") as source:
        target = place / str(said["name"])
        target.parent.mkdir(parents=True)
        with target.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return os.fspath(target.parent if said["folder"] else target)
