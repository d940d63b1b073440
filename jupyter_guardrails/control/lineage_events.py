"""What each run read and published, as OpenLineage 2-0-2 run events (https://openlineage.io/spec/2-0-2/OpenLineage.json). Names only, no data."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from jupyter_guardrails.catalog.labels import Input
from jupyter_guardrails.catalog.model import Contract

SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = f"https://example.com/jupyter-guardrails/{version('jupyter_guardrails')}"
NAMESPACE = "jupyter-guardrails"
RUNS = uuid.UUID("5f2f3c40-6f0e-4c55-9a0b-2f1d6b1c8f7e")  # a lease is the same run in every event
EventType = Literal["START", "RUNNING", "COMPLETE", "FAIL"]


@dataclass(frozen=True, slots=True)
class Run:
    """A kernel, terminal, clean run or `exec`: its lease, and whose it is."""

    lease: str
    kernel_id: str
    kind: str
    principal: str


def event(kind: EventType, run: Run, now: datetime, *, inputs: Iterable[Contract | Input], outputs: Iterable[Contract] = ()) -> dict[str, Any]:
    """One event; `inputs` are the contracts of what was read, or no more than their names and versions, `outputs` those of what was published."""
    kernel = {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet", "id": run.kernel_id, "kind": run.kind}
    return {
        "eventTime": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "eventType": kind,
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT,
        "run": {"runId": str(uuid.uuid5(RUNS, run.lease)), "facets": {"guardrails_kernel": kernel}},
        "job": {"namespace": NAMESPACE, "name": f"{run.principal}/{run.kind}", "facets": {}},
        "inputs": [_dataset(one) for one in inputs],
        "outputs": [_dataset(one) for one in outputs],
    }


def _dataset(known: Contract | Input) -> dict[str, Any]:
    facets = {"version": _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=known.version)}
    if isinstance(known, Contract):
        fields = [{"name": column.name, "type": column.type, "description": column.description} for column in known.columns]
        facets["schema"] = _facet("SchemaDatasetFacet", "1-1-1", fields=fields)
        facets["ownership"] = _facet("OwnershipDatasetFacet", "1-0-1", owners=[{"name": known.owner}])
    return {"namespace": NAMESPACE, "name": known.name, "facets": facets}


def _facet(name: str, release: str, **said: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{release}/{name}.json#/$defs/{name}", **said}
