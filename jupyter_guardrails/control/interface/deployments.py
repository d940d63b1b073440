"""Requests to control: packages in production. Control says who may deploy what, and keeps what came of it; it starts nothing itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from jupyter_guardrails.control.interface.messages import Request
from jupyter_guardrails.control.interface.run_outputs import MOST_OUTPUTS, RunOutput
from jupyter_guardrails.package.details import check_schedule


class DeploymentCreate(Request):
    """-> {deployment, settings}, and the package's zip as a descriptor. Refused unless it may be deployed and `run_as` may read all that it reads.

    `run_as`: whose rights its runs have (default: what the package says, else who deploys).
    """

    op = "deployments.create"
    submission: str = Field(max_length=100)
    engine: Literal["local", "slurm", "airflow", "kubernetes"]
    run_as: str | None = Field(default=None, max_length=200)
    schedule: str | None = Field(default=None, max_length=200)  # None: what the package says
    parameters: dict[str, str] = Field(default_factory=dict, max_length=200)

    @field_validator("schedule")
    @classmethod
    def _plain(cls, schedule: str | None) -> str | None:
        return schedule and check_schedule(schedule)


class DeploymentLive(Request):
    """-> {deployment, replaced: [deployment]}: it lies where its engine starts it; what it replaces is over."""

    op = "deployments.live"
    id: str = Field(max_length=100)


class DeploymentEnd(Request):
    """-> {deployment}: nothing of it starts any more."""

    op = "deployments.end"
    id: str = Field(max_length=100)
    reason: str = Field(default="", max_length=2000)


class DeploymentsList(Request):
    """-> {deployments: [{..., runs}], profile}, newest first: of this person's jobs, that they deployed, or that they may review.

    `profile`: the one that production runs under here.
    """

    op = "deployments.list"
    repeatable = True
    id: str = Field(default="", max_length=100)  # of one deployment, or of a submission


class RunBegin(Request):
    """-> {number}: a run may begin now. Looked at again: approval, suspensions, and what `run_as` may read."""

    op = "deployments.run"
    deployment: str = Field(max_length=100)


class RunReport(Request):
    """-> the run. What its operator found of it; once it has ended it never changes."""

    op = "deployments.report"
    repeatable = True
    deployment: str = Field(max_length=100)
    number: int = Field(ge=1)
    state: Literal["running", "complete", "failed", "lost"]
    engine_job: str = Field(default="", max_length=200)
    exit_code: int | None = None
    peak_bytes: int | None = Field(default=None, ge=0, le=1 << 62)
    attempts: int | None = Field(default=None, ge=1, le=100)  # how often it was tried
    cell: int | None = Field(default=None, ge=1, le=1 << 31)
    error: str = Field(default="", max_length=4000)
    log_tail: str = Field(default="", max_length=8000)
    outputs: list[RunOutput] = Field(default_factory=list, max_length=MOST_OUTPUTS)
    drift: list[Annotated[str, Field(max_length=500)]] = Field(default_factory=list, max_length=20)  # columns of its data that are other ones
