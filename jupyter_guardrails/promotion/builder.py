"""Putting a package's folder together from what the checks found. The same notebook and environment give the same content."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import nbformat

import jupyter_guardrails
from jupyter_guardrails.package import canonical, manifest, tables
from jupyter_guardrails.package.crate import CRATE, crate_text
from jupyter_guardrails.package.job import JOB, Job, Parameters, Python, numbered
from jupyter_guardrails.promotion import cleanrun, engine_files, outputs
from jupyter_guardrails.promotion.lineage import lineage_text
from jupyter_guardrails.promotion.results import Result
from jupyter_guardrails.promotion.sbom import sbom_text
from jupyter_guardrails.promotion.work import Work

CLIENT = Path(jupyter_guardrails.__file__).parent / "client"
RUN = Path(__file__).parent / "payload" / "run.py"
TABLES = Path(tables.__file__).parent  # says what columns a file has, on the machine that runs the job
PARTS = (RUN.with_name("run_environments.py"), RUN.with_name("run_cells.py"))  # of run.py, in lib/: used once it verified them
ENGINES = RUN.with_name("engines")  # the same in every package: what is the job's own is in job.json; the others are engine_files.py's


def build(work: Work, results: Mapping[str, Result], folder: Path) -> manifest.Digests:
    """Fill a new folder with everything but the attestations, which are control's."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work.order.frozen, folder / "src")
    for one in work.each():
        nbformat.write(cleanrun.stripped(one.notebook.node), folder / "src" / one.order.notebook)  # type: ignore[no-untyped-call]
    shutil.copytree(CLIENT, folder / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (folder / "lib" / "__init__.py").unlink(missing_ok=True)  # the room's own: lib/ is a path, no package
    copy_program(folder)
    shutil.copytree(TABLES, folder / "lib" / "guarded_tables", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copytree(ENGINES, folder / "engines", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (folder / "env").mkdir()
    for kind, lock in work.locks.items():
        (folder / "env" / f"pylock.{kind}.toml").write_text(lock, encoding="utf-8")
    for wheel in work.wheels:
        (folder / "wheels").mkdir(exist_ok=True)
        shutil.copyfile(wheel, folder / "wheels" / wheel.name)
    job = job_of(work)
    (folder / JOB).write_text(job.to_text(), encoding="utf-8")
    for name, text in engine_files.texts(job).items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_evidence(work, job, results, folder / "evidence")
    files = [name for name in manifest.list_files(folder) if name != CRATE]
    (folder / CRATE).write_text(crate_text(job, files, published=work.order.submitted_on), encoding="utf-8")
    return manifest.write_manifest(folder)


def copy_program(folder: Path) -> None:
    """What runs a package, into its folder."""
    (folder / "lib").mkdir(exist_ok=True)
    shutil.copyfile(RUN, folder / "run.py")
    for part in PARTS:
        shutil.copyfile(part, folder / "lib" / part.name)


def job_of(work: Work) -> Job:
    """job.json as a value."""
    assert work.interpreter is not None  # the worker builds only after the environment's check
    python = work.interpreter
    return Job(
        name=work.order.name,
        entry=work.order.notebook,
        owner=work.order.owner,
        python=Python(version=python.short_version, implementation=python.implementation, system=python.system, machine=python.machine),
        parameters=Parameters(json_schema=work.schema, values=work.order.parameters),
        resources=work.order.resources,
        inputs=sorted(work.inputs, key=lambda entry: entry.name),
        modules=sorted(path.relative_to(work.order.frozen).as_posix() for path in work.order.frozen.rglob("*.py")),
        outputs=outputs.described(work.order.details.outputs, work.outputs, work.tables),
        policy_digest=work.order.policy_digest,
        **{name: value for name, value in work.order.details if name != "outputs"},
    )


def _write_evidence(work: Work, job: Job, results: Mapping[str, Result], folder: Path) -> None:
    folder.mkdir()
    checks = {name: result.to_json() for name, result in results.items()}
    inputs = [entry.model_dump(include={"name", "version", "masks", "rows"}) for entry in sorted(work.inputs, key=lambda entry: entry.name)]
    said = {"checks": checks, "reason": work.order.reason, "profile": work.order.profile, "policy_digest": work.order.policy_digest, "inputs": inputs}
    (folder / "checks.json").write_text(canonical.dumps(said), encoding="utf-8")
    installed = work.interpreter.installed if work.interpreter else ()
    (folder / "sbom.cdx.json").write_text(sbom_text(job.name, work.locks, installed), encoding="utf-8")
    for path in work.executed:
        shutil.copyfile(path, folder / path.name)
    if work.executed:
        (folder / "openlineage.ndjson").write_text(lineage_text(job, submitted_on=work.order.submitted_on), encoding="utf-8")
        (folder / "outputs.json").write_text(canonical.dumps(outputs.evidence(work.tables)), encoding="utf-8")
    for number, traced in enumerate(work.traced):
        (folder / numbered("inputs.json", number)).write_text(canonical.dumps(traced.to_json()), encoding="utf-8")
