"""`jupyter guardrails job withdraw|retire|rollback`: the way back, for a job's author and for who operates it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import job_deploy
from jupyter_guardrails.cli.commands import add_command, say
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface.deployments import DeploymentsList
from jupyter_guardrails.control.interface.lifecycle import SubmissionRetire, SubmissionRollback, SubmissionWithdraw
from jupyter_guardrails.control.interface.messages import Me
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import NotFound


def add_parsers(commands: Any) -> None:
    """Below `job`."""
    withdraw = add_command(commands, "withdraw", _withdraw, "take back a submission of yours that is not in production")
    withdraw.add_argument("id", help="as `job list` shows it")
    retire = add_command(commands, "retire", _retire, "end a job for good: nothing of it runs or verifies any more")
    retire.add_argument("id", help="a submission")
    retire.add_argument("--reason", required=True)
    retire.add_argument("--to", type=Path, metavar="FILE", help="write the signed revocation to a new file, for trust stores elsewhere")
    rollback = add_command(commands, "rollback", _rollback, "go back to a version that was approved before, deployed as the present one is")
    rollback.add_argument("id", help="the submission to go back to")
    rollback.add_argument("--reason", required=True)
    job_deploy.add_root(rollback)


def _withdraw(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(SubmissionWithdraw(id=arguments.id))
    return say(found, arguments, f"{line(found['name'])}-{found['version']}: {found['label']}")


def _retire(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        answer = client.call(SubmissionRetire(id=arguments.id, reason=arguments.reason))
    if arguments.to:
        with arguments.to.open("x", encoding="utf-8") as file:
            file.write(answer["revocation"])
    found = answer["submission"]
    written = f"  the revocation is in {arguments.to}: put it beside the keys of each trust store" if arguments.to else ""
    return say(answer, arguments, f"{line(found['name'])}-{found['version']}: {found['label']}", written)


def _rollback(arguments: argparse.Namespace) -> int:
    """Recorded first; then each live deployment of this account is made once more, of the earlier version."""
    with connected(os.environ) as client:
        answer = client.call(SubmissionRollback(id=arguments.id, reason=arguments.reason))
        mine = _mine(client, answer["instead_of"]["id"])
    found, instead = answer["submission"], answer["instead_of"]
    if not mine:
        name = f"{line(found['name'])}-{found['version']}"
        said = f"{name} may go into production again; {line(instead['name'])}-{instead['version']} is not deployed by this account"
        return say(answer, arguments, said, f"  next, by who operates it: jupyter guardrails job deploy {found['id']}")
    for row in mine:
        job_deploy.deploy(_as_before(arguments, row))
    return 0


def _mine(client: Any, submission: str) -> list[dict[str, Any]]:
    """The live deployments of a submission that this account made."""
    person = client.call(Me())["person"]
    try:
        rows = client.call(DeploymentsList(id=submission))["deployments"]
    except NotFound:
        return []
    return [row for row in rows if row["state"] == "live" and row["deployed_by"] == person]


def _as_before(arguments: argparse.Namespace, row: dict[str, Any]) -> argparse.Namespace:
    """What `job deploy` is given: engine, account, schedule, parameters and bindings of the deployment that is replaced."""
    bound = Place(job_deploy.root_of(arguments) / row["id"]).deployed()
    given = {"engine": row["engine"], "schedule": row["schedule"], "run_as": row["run_as"], "masked": list(bound["masked"])}
    given |= {"param": [f"{name}={value}" for name, value in row["parameters"].items()]}
    given |= {"dataset": [f"{name}={path}" for name, path in bound["datasets"].items()]}
    return argparse.Namespace(**vars(arguments) | given)
