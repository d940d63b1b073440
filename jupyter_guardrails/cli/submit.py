"""`jupyter guardrails submit NOTEBOOK`: check, run cleanly, package, and show how far it is."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from jupyter_guardrails.cli import submit_details
from jupyter_guardrails.cli.connection import refuse_inside, settings_from
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient, Settings, connect
from jupyter_guardrails.control.interface.messages import SubmissionCancel, SubmissionCreate, SubmissionShow
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.work import start_station
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.review.signs import SIGNS

POLL_S = 0.25
SAMPLE_S = 60
SAMPLE_ROWS = 1000
MOST_STATIONS = 2  # control has a submission worked on once more when who worked on it was killed, not oftener
ENDED = frozenset({"draft", "checks_failed", "in_review", "cancelled", "rejected", "withdrawn", "approved", "deployed", "superseded", "retired"})
FAILING = frozenset({"draft", "submitted", "checking", "checks_failed", "cancelled"})  # what is said of these is an error
DECIDED = frozenset({"changes_requested", "rejected", "approved"})  # and of these, what its reviewers said, who are named with it


def add_parser(subparsers: Any) -> None:
    """`submit NOTEBOOK [--param k=v] [--draft] [--wait]`."""
    parser = subparsers.add_parser("submit", help="turn a notebook into a production job")
    parser.add_argument("notebook", help="its path")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter's value (JSON, or text)")
    parser.add_argument("--then", action="append", default=[], metavar="NOTEBOOK", help="a notebook of the same folder that runs after it; repeat it")
    parser.add_argument("--kernel", metavar="NAME", help="a kernelspec, instead of the notebook's own")
    parser.add_argument("--workspace", help="the folder that holds the notebook and its files (default: the notebook's folder)")
    parser.add_argument("--draft", action="store_true", help="check only, submit nothing")
    sample = "with --draft: run it for so many seconds (60) only, for early feedback that counts for nothing"
    parser.add_argument("--sample", type=_seconds, nargs="?", const=SAMPLE_S, metavar="SECONDS", help=sample)
    rows = "with --draft: run it on the first rows of each dataset (1000) instead of all, which counts for nothing either"
    parser.add_argument("--sample-rows", type=_rows, nargs="?", const=SAMPLE_ROWS, metavar="ROWS", help=rows)
    parser.add_argument("--reason", default="", help="why warnings are acceptable, for the reviewer")
    parser.add_argument("--wait", action="store_true", help="show progress until the checks have ended (always so without a running control)")
    parser.add_argument("--json", action="store_true")
    submit_details.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is submitted (and, with --wait, nothing failed), else 1."""
    refuse_inside(os.environ)
    settings = settings_from(os.environ)
    # a control of our own ends with this command, and so does what works for a service
    wait = arguments.wait or settings.service or running_control(settings) is None
    request = _request(arguments)
    with connect(settings) as client, working(settings) as attend:
        found = client.submit(request)
        if wait:
            found = _follow(client, found, sys.stdout if not arguments.json else None, attend)
    print(json.dumps(found, indent=1) if arguments.json else summary(found))
    return 0 if found["state"] in ("submitted", "checking", "draft", "in_review") else 1


@contextlib.contextmanager
def working(settings: Settings) -> Iterator[Callable[[], None]]:
    """Where control is a service, what is submitted is worked on by this account while this block lasts; called, it looks that somebody does."""
    stations = [start_station()] if settings.service else []

    def attend() -> None:
        if stations and stations[-1].poll() is not None and len(stations) < MOST_STATIONS:
            stations.append(start_station())

    try:
        yield attend
    finally:
        for station in stations:
            station.terminate()
            station.wait()


def _request(arguments: argparse.Namespace) -> SubmissionCreate:
    first = Path(arguments.notebook).resolve()
    workspace = Path(arguments.workspace).resolve() if arguments.workspace else first.parent
    then = [_in(workspace, Path(name).resolve()) for name in arguments.then]
    return SubmissionCreate(
        notebook=_in(workspace, first),
        workspace=str(workspace),
        kernelspec=arguments.kernel,
        parameters=dict(_parameter(text) for text in arguments.param),
        draft=arguments.draft,
        sample_s=arguments.sample,
        sample_rows=arguments.sample_rows,
        reason=arguments.reason,
        details=submit_details.details_of(arguments, then=then),
        key=uuid.uuid4().hex,
    )


def _seconds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 1 to 3600: write --sample behind the notebook, or --sample=60")
    return int(text)


def _rows(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows from 1 to 1000000: write --sample-rows=1000, or leave the number out")
    return int(text)


def _in(workspace: Path, path: Path) -> str:
    if not path.is_relative_to(workspace):
        raise BadRequest(f"{path} is not in the workspace {workspace}", next_step="name the workspace with --workspace")
    return path.relative_to(workspace).as_posix()


def _parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise BadRequest(f"--param takes NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _follow(client: ControlClient, found: dict[str, Any], out: TextIO | None, attend: Callable[[], None]) -> dict[str, Any]:
    """Print each check as it moves, until the end; Ctrl-C cancels the submission."""
    shown: dict[str, str] = {}
    try:
        while True:
            for line in _news(found, shown):
                print(line, file=out or sys.stderr, flush=True)
            if found["state"] in ENDED:
                return found
            time.sleep(POLL_S)
            attend()
            found = client.call(SubmissionShow(id=found["id"]))
    except KeyboardInterrupt:
        return client.call(SubmissionCancel(id=found["id"]))


def _news(found: dict[str, Any], shown: dict[str, str]) -> Iterator[str]:
    """A line for each check whose state or progress is new, and its findings at its end."""
    for check in found["checks"]:
        if check["state"] == "waiting" or shown.get(check["name"]) == (line := check_line(check)):
            continue
        shown[check["name"]] = line
        yield line
        for finding in check["findings"] if check["state"] in ("failed", "warned") else ():
            yield from finding_lines(finding)


def check_line(check: dict[str, Any]) -> str:
    """`ok           Cells were run once, top to bottom: …`."""
    took = f" ({check['seconds']:.1f} s)" if check.get("seconds") else ""
    return f"{SIGNS[check['state']]:<12} {check['title']}{': ' if check['detail'] else ''}{check['detail']}{took}"


def finding_lines(finding: dict[str, Any]) -> Iterator[str]:
    """What, where, and what to do."""
    cell = f"cell {finding['cell'] + 1}" if finding.get("cell") is not None else ""
    line = f"line {finding['line']}" if finding.get("line") else ""
    place = ", ".join(part for part in (finding.get("notebook"), cell, line) if part)
    yield f"             - {place + ': ' if place else ''}{finding['message']}"
    if finding.get("fix"):
        yield f"               fix: {finding['fix']}"


def summary(found: dict[str, Any]) -> str:
    """The submission's state in a few lines."""
    lines = [f"{found['name']} version {found['version']}: {found['label']}", f"  id: {found['id']}"]
    lines += [f"  package: {found['package']}", f"  content: {found['content_digest']}"] if found["package"] else []
    word = "error" if found["state"] in FAILING else "said"
    lines += [f"  {word}: {line(found['error'])}"] if found["error"] and found["state"] not in DECIDED else []
    lines += [f"  reason: {line(found['reason'])}"] if found["reason"] else []
    return "\n".join([*lines, *([f"  next: {found['next_step']}"] if found["next_step"] else [])])
