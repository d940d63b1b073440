"""`jupyter guardrails job start DEPLOYMENT`: one run of what is deployed; a timer or cron runs the same command."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import job_deploy, job_run
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.deployments import DeploymentsList, RunBegin, RunReport
from jupyter_guardrails.control.interface.messages import Beat, KernelSettle
from jupyter_guardrails.engines import known, local, places, start
from jupyter_guardrails.engines.base import Engine
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.kernels import run_dirs

POLL_S = 0.2


def add_parser(commands: Any) -> None:
    """`job start DEPLOYMENT`."""
    parser = commands.add_parser("start", help="run what is deployed, now: a run as its schedule would start it")
    parser.add_argument("deployment")
    parser.add_argument("number", nargs="?", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # start.py's: the run itself, under the production sandbox
    parser.add_argument("--scheduled", action="store_true", help=argparse.SUPPRESS)  # a timer's: its control is that of who deployed it
    parser.add_argument("--engine-job", help=argparse.SUPPRESS)  # a run that the engine began by its own schedule, as it calls it
    parser.add_argument("--wait", action="store_true", help="until the run has ended (always so on the engine local)")
    job_deploy.add_root(parser)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The run's own exit code."""
    if arguments.inside:
        return _inside(Place(Path(arguments.deployment)), arguments.number)
    place = Place(job_deploy.root_of(arguments) / Path(arguments.deployment).name)
    deployed = place.deployed()
    if arguments.scheduled:
        os.environ.update(deployed["environ"])
    with connected(os.environ) as client:
        number = client.call(RunBegin(deployment=place.id))["number"]
        if arguments.engine_job is not None:
            return _began(client, place, number, arguments.engine_job)
        engine = known.engine(deployed["engine"])
        found = _start(client, place, number, engine, say=not arguments.json)
        if engine.attended or arguments.wait:
            found = _follow(client, place, number, engine, found["engine_job"])
    print_json(found) if arguments.json else print(f"run {number}: {found['state']}{_outcome(found)}")
    return 0 if found["state"] in ("running", "complete") else int(found["exit_code"] or 1)


def _outcome(run: dict[str, Any]) -> str:
    code = "" if run["exit_code"] is None else f", exit {run['exit_code']}"
    return f"{code} {line(run['error'])}".rstrip()


def _start(client: ControlClient, place: Place, number: int, engine: Engine, *, say: bool) -> dict[str, Any]:
    """Give it to the engine, and tell control how that calls it, or why it would not take it."""
    told: dict[str, Any] = {"deployment": place.id, "number": number}
    try:
        job = engine.start(place, number)
    except BaseException as error:
        client.call(RunReport.model_validate(told | {"state": "failed", "error": f"it did not start: {error}"[:4000]}))
        raise
    if say:
        print(f"run {number} is {job} on {engine.name}: {place.run(number)}", flush=True)
    return client.call(RunReport.model_validate(told | {"state": "running", "engine_job": job}))


def _began(client: ControlClient, place: Place, number: int, job: str) -> int:
    """The engine goes on itself, with the number that this prints."""
    client.call(RunReport(deployment=place.id, number=number, state="running", engine_job=job))
    print(number)
    return 0


def _follow(client: ControlClient, place: Place, number: int, engine: Engine, job: str) -> dict[str, Any]:
    """Wait for its end, and tell control how that was. Interrupted, the run ends."""
    said = ""
    try:
        while engine.is_running(place, number, job):
            said = _say_why_it_waits(place, number, engine, job, said=said)
            time.sleep(POLL_S)  # an engine has no event to wait for
    except KeyboardInterrupt:
        engine.stop(place, number, job)
        while engine.is_running(place, number, job):
            time.sleep(POLL_S)
    ended = places.ended(place, number) or places.lost(place, number) | engine.verdict(place, number, job)
    return client.call(RunReport.model_validate({"deployment": place.id, "number": number} | ended))


def _say_why_it_waits(place: Place, number: int, engine: Engine, job: str, *, said: str) -> str:
    """What was said last: the engine's reason is told when it changes, until the run begins."""
    why = "" if (place.run(number) / "started.json").exists() else engine.waits_for(place, number, job)
    if why and why != said:
        print(f"run {number}: {job_deploy.waiting(engine.name, why)}", file=sys.stderr, flush=True)
    return why or said


def _inside(place: Place, number: int) -> int:
    """The run itself: admitted, in the production sandbox, followed and charged like a kernel."""
    deployed, out = place.deployed(), place.run(number) / "out"
    os.environ.update(deployed["environ"])
    out.mkdir()
    with connected(os.environ) as client, run_dirs.held() as private:
        profile = client.call(DeploymentsList(id=place.id))["profile"]
        job = place.job()
        admission = job_run.admit(client, out, profile, [entry for entry in job.inputs if entry.name not in deployed["datasets"]])
        try:
            datasets = admission.datasets | deployed["datasets"]
            brokered = tuple(entry.name for entry in job.inputs if entry.name not in datasets)
            given = (deployed["parameters"], datasets, brokered, tuple(deployed["masked"]))
            request = local.Request(place.package, place.folder, out, place.environments, *given)
            step = local.running(request, place.package.name)
            measured = functools.partial(_keep_use, place, number)
            return job_run.run_step(client, admission, step, private, secrets=job.secrets, measured=measured)
        except BaseException:
            client.call(KernelSettle(lease=admission.lease, reason="the job did not run"))
            raise


def _keep_use(place: Place, number: int, last: Beat) -> None:
    """What was measured of all its processes together: start.py knows the largest one only."""
    start.write(place.run(number) / "use.json", {"peak_bytes": last.memory_peak_bytes, "cpu_s": last.cpu_s})
