"""`jupyter guardrails job fix ID NOTEBOOK`: carries out what the checks of a submission offer, in the author's notebook, when told to."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli.connection import connected, refuse_inside
from jupyter_guardrails.control.interface.messages import SubmissionShow
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion.mending import mend, offered

MAX_BYTES = 50 << 20  # it is read whole here; a larger one is cleared of its outputs first


def add_parser(commands: Any) -> None:
    """`job fix ID NOTEBOOK [--apply]`."""
    parser = commands.add_parser("fix", help="what its checks offer to mend in a notebook, and with --apply do it")
    parser.add_argument("id", help="the submission whose checks found something")
    parser.add_argument("notebook", type=Path, help="the notebook that was submitted, or another one of the job, as it is now")
    parser.add_argument("--apply", action="store_true", help="write the notebook; without it nothing is changed")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing is left to be done by hand, else 1."""
    refuse_inside(os.environ)
    with connected(os.environ) as client:
        found = client.call(SubmissionShow(id=arguments.id))
    findings = _findings(found, arguments.notebook.name)
    notebook = _read(arguments.notebook)
    done, left = mend(notebook, findings)
    if arguments.apply and done:
        _write(arguments.notebook, notebook)
    if arguments.json:
        print(json.dumps({"applied": arguments.apply, "done": done, "left": left}, indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(done, left, applied=arguments.apply)))
    return 1 if left else 0


def _findings(submission: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What its checks found in the notebook of that name; BadRequest for a notebook that isn't the job's."""
    findings = [{**one, "notebook": one.get("notebook") or submission["notebook"]} for one in offered(submission["checks"])]
    if name not in {Path(known).name for known in (submission["notebook"], *(one["notebook"] for one in findings))}:
        raise BadRequest(f"submission {submission['id']} is of {submission['notebook']}, not of {name}", next_step="name that notebook")
    return [one for one in findings if Path(one["notebook"]).name == name]


def _lines(done: list[str], left: list[str], *, applied: bool) -> list[str]:
    lines = [f"{'done' if applied else 'would be done'}: {text}" for text in done] + [f"yours to do: {text}" for text in left]
    if done:
        lines.append("reload the notebook where it is open, run it, submit it again" if applied else "do it with --apply")
    return lines or ["its checks found nothing"]


def _read(path: Path) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise BadRequest(f"{path} is no file of at most {MAX_BYTES >> 20} MiB", next_step="name the notebook itself")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["nbformat"] >= 4 and isinstance(found["cells"], list):
            return dict(found)
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{path} is no notebook", next_step="open it in JupyterLab and save it again") from error
    raise BadRequest(f"{path} has an old format", next_step="open it in JupyterLab and save it again")


def _write(path: Path, notebook: dict[str, Any]) -> None:
    """As JupyterLab writes it, in one step: a notebook is never half there."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(fd, "w", encoding="utf-8") as file:
        file.write(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    os.chmod(name, path.stat().st_mode & 0o777)
    os.replace(name, path)
