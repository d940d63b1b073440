"""ro-crate-metadata.json: what the package is, for people and tools (RO-Crate 1.1, Workflow Run's main entity)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.job import Job

CRATE = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
LANGUAGE = "#jupyter-notebook"


def crate_text(job: Job, files: Iterable[str], *, published: str) -> str:
    """The crate's text for these files; `published` is an ISO date."""
    entry = f"src/{job.entry}"
    names = sorted(set(files))
    graph = [_descriptor(), _root(job, names, entry, published), _workflow(job, entry), _language(), _person(job)]
    graph += [{"@id": name, "@type": "File"} for name in names if name != entry]
    return canonical.dumps({"@context": CONTEXT, "@graph": graph})


def _descriptor() -> dict[str, Any]:
    return {"@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": PROFILE}}


def _root(job: Job, names: list[str], entry: str, published: str) -> dict[str, Any]:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": job.name,
        "description": f"The notebook {job.entry} as a job that runs without its author",
        "datePublished": published,
        "license": "not stated by the author",
        "author": {"@id": f"#{job.owner}"},
        "mainEntity": {"@id": entry},
        "hasPart": [{"@id": name} for name in names],
    }


def _workflow(job: Job, entry: str) -> dict[str, Any]:
    kind = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    return {"@id": entry, "@type": kind, "name": job.name, "programmingLanguage": {"@id": LANGUAGE}, "author": {"@id": f"#{job.owner}"}}


def _language() -> dict[str, Any]:
    return {"@id": LANGUAGE, "@type": "ComputerLanguage", "name": "Jupyter Notebook", "url": {"@id": "https://jupyter.org"}}


def _person(job: Job) -> dict[str, Any]:
    return {"@id": f"#{job.owner}", "@type": "Person", "name": job.owner}
