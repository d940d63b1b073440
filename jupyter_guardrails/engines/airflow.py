"""Airflow 3: a deployment is a DAG of one task in Airflow's folder of DAGs; runs are its DAG runs, asked for and followed over the REST API.

Its workers have the deployer's account. Where they are on machines like this one (`workers: here`), runs have the production sandbox and the schedule
is the DAG's own; `workers: elsewhere` is for those that share no more than the folder: there schedules are the account's own timer or crontab.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_guardrails.engines import airflow_api, airflow_task, schedules
from jupyter_guardrails.engines.airflow_api import Api
from jupyter_guardrails.engines.base import Tell, silent
from jupyter_guardrails.engines.places import Place
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError

TASK = "run"
SECONDS_BESIDE = 60  # for starting and for writing down results: what the job itself may take is run.py's to hold
READ_WITHIN_S = 900.0  # Airflow looks for new files each `dag_processor.refresh_interval`, by default 300 s
POLL_S = 1.0
TELL_EACH_S = 60.0
WORKERS = ("here", "elsewhere")
HOW_TO_SAY = "promotion.engines.airflow: {url: https://…, dags: /FOLDER}"
ALIVE = ("queued", "running")
DAG = '''\
"""A DAG of jupyter_guardrails, made when {id} was deployed: digests, integers, and the deployment's folder, where all else is."""

import subprocess

from airflow.sdk import DAG, BaseOperator, timezone

FOLDER = {folder!r}
CONTENT = "{content}"


class Run(BaseOperator):
    """Starts a run in the deployment's folder, with nothing of the worker's environment."""

    def execute(self, context):
        run = context["dag_run"]
        number = int((run.conf or {{}}).get("number", 0))
        command = [FOLDER + "/python", "-I", FOLDER + "/airflow_task.py", str(number), run.run_id]
        pipes = {{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}}
        self.process = subprocess.Popen(command, env={{}}, text=True, errors="replace", **pipes)
        for line in self.process.stdout:
            self.log.info("%s", line.rstrip())
        if code := self.process.wait():
            raise RuntimeError(f"the run ended with exit code {{code}}")

    def on_kill(self):
        self.process.terminate()
        self.process.wait()


with DAG(
    "{dag}",
    schedule={schedule},
    start_date=timezone.make_naive(timezone.from_timestamp({deployed_at})),
    catchup=False,
    is_paused_upon_creation=False,
    tags=["jupyter-guardrails", CONTENT[:12]],
):
    Run(task_id="{task}", retries=0, execution_timeout=timezone.from_timestamp({seconds}) - timezone.from_timestamp(0))
'''


class Airflow:
    """The Airflow that the policy names, as the login of the operator's file."""

    name = "airflow"
    attended = False

    def __init__(self) -> None:
        self._api: Api | None = None

    def is_governed(self, settings: Mapping[str, Any]) -> bool:
        """Where its workers are machines like this one."""
        return str(settings.get("workers", WORKERS[0])) == WORKERS[0]

    def deploy(self, place: Place, schedule: str, tell: Tell = silent) -> None:
        """Its DAG, which Airflow has read when this returns, without a mistake."""
        settings = place.deployed()["settings"]
        file, governed, api = file_of(place), self.is_governed(settings), self._connected(place)
        if api.ask("GET", "version") is None:
            raise GuardrailsError(f"{api.url} is no Airflow 3", next_step=HOW_TO_SAY)
        (place.folder / "airflow_task.py").write_bytes(Path(airflow_task.__file__).read_bytes())
        (place.folder / airflow_task.ASKED).mkdir(exist_ok=True)
        _write(file, text_of(place, schedule if governed else "", deployed_at=int(time.time())))
        self._until_read(place, api, file, tell)
        if schedule and not governed:
            schedules.install(place, schedule)

    def start(self, place: Place, number: int) -> str:
        """Airflow's name of the DAG run."""
        if not file_of(place).exists():
            raise Conflict(f"Airflow has no DAG of deployment {place.id} any more", next_step="deploy it again")
        mark, name = place.folder / airflow_task.ASKED / str(int(number)), f"run-{int(number)}"
        mark.touch()
        try:
            body = {"dag_run_id": name, "logical_date": None, "conf": {"number": int(number)}}
            if self._connected(place).ask("POST", "dags", dag_of(place), "dagRuns", body=body) is None:
                raise Conflict(f"Airflow does not know {dag_of(place)}", next_step="deploy it again")
        except BaseException:
            mark.unlink(missing_ok=True)
            raise
        return name

    def is_running(self, place: Place, number: int, job: str) -> bool:
        """Whether it waits or runs; GuardrailsError while Airflow does not answer, so that nothing is taken for lost."""
        found = self._connected(place).ask("GET", *_run(place, job))
        return found is not None and found.get("state") in ALIVE

    def waits_for(self, place: Place, number: int, job: str) -> str:
        """That it is queued, and whether its DAG is paused."""
        found = self._connected(place).ask("GET", *_run(place, job))
        if found is None or found.get("state") != "queued":
            return ""
        dag = self._connected(place).ask("GET", "dags", dag_of(place)) or {}
        return "it is queued" + (", and its DAG is paused" if dag.get("is_paused") else "")

    def verdict(self, place: Place, number: int, job: str) -> dict[str, Any]:
        """What Airflow says of a run that wrote down no end of its own: its state, and the end of its task's log."""
        api = self._connected(place)
        found = api.ask("GET", *_run(place, job))
        task = api.ask("GET", *_run(place, job), "taskInstances", TASK) or {}
        if found is None:
            return {}
        said = f"Airflow says {found.get('state')} of {dag_of(place)}, {job}"
        log = api.ask("GET", *_run(place, job), "taskInstances", TASK, "logs", str(task.get("try_number") or 1)) if task else None
        words = [str(line.get("event", "")) for line in (log or {}).get("content", ()) if isinstance(line, dict)]
        last = [word for word in words if word and not word.startswith("::")][-3:]
        return {"state": "failed", "error": ": ".join([said, *last])[:4000]}

    def stop(self, place: Place, number: int, job: str) -> None:
        """Set to failed, which ends its task; or over already."""
        if self.is_running(place, number, job):
            self._connected(place).ask("PATCH", *_run(place, job), body={"state": "failed"})

    def end(self, place: Place) -> None:
        """Its DAG's file goes, what waits is taken back, the DAG is paused; what runs goes on to its end."""
        schedules.remove(place)
        if not (place.folder / "deployment.json").exists() or not (file := file_of(place)).exists():
            return
        file.unlink()
        api, dag = self._connected(place), dag_of(place)
        api.ask("PATCH", "dags", dag, body={"is_paused": True})
        waiting = api.ask("GET", "dags", dag, "dagRuns", query={"state": "queued", "limit": 100}) or {}
        for run in waiting.get("dag_runs", ()):
            api.ask("PATCH", "dags", dag, "dagRuns", str(run["dag_run_id"]), body={"state": "failed"})

    def _connected(self, place: Place) -> Api:
        if self._api is None:
            settings = settings_of(place)
            self._api = Api(settings["url"], airflow_api.credentials_of(os.environ))
        return self._api

    def _until_read(self, place: Place, api: Api, file: Path, tell: Tell) -> None:
        """Returns when Airflow knows the DAG; GuardrailsError with its mistake, or when it does not look."""
        began = told = time.monotonic()
        tell(f"waits until Airflow has read {file}: it looks each `dag_processor.refresh_interval`, by default 300 s; {READ_WITHIN_S:.0f} s at most")
        while api.ask("GET", "dags", dag_of(place)) is None:
            mistakes = api.ask("GET", "importErrors", query={"filename_pattern": f"%{file.name}"}) or {}
            for mistake in mistakes.get("import_errors", ()):
                raise GuardrailsError(f"Airflow can't read {file}: {str(mistake.get('stack_trace'))[-1000:]}", next_step="is it Airflow 3?")
            if (now := time.monotonic()) > began + READ_WITHIN_S:
                raise GuardrailsError(
                    f"Airflow has not read {file} in {READ_WITHIN_S:.0f} s",
                    next_step="is `dags` a folder that its dag-processor reads, and does it run?",
                )
            if now > told + TELL_EACH_S:
                told = now
                tell(f"Airflow has not read it yet, after {now - began:.0f} s")
            time.sleep(POLL_S)  # Airflow has no event to wait for


def settings_of(place: Place) -> dict[str, str]:
    """What the policy says of Airflow; BadRequest for what is missing or makes no sense."""
    found = {name: str(value) for name, value in place.deployed()["settings"].items()}
    if missing := [name for name in ("url", "dags") if not found.get(name)]:
        raise BadRequest(f"the policy says no {missing[0]} for airflow", next_step=HOW_TO_SAY)
    if unknown := sorted(set(found) - {"url", "dags", "workers"}):
        raise BadRequest(f"the policy says {unknown[0]} for airflow, which it does not have", next_step=HOW_TO_SAY)
    if found.get("workers", WORKERS[0]) not in WORKERS:
        raise BadRequest(f"the policy says workers: {found['workers']} for airflow", next_step=f"it is one of: {', '.join(WORKERS)}")
    if not Path(found["dags"]).is_absolute():
        raise BadRequest(f"the policy's dags for airflow, {found['dags']}, is no absolute path", next_step=HOW_TO_SAY)
    return found


def dag_of(place: Place) -> str:
    """The DAG's id: digits of the deployment."""
    if not re.fullmatch(r"[0-9a-f]{32}", place.id):
        raise GuardrailsError(f"{place.id[:50]!r} is no name of a deployment", next_step="see `jupyter guardrails job runs`")
    return f"guardrails-{place.id}"


def file_of(place: Place) -> Path:
    """The DAG's file in Airflow's folder."""
    return Path(settings_of(place)["dags"]) / f"guardrails_{dag_of(place).removeprefix('guardrails-')}.py"


def text_of(place: Place, schedule: str, *, deployed_at: int) -> str:
    """The DAG's file: the content's digest, integers, the schedule's five fields, and where the deployment lies. Nothing that an author wrote."""
    content = str(place.deployed()["content"])
    if not re.fullmatch(r"[0-9a-f]{64}", content):
        raise GuardrailsError("a content digest is 64 hexadecimal digits", next_step="deploy the package again")
    if schedule:
        schedules.values_of(schedule)
    said = {"id": place.id, "dag": dag_of(place), "task": TASK, "content": content, "folder": str(place.folder), "deployed_at": int(deployed_at)}
    return DAG.format(**said, schedule=repr(schedule or None), seconds=place.longest_s + SECONDS_BESIDE)


def _run(place: Place, job: str) -> tuple[str, ...]:
    return ("dags", dag_of(place), "dagRuns", job)


def _write(file: Path, text: str) -> None:
    """Whole or not at all, so that Airflow never reads half of it."""
    fresh = file.with_name(f".{file.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        os.replace(fresh, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise GuardrailsError(
            f"{file} can't be written: {error.strerror}", next_step="this account must be able to write to Airflow's folder of DAGs"
        ) from error
