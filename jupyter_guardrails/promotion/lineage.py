"""evidence/openlineage.ndjson: what the clean run read and made, as one OpenLineage 2-0-2 run event. Names only, no data."""

from __future__ import annotations

import json
import uuid
from typing import Any

import jupyter_guardrails
from jupyter_guardrails.package.details import Output
from jupyter_guardrails.package.job import Input, Job

SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = f"https://example.com/jupyter-guardrails/{jupyter_guardrails.__version__}"
NAMESPACE = "jupyter-guardrails"  # as in control's own events: the same dataset has the same name there
RUNS = uuid.UUID("b0f5f4c5-2f53-4a7e-9f8e-0c9f0c1f3a77")


def lineage_text(job: Job, *, submitted_on: str) -> str:
    """One line. Its time is the day of the submission, its run that of this very job: the same job on the same day gives the same line."""
    event = {
        "eventTime": f"{submitted_on}T00:00:00Z",
        "eventType": "COMPLETE",
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT,
        "run": {"runId": str(uuid.uuid5(RUNS, job.to_text()))},
        "job": {"namespace": NAMESPACE, "name": f"{job.owner}/{job.name}"},
        "inputs": [_input(one) for one in job.inputs],
        "outputs": [_output(job, one) for one in job.outputs],
    }
    return json.dumps(event, sort_keys=True, ensure_ascii=False) + "\n"


def _input(one: Input) -> dict[str, Any]:
    facets = {"version": _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=one.version)} if one.version else {}
    return {"namespace": NAMESPACE, "name": one.name, "facets": facets}


def _output(job: Job, one: Output) -> dict[str, Any]:
    """A dataset where it is meant as one, else a file of this job."""
    fields = [{"name": name, "type": kind} for name, kind in one.columns.items()]
    facets = {"schema": _facet("SchemaDatasetFacet", "1-1-1", fields=fields)} if fields else {}
    return {"namespace": NAMESPACE, "name": one.dataset or f"{job.name}/{one.path}", "facets": facets}


def _facet(name: str, release: str, **said: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{release}/{name}.json#/$defs/{name}", **said}
