"""Deployments of packages, and their runs. One job has one live deployment an engine: the next one ends the one before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from jupyter_guardrails.errors import Conflict, NotFound
from jupyter_guardrails.records import audit
from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import deployments, job_runs
from jupyter_guardrails.records.tables import submissions as jobs

RUN_FIELDS = frozenset({"state", "engine_job", "ended_at", "exit_code", "peak_bytes", "attempts", "cell", "error", "log_tail", "data"})
NEXT_STEP = "`jupyter guardrails job runs` shows those that there are"


def create(connection: Connection, row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A deployment that is being prepared; `fields` are those of its audit record."""
    times = {"created_at": fields["now"], "updated_at": fields["now"]}
    connection.execute(insert(deployments).values(dict(row) | times | {"state": "preparing", "reason": ""}))
    audit.append(connection, **fields)
    return get(connection, row["id"])


def get(connection: Connection, id: str) -> dict[str, Any]:
    """The row with its job's name, version and author, or NotFound."""
    found = connection.execute(_joined().where(deployments.c.id == id)).mappings().first()
    if found is None:
        raise NotFound(f"there is no deployment {id}", next_step=NEXT_STEP)
    return dict(found)


def newest(connection: Connection, *, limit: int = 200) -> list[dict[str, Any]]:
    """Rows as `get` gives them, newest first."""
    query = _joined().order_by(deployments.c.created_at.desc(), deployments.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def make_live(connection: Connection, id: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """It is in production from now on, and those that it replaces end. They are given back."""
    row = get(connection, id)
    if row["state"] != "preparing":
        raise Conflict(f"deployment {id} is {row['state']}: only one that is being prepared becomes live", next_step=NEXT_STEP)
    _set(connection, id, "live", "", fields["now"])
    audit.append(connection, **fields)
    replaced = [other for other in _live_of_job(connection, row) if other["id"] != id and _replaces(row, other)]
    for other in replaced:
        finish(connection, other["id"], f"replaced by {row['name']}-{row['version']} on {row['engine']}", dict(fields) | {"action": "deployment.end"})
    return replaced


def finish(connection: Connection, id: str, reason: str, fields: Mapping[str, Any]) -> None:
    """It is over, for this reason; Conflict when it is already."""
    row = get(connection, id)
    if row["state"] == "ended":
        raise Conflict(f"deployment {id} has ended already: {row['reason']}", next_step=NEXT_STEP)
    _set(connection, id, "ended", reason, fields["now"])
    audit.append(connection, **dict(fields) | {"resource": f"{row['name']}-{row['version']}", "reason": f"{row['engine']}: {reason}"})


def begin_run(connection: Connection, id: str, fields: Mapping[str, Any]) -> int:
    """The number of a new run of a live deployment."""
    row = get(connection, id)
    if row["state"] != "live":
        raise Conflict(f"deployment {id} is {row['state']}{': ' + row['reason'] if row['reason'] else ''}", next_step=NEXT_STEP)
    last = connection.execute(select(func.max(job_runs.c.number)).where(job_runs.c.deployment == id)).scalar() or 0
    values = {"deployment": id, "number": last + 1, "state": "running", "engine_job": "", "started_at": fields["now"], "error": "", "log_tail": ""}
    connection.execute(insert(job_runs).values(values))
    audit.append(connection, **dict(fields) | {"reason": f"{row['engine']}: run {last + 1} of deployment {id}"})
    return int(last + 1)


def note_run(connection: Connection, id: str, number: int, said: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What its operator found of a run; its end is recorded once, and never changed."""
    place = (job_runs.c.deployment == id) & (job_runs.c.number == number)
    before = connection.execute(select(job_runs).where(place)).mappings().first()
    if before is None:
        raise NotFound(f"deployment {id} has no run {number}", next_step=NEXT_STEP)
    if before["state"] != "running":
        return dict(before)
    values = {key: storable(value) if isinstance(value, str) else value for key, value in said.items() if key in RUN_FIELDS}
    connection.execute(update(job_runs).where(place).values(values))
    if values.get("state", "running") != "running":
        said_of = f"run {number} of deployment {id}: {values['state']}, exit code {values.get('exit_code')}"
        audit.append(connection, **dict(fields) | {"reason": said_of})
    return dict(connection.execute(select(job_runs).where(place)).mappings().one())


def runs_of(connection: Connection, id: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """The last runs of a deployment, newest first."""
    query = select(job_runs).where(job_runs.c.deployment == id).order_by(job_runs.c.number.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def run_of(connection: Connection, id: str, number: int) -> dict[str, Any]:
    """One run of a deployment, or NotFound."""
    found = connection.execute(select(job_runs).where((job_runs.c.deployment == id) & (job_runs.c.number == number))).mappings().first()
    if found is None:
        raise NotFound(f"deployment {id} has no run {number}", next_step=NEXT_STEP)
    return dict(found)


def end_of_submission(connection: Connection, submission: str, reason: str, fields: Mapping[str, Any]) -> None:
    """Every deployment of a submission that is no longer for production ends."""
    query = select(deployments.c.id).where(deployments.c.submission == submission, deployments.c.state != "ended")
    for id in list(connection.execute(query).scalars()):
        finish(connection, id, reason, dict(fields) | {"action": "deployment.end"})


def _joined() -> Any:
    about = (jobs.c.name, jobs.c.version, jobs.c.principal.label("author"))
    return select(deployments, *about).join(jobs, jobs.c.id == deployments.c.submission)


def _set(connection: Connection, id: str, state: str, reason: str, now: datetime) -> None:
    connection.execute(update(deployments).where(deployments.c.id == id).values(state=state, reason=storable(reason), updated_at=now))


def _live_of_job(connection: Connection, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    query = _joined().where(jobs.c.name == row["name"], jobs.c.principal == row["author"], deployments.c.state == "live")
    return [dict(found) for found in connection.execute(query).mappings()]


def _replaces(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Another version's deployments all end; of the same version, the one on the same engine. A self-test replaces self-tests alone."""
    if row["self_test"] and not other["self_test"]:
        return False
    return bool(other["submission"] != row["submission"] or other["engine"] == row["engine"])
