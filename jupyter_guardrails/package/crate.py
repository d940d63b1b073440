"""ro-crate-metadata.json: what the package is, for people and tools. A Workflow Run RO-Crate 0.5, whose one run is the clean run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.details import Output
from jupyter_guardrails.package.job import Input, Job

CRATE = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
WORKFLOW = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
RUN_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    WORKFLOW: ("Workflow RO-Crate", "1.0"),
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
LANGUAGE, RUN, EXECUTED = "#jupyter-notebook", "#clean-run", "evidence/executed.ipynb"
KINDS = {"boolean": "Boolean", "integer": "Integer", "number": "Float", "string": "Text", "array": "Text", "object": "Text", "null": "Text"}
MEDIA = {".ipynb": "application/x-ipynb+json", ".json": "application/json", ".py": "text/x-python", ".toml": "application/toml", ".txt": "text/plain"}


def crate_text(job: Job, files: Iterable[str], *, published: str) -> str:
    """The crate's text for these files; `published` is an ISO date."""
    entry = f"src/{job.entry}"
    names = sorted(set(files))
    graph = [_descriptor(), _root(job, names, entry, published), *_profiles(), _workflow(job, entry), _language(), *_people(job)]
    graph += [*_parameters(job), *_run(job, names, entry, published)]
    graph += [_file(name) for name in names if name != entry]
    return canonical.dumps({"@context": CONTEXT, "@graph": graph})


def _descriptor() -> dict[str, Any]:
    return {"@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": [{"@id": PROFILE}, {"@id": WORKFLOW}]}


def _profiles() -> list[dict[str, Any]]:
    return [{"@id": uri, "@type": "CreativeWork", "name": name, "version": version} for uri, (name, version) in RUN_PROFILES.items()]


def _root(job: Job, names: list[str], entry: str, published: str) -> dict[str, Any]:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": job.name,
        "description": job.description or f"The notebook {job.entry} as a job that runs without its author",
        "datePublished": published,
        "license": "not stated by the author",
        "conformsTo": [{"@id": uri} for uri in RUN_PROFILES],
        "author": {"@id": f"#{job.owner}"},
        "mainEntity": {"@id": entry},
        "hasPart": [{"@id": name} for name in names],
        **({"mentions": {"@id": RUN}} if EXECUTED in names else {}),
    }


def _workflow(job: Job, entry: str) -> dict[str, Any]:
    kind = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    said = {"name": job.name, "programmingLanguage": {"@id": LANGUAGE}, "author": {"@id": f"#{job.owner}"}, "encodingFormat": MEDIA[".ipynb"]}
    inputs = [*(_input_id(one) for one in job.inputs), *(_parameter_id(name) for name in job.parameters.json_schema.get("properties", {}))]
    ports = {"input": _refer(inputs), "output": _refer([_output_id(one) for one in job.outputs]), "conformsTo": {"@id": BIOSCHEMAS}}
    return {"@id": entry, "@type": kind} | said | {port: ids for port, ids in ports.items() if ids}


def _refer(ids: list[str]) -> Any:
    """References to entities; a single one stands alone, as RO-Crate 1.1 wants it."""
    found = [{"@id": one} for one in ids]
    return found[0] if len(found) == 1 else found


def _language() -> dict[str, Any]:
    return {
        "@id": LANGUAGE,
        "@type": "ComputerLanguage",
        "name": "Jupyter Notebook",
        "identifier": {"@id": "https://jupyter.org"},
        "url": {"@id": "https://jupyter.org"},
    }


def _people(job: Job) -> list[dict[str, Any]]:
    return [{"@id": f"#{job.owner}", "@type": "Person", "name": job.owner}]


def _parameters(job: Job) -> list[dict[str, Any]]:
    """What can be set, is read, is made."""
    found = [_formal(_input_id(one), one.name, "Dataset", required=True) for one in job.inputs]
    for name, schema in job.parameters.json_schema.get("properties", {}).items():
        default = {"defaultValue": str(schema["default"])} if schema.get("default") not in (None, "") else {}
        found.append(_formal(_parameter_id(name), name, KINDS.get(str(schema.get("type")), "Text"), required=False) | default)
    return found + [_formal(_output_id(one), one.name, "File", required=True) for one in job.outputs]


def _formal(identity: str, name: str, kind: str, *, required: bool) -> dict[str, Any]:
    said = {"@type": "FormalParameter", "name": name, "additionalType": kind, "valueRequired": required}
    return {"@id": identity, "conformsTo": {"@id": PARAMETER}} | said


def _run(job: Job, names: list[str], entry: str, published: str) -> list[dict[str, Any]]:
    """The clean run, with what it was given and the notebook that it left; nothing where the policy has switched it off."""
    if EXECUTED not in names:
        return []
    data = [_data(one) for one in job.inputs]
    properties = job.parameters.json_schema.get("properties", {})
    said = {name: job.parameters.values.get(name, schema.get("default")) for name, schema in properties.items()}
    values = [
        {"@id": f"#value/{name}", "@type": "PropertyValue", "name": name, "value": str(value), "exampleOfWork": {"@id": _parameter_id(name)}}
        for name, value in said.items()
        if value is not None and value != ""
    ]
    action = {
        "@id": RUN,
        "@type": "CreateAction",
        "name": "The clean run, from top to bottom",
        "instrument": {"@id": entry},
        "agent": {"@id": f"#{job.owner}"},
        "description": "In a new environment and folder with nothing but what the package holds, under the limits of production",
        "result": {"@id": EXECUTED},
        "endTime": published,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    given = [one["@id"] for one in [*data, *values]]
    return [action | ({"object": _refer(given)} if given else {}), *data, *values]


def _data(one: Input) -> dict[str, Any]:
    found = {"@id": f"#dataset/{one.name}", "@type": "Dataset", "name": one.name, "exampleOfWork": {"@id": _input_id(one)}}
    return found | ({"version": one.version} if one.version else {})


def _file(name: str) -> dict[str, Any]:
    media = next((media for suffix, media in MEDIA.items() if name.endswith(suffix)), "")
    return {"@id": name, "@type": "File"} | ({"encodingFormat": media} if media else {})


def _input_id(one: Input) -> str:
    return f"#input/{one.name}"


def _output_id(one: Output) -> str:
    return f"#output/{one.path}"


def _parameter_id(name: str) -> str:
    return f"#parameter/{name}"
