"""The first rows of a dataset as a file, for a draft's clean run on a sample: as its author is given it, after masks and filters, and recorded."""

from __future__ import annotations

import os
from typing import Any

from jupyter_guardrails.catalog.access import Access
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import clean_runs, declared, scans
from jupyter_guardrails.control.broker_process import outcome_of
from jupyter_guardrails.control.dataset_files import files_of
from jupyter_guardrails.control.interface.work import WorkerSample
from jupyter_guardrails.control.state import Answer, ControlState, Operations
from jupyter_guardrails.errors import BadRequest

MOST_BYTES = 1 << 30
FORMS = {"parquet": "parquet", "csv": "csv", "json": "json", "arrow": "feather"}  # format of a file -> how it is written
ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
ENDINGS |= {".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow"}


async def sample(state: ControlState, request: WorkerSample, fds: list[int]) -> Answer:
    """Its rows, in a file that is nowhere; the read is on the record before it is given out."""
    clean_runs.own(state, request.submission)
    contract, access = await declared.granted(state, request.name)
    form, name = _form(contract, access, request)
    plan = scans.plan_of(contract, access, form=FORMS[form], limit=request.rows)
    writing = os.open(state.settings.state_dir, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        made = await outcome_of(await scans.begin(state, contract, plan, writing, most_bytes=MOST_BYTES))
        reason = f"version {contract.version}, the first {made['rows']} rows for a sample run of submission {request.submission}"
        await state.audit("data.read", contract.name, access.decision, reason=f"{reason}: {access.decision.reason}")
        reading = os.open(f"/proc/self/fd/{writing}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writing)
    said: dict[str, Any] = {"name": name, "folder": contract.format == "directory" and access.bounds.delivery == "direct"}
    return Answer(said | {"format": form, "rows": made["rows"]}, (reading,))


def _form(contract: Contract, access: Access, request: WorkerSample) -> tuple[str, str]:
    """The file's format and name: its own where it is given out as it is, so that code which reads it by its path reads this one."""
    if contract.sql:
        raise BadRequest(f"{contract.name} is asked by SQL, whose answers are not sampled", next_step="add a LIMIT to the statement while you try it")
    if access.bounds.delivery != "direct":
        return request.form, f"{contract.name.rpartition('/')[2]}.{request.form}"
    first = next(iter(files_of(contract, 1)), "") or contract.path
    form = contract.format if contract.format in FORMS else ENDINGS.get(os.path.splitext(first)[1].lower(), "")
    if form not in FORMS:
        raise BadRequest(f"the files of {contract.name} are no tables", next_step="")
    return form, os.path.basename(first)


OPERATIONS: Operations = {WorkerSample: sample}
