"""A DAG for Airflow 3 that runs the package that it lies in: it calls run.py, and nothing else.

    ln -s /srv/jobs/sales-3/engines/airflow_dag.py /srv/airflow/dags/sales_3.py

Parameters travel in the run's conf, {"parameters": {"year": 2026}}, and run.py checks them; schedule and time limit are job.json's. Datasets are
where run.py finds them: GUARDRAILS_BINDINGS of the worker, or the contracts' places. Results are beside the package, in a folder for each run.
"""

import datetime
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

PACKAGE = Path(__file__).resolve().parents[1]
JOB = json.loads((PACKAGE / "job.json").read_text(encoding="utf-8"))
DIGEST = hashlib.sha256((PACKAGE / "manifest-sha256.txt").read_bytes()).hexdigest()
SECONDS_BESIDE = 900  # for the environments, which the first run builds


class RunPackage(BaseOperator):  # type: ignore[misc] # Airflow is not where this is checked
    """One run, by run.py."""

    def execute(self, context: Any) -> None:
        """Called by Airflow's worker."""
        run = context["dag_run"]
        out = PACKAGE.with_name(f"{PACKAGE.name}-runs") / hashlib.sha256(run.run_id.encode()).hexdigest()[:16]
        given = dict((run.conf or {}).get("parameters", {}))
        words = [f"--param={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items()]
        command = [sys.executable, "-I", str(PACKAGE / "run.py"), f"--out={out}", *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.info("%s", line.rstrip())
        if code := self.process.wait():
            raise RuntimeError(f"the run ended with exit code {code}; its results are in {out}")

    def on_kill(self) -> None:
        """Called by Airflow when the run is stopped."""
        self.process.terminate()
        self.process.wait()


with DAG(
    f"guarded-{DIGEST[:16]}",
    schedule=JOB.get("schedule") or None,
    start_date=datetime.datetime(2026, 1, 1),
    catchup=False,
    tags=["jupyter-guardrails"],
):
    RunPackage(task_id="run", execution_timeout=datetime.timedelta(seconds=JOB["resources"]["wall_s"] + SECONDS_BESIDE))
