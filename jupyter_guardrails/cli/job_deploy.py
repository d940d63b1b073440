"""`jupyter guardrails job deploy|runs|logs|undeploy`: packages in production, by the account that operates them."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import interrupts, job_run
from jupyter_guardrails.cli.connection import connected, home_of
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.deployments import DeploymentCreate, DeploymentEnd, DeploymentLive, DeploymentsList, RunReport
from jupyter_guardrails.engines import known, local, parameters, places, schedules
from jupyter_guardrails.engines.places import Given, Place
from jupyter_guardrails.errors import BadRequest, GuardrailsError, NotFound

MOST_SHOWN = 10  # files of a run; --json has all
INSIDE = (sys.executable, "-I", "-m", "jupyter_guardrails", "job", "start", "--inside")  # what start.py runs in the production sandbox


def add_parsers(commands: Any) -> None:
    """Below `job`."""
    deploying = commands.add_parser("deploy", help="put an approved package into production on an engine that you operate")
    deploying.add_argument("id", help="the submission, as `job list` shows it")
    deploying.add_argument("--engine", default="local", choices=sorted(known.ENGINES))
    deploying.add_argument("--schedule", metavar="CRON", help=f"{schedules.EXAMPLE}; '' for none (default: what the package says)")
    deploying.add_argument("--run-as", metavar="ACCOUNT", help="whose rights its runs have (default: yours, as which they run)")
    deploying.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    deploying.add_argument("--dataset", action="append", default=[], metavar="NAME=PATH", help="where its runs find a dataset")
    deploying.add_argument("--masked", action="append", default=[], metavar="NAME", help="a file given by --dataset has the masks of the clean run")
    runs = commands.add_parser("runs", help="what is deployed, and what its last runs came to")
    runs.add_argument("id", nargs="?", default="", help="a deployment or a submission (default: all that you may see)")
    logs = commands.add_parser("logs", help="the log of a run: all of it where it ran, else its end")
    logs.add_argument("id", help="a deployment")
    logs.add_argument("number", nargs="?", type=int, help="the run (default: the last one)")
    undeploy = commands.add_parser("undeploy", help="end a deployment: nothing of it starts any more; what runs goes on to its end")
    undeploy.add_argument("id", help="a deployment")
    undeploy.add_argument("--reason", default="")
    for parser, run in ((deploying, deploy), (runs, _runs), (logs, _logs), (undeploy, _undeploy)):
        add_root(parser)
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(run=run)


def add_root(parser: argparse.ArgumentParser) -> None:
    """`--deployments DIR`."""
    parser.add_argument("--deployments", type=Path, metavar="DIR", help="where deployments lie (default: in your ~/.local/share)")


def root_of(arguments: argparse.Namespace) -> Path:
    """The folder that holds this account's deployments."""
    if arguments.deployments:
        return Path(arguments.deployments).resolve()
    data = os.environ.get("XDG_DATA_HOME") or home_of(os.environ) / ".local" / "share"
    return Path(data, "jupyter-guardrails", "deployments").resolve()


def deploy(arguments: argparse.Namespace) -> int:
    """0 when it is live."""
    given = job_run.pairs(arguments.param, "--param")
    request = {"submission": arguments.id, "engine": arguments.engine, "schedule": arguments.schedule, "parameters": given}
    with connected(os.environ) as client, interrupts.as_keyboard():
        answer, fds = client.call_with_fds(DeploymentCreate.model_validate(request | {"run_as": arguments.run_as}))
        made, place = answer["deployment"], Place(root_of(arguments) / answer["deployment"]["id"])
        try:
            _prepare(arguments, answer, place, fds[0])
            live = client.call(DeploymentLive(id=made["id"]))
        except BaseException as error:
            interrupts.ignore()
            _take_back(client, arguments.engine, place, str(error) or "it was interrupted")
            raise
    for replaced in live["replaced"]:
        _end_here(Place(place.folder.parent / replaced["id"]), replaced["engine"])
    _say(arguments, live, place)
    return 0


def _take_back(client: ControlClient, engine: str, place: Place, why: str) -> None:
    """Nothing of it is left, here, on its engine, or with control, whichever of them fails."""
    _tell("takes back what was deployed of it")
    with contextlib.ExitStack() as steps:
        steps.callback(shutil.rmtree, place.folder, ignore_errors=True)
        steps.callback(_end_on, engine, place)
        steps.callback(client.call, DeploymentEnd(id=place.id, reason=f"it could not be deployed: {why}"[:2000]))


def _end_on(engine: str, place: Place) -> None:
    try:
        known.engine(engine).end(place)
    except GuardrailsError as error:  # why it could not be deployed is what is raised
        _tell(str(error))


def _tell(sentence: str) -> None:
    """For who waits; what a command prints is its answer."""
    print(f"job deploy: {line(sentence)}", file=sys.stderr, flush=True)


def _prepare(arguments: argparse.Namespace, answer: dict[str, Any], place: Place, package: int) -> None:
    """Its folder, its environments, its engine."""
    datasets = {name: str(Path(path).resolve()) for name, path in job_run.pairs(arguments.dataset, "--dataset").items()}
    environ = {name: value for name, value in os.environ.items() if name.startswith(("GUARDRAILS_", "SLURM_CONF", "KUBECONFIG"))}
    governed = known.engine(arguments.engine).is_governed(answer["settings"])
    command = INSIDE if governed else ()
    made, masked = answer["deployment"], tuple(arguments.masked)
    given = Given(made["content_digest"], arguments.engine, made["parameters"], datasets, masked, command, answer["settings"], environ)
    with tempfile.TemporaryDirectory(prefix="guardrails-deploy-") as scratch:
        path = Path(scratch, "package.zip")
        with open(package, "rb") as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        places.prepare(place.folder.parent, place.id, path, given)
        job = place.job()
        parameters.check(job, given.parameters)
        if unknown := sorted({*datasets, *arguments.masked} - {entry.name for entry in job.inputs}):
            raise BadRequest(f"{job.name} reads no dataset {unknown[0]}", next_step="`job show` names those that it reads")
        _build(place, Path(scratch))
    if not governed and (missing := places.unresolved(place)):
        raise BadRequest(missing, next_step="name it when you deploy: nothing of ours reads data for the job there")
    known.engine(arguments.engine).deploy(place, made["schedule"], _tell)


def _build(place: Place, scratch: Path) -> None:
    """Both environments, once for all deployments with these locks: nothing is resolved when a run starts."""
    place.environments.mkdir(exist_ok=True)
    _tell("builds the package's environments: once, which may take minutes; packages with the same locks share them")
    request = local.Request(place.package, place.folder, place.folder / "runs", place.environments)
    with contextlib.redirect_stdout(sys.stderr):  # what a command prints is its answer
        code = job_run.build(local.building(request, place.package.name), scratch)
    if code:
        raise GuardrailsError(f"the job's environments were not built (exit code {code})", next_step="see what it printed above")


def _say(arguments: argparse.Namespace, live: dict[str, Any], place: Place) -> None:
    if arguments.json:
        print_json(live)
        return
    made = live["deployment"]
    print(f"{line(made['name'])}-{made['version']} is {made['label']} on {made['engine']}, as {made['run_as']}: deployment {made['id']}")
    print(f"  content: {made['content_digest']}\n  in {place.folder}")
    for replaced in live["replaced"]:
        print(f"  replaces deployment {replaced['id']} of {line(replaced['name'])}-{replaced['version']}")
    print(f"  next: jupyter guardrails job start {made['id']}" if not made["schedule"] else f"  runs at {made['schedule']}")


def _runs(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        for row in client.call(DeploymentsList(id=arguments.id))["deployments"]:
            bring_up_to_date(client, row, Place(root_of(arguments) / row["id"]))
        found = client.call(DeploymentsList(id=arguments.id))
    if arguments.json:
        print_json(found)
    else:
        print("\n".join(text for row in found["deployments"] for text in _lines(row)) or "nothing is deployed: `jupyter guardrails job deploy ID`")
    return 0


def bring_up_to_date(client: ControlClient, row: dict[str, Any], place: Place) -> None:
    """Tell control how runs ended that began here; take what is over from its engine."""
    if not (place.folder / "deployment.json").exists():
        return
    for run in row["runs"]:
        if run["state"] == "running" and (found := _outcome(row, run, place)):
            client.call(RunReport.model_validate({"deployment": row["id"], "number": run["number"]} | found))
    if row["state"] == "ended":
        _end_here(place, row["engine"])


def _outcome(row: dict[str, Any], run: dict[str, Any], place: Place) -> dict[str, Any] | None:
    """How a run ended, or why it waits; lost when its engine no longer has it and nothing says how it ended."""
    engine, number = known.engine(row["engine"]), run["number"]
    if found := places.ended(place, number):
        return found
    running = engine.is_running(place, number, run["engine_job"])
    if found := places.ended(place, number):
        return found
    if running:
        why = engine.waits_for(place, number, run["engine_job"])
        return {"state": "running", "error": waiting(row["engine"], why)} if waiting(row["engine"], why) != run["error"] else None
    return places.lost(place, number) | engine.verdict(place, number, run["engine_job"])


def waiting(engine: str, why: str) -> str:
    """What is said of a run that did not begin yet; empty where it did."""
    return f"{engine} says why it waits: {why}"[:4000] if why else ""


def _end_here(place: Place, name: str) -> None:
    """Nothing of a deployment starts on this machine any more."""
    if (place.folder / "deployment.json").exists() and not (place.folder / "ended").exists():
        try:
            known.engine(name).end(place)
        finally:  # whatever an engine that does not answer still has of it, start.py starts nothing
            place.mark_ended()


def _lines(row: dict[str, Any]) -> list[str]:
    head = f"{row['id']}  {line(row['name'])}-{row['version']}  {row['engine']}  {row['label']}  as {row['run_as']}"
    details = [f"  schedule: {row['schedule']}"] if row["schedule"] else []
    details += [f"  drift: {line(sentence)}" for sentence in row["drift"]]
    details += [f"  ended: {line(row['reason'])}"] if row["state"] == "ended" else []
    return [head, *details, *(text for run in row["runs"] for text in (_run_line(run), *_data_lines(run)))]


def _run_line(run: dict[str, Any]) -> str:
    peak = f", peak {run['peak_bytes'] / 2**20:.0f} MiB" if run["peak_bytes"] is not None else ""
    code = f", exit {run['exit_code']}" if run["exit_code"] is not None else ""
    where = f", cell {run['cell']}" if run["cell"] is not None else ""
    tried = f", attempt {run['attempts']}" if (run["attempts"] or 1) > 1 else ""
    error = f": {line(run['error'])[-200:]}" if run["error"] else ""
    return f"  run {run['number']}  {run['started_at'][:19]}  {run['state']}{code}{tried}{peak}{where}{error}"


def drift_of(client: ControlClient, submission: str) -> list[str]:
    """For `job show`: what is other with the data of where it is deployed, by contract and as the last run of each found it."""
    try:
        rows = client.call(DeploymentsList(id=submission))["deployments"]
    except NotFound:  # it is deployed nowhere
        return []
    found = [(row, text) for row in rows if row["state"] == "live" for text in (*row["drift"], *_last_drift(row["runs"]))]
    return [f"  drift on {row['engine']}: {line(text)}" for row, text in found]


def _last_drift(runs: Sequence[dict[str, Any]]) -> list[str]:
    last = next((run for run in runs if run["state"] != "running"), None)
    return [f"{text} (run {last['number']})" for text in last["drift"]] if last else []


def _data_lines(run: dict[str, Any]) -> list[str]:
    other = [f"    data: {line(text)}" for text in run["drift"]]
    return other + [f"    made {line(one['path'])}, {one['size_bytes']} bytes, sha256 {one['sha256'][:12]}" for one in run["outputs"][:MOST_SHOWN]]


def _logs(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        row = client.call(DeploymentsList(id=arguments.id))["deployments"][0]
    run = next((run for run in row["runs"] if arguments.number in (None, run["number"])), None)
    if run is None:
        raise NotFound(f"deployment {row['id']} has no such run", next_step=f"jupyter guardrails job runs {row['id']}")
    log = Place(root_of(arguments) / row["id"]).run(run["number"]) / "log.txt"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else run["log_tail"]
    print_json(run | {"log": text}) if arguments.json else print(*map(line, text.splitlines()), sep="\n")
    return 0


def _undeploy(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(DeploymentEnd(id=arguments.id, reason=arguments.reason))["deployment"]
    _end_here(Place(root_of(arguments) / found["id"]), found["engine"])
    print_json(found) if arguments.json else print(f"{line(found['name'])}-{found['version']} on {found['engine']}: {found['label']}")
    return 0
