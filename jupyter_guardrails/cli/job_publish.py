"""`jupyter guardrails job publish DEPLOYMENT OUTPUT [NAME]`: what a production run made, as a dataset whose contract says which job made it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import job_deploy
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.data_publications import described
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.deployments import DeploymentsList
from jupyter_guardrails.control.interface.run_outputs import RunPublish
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import Conflict, NotFound


def add_parser(commands: Any) -> None:
    """Below `job`."""
    text = "publish what a run made, private to you until you propose it: `data propose NAME --to GROUP`"
    parser = commands.add_parser("publish", help=text, description=text)
    parser.add_argument("deployment", help="as `job runs` shows it")
    parser.add_argument("output", metavar="OUTPUT", help="a file that the run left, as `job runs` names it")
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the dataset's (default: what the job says that it is)")
    parser.add_argument("--run", type=int, dest="number", metavar="N", help="default: the last complete one")
    parser.add_argument("--description", default="", help="what it is, for who finds it")
    job_deploy.add_root(parser)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is a publication; its columns may differ from those of the package, which is said."""
    place = Place(job_deploy.root_of(arguments) / Path(arguments.deployment).name)
    with connected(os.environ) as client:
        number = _number(client, place, arguments.number)
        fd = _open(place, number, arguments.output)
        try:
            said = {"deployment": place.id, "number": number, "output": arguments.output, "name": arguments.name}
            found = client.call(RunPublish.model_validate(said | {"description": arguments.description}), fds=[fd])
        finally:
            os.close(fd)
    if arguments.json:
        print_json(found)
        return 0
    print("\n".join([described(found), *(f"  other than its package says: {line(one)}" for one in found["differs"])]))
    return 0


def _number(client: ControlClient, place: Place, wanted: int | None) -> int:
    """The run that is meant; ends of runs that control doesn't know yet are told first."""
    job_deploy.bring_up_to_date(client, client.call(DeploymentsList(id=place.id))["deployments"][0], place)
    complete = [one["number"] for one in client.call(DeploymentsList(id=place.id))["deployments"][0]["runs"] if one["state"] == "complete"]
    if wanted is None and not complete:
        raise Conflict(f"no run of deployment {place.id} is complete", next_step=f"jupyter guardrails job start {place.id}")
    return complete[0] if wanted is None else wanted


def _open(place: Place, number: int, output: str) -> int:
    folder = place.run(number) / "out" / "files"
    path = folder / output
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise NotFound(f"run {number} has no file {output}: {folder}", next_step=f"jupyter guardrails job runs {place.id}")
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
