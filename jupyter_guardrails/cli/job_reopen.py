"""`jupyter guardrails job reopen ID`: a job becomes an experiment again, with its code, its environment and the versions of its data."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from jupyter_guardrails.cli import job_run
from jupyter_guardrails.cli.connection import connected, home_of
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface import reopening
from jupyter_guardrails.engines import local, start
from jupyter_guardrails.errors import Conflict, GuardrailsError
from jupyter_guardrails.package.job import Job


def add_parser(commands: Any) -> None:
    """Below `job`."""
    parser = commands.add_parser("reopen", help="make an experiment of a job again: its code, its environment, the versions of its data")
    parser.add_argument("id", help="a submission, yours or one that you may review")
    parser.add_argument("--to", type=Path, metavar="DIR", help="a new folder, or the one that the panel made of it (default: NAME-VERSION here)")
    parser.add_argument("--no-environment", action="store_true", help="the code and the lock only: build no environment, add no kernelspec")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when the folder is there."""
    with connected(os.environ) as client, tempfile.TemporaryDirectory(prefix="guardrails-reopen-") as scratch:
        found = reopening.reopen(client, arguments.id, Path(scratch))
        folder = (arguments.to or Path(found.name)).resolve()
        if not _is_there(folder, found):
            _restore(found, folder)
        kernelspec = "" if arguments.no_environment else _environment(found.package, Path(scratch), found.name)
        (folder / reopening.PINS).write_text(found.pins_text(kernelspec=kernelspec))
    for notebook in found.job.notebooks if kernelspec else ():
        _use(folder / notebook, kernelspec, found.name)
    said = {**found.pins, "kernelspec": kernelspec}
    print_json(said | {"folder": str(folder)}) if arguments.json else print("\n".join(_lines(folder, found.job, said)))
    return 0


def _is_there(folder: Path, found: reopening.Reopened) -> bool:
    """Whether the panel, or this command, made this very folder before: its files may have changed since, and stay."""
    try:
        before = json.loads((folder / reopening.PINS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(before, dict) and all(before.get(key) == found.pins[key] for key in ("submission", "content_digest"))


def _restore(found: reopening.Reopened, folder: Path) -> None:
    """Notebook, modules and files, with the lock beside them; never over anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already", next_step="name a new folder with --to")
    for name, file in found.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)


def _environment(package: Path, scratch: Path, name: str) -> str:
    """A kernelspec with the job's own environment, built from its lock once; its name."""
    data = Path(os.environ.get("XDG_DATA_HOME") or home_of(os.environ) / ".local" / "share") / "jupyter-guardrails" / "environments"
    data.mkdir(parents=True, exist_ok=True)
    request = local.Request(package, package.parent, scratch / "out", data)
    with contextlib.redirect_stdout(sys.stderr):  # what a command prints is its answer
        code = job_run.build(local.building(request, package.name), scratch)
    kernel = sorted(data.glob(f"kernel-{start.sha256(package / reopening.LOCK)[:20]}-*/bin/python"))
    if code or not kernel:
        raise GuardrailsError(f"the environment was not built (exit code {code})", next_step="see what it printed above, or --no-environment")
    spec = Path(jupyter_data_dir()) / "kernels" / f"job-{name}"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(kernel[0]), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": argv, "display_name": f"Python ({name})", "language": "python", "metadata": {"supported_encryption": ["curve"]}}
    (spec / "kernel.json").write_text(json.dumps(told))
    return spec.name


def _use(notebook: Path, kernelspec: str, name: str) -> None:
    """The notebook opens with that kernelspec; one that was taken away since is left out."""
    if not notebook.is_file():
        return
    found = json.loads(notebook.read_text(encoding="utf-8"))
    found.setdefault("metadata", {})["kernelspec"] = {"name": kernelspec, "display_name": f"Python ({name})", "language": "python"}
    notebook.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _lines(folder: Path, job: Job, found: Mapping[str, Any]) -> list[str]:
    values = ", ".join(f"{name}={value!r}" for name, value in found["parameters"].items())
    lines = [f"{found['job']} is an experiment again: {folder / job.entry}", f"  content: {found['content_digest']}"]
    lines += [f"  kernelspec: {found['kernelspec']}"] if found["kernelspec"] else []
    lines += [f"  parameters: {line(values)}"] if values else []
    for entry in found["inputs"]:
        now = "as it is now" if entry["now"] == entry["version"] else f"now {entry['now']}" if entry["now"] else "not yours to read now"
        lines.append(f"  {entry['name']} {entry['version']}: {now}")
    return lines
