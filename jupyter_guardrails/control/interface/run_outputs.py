"""Requests to control: what a production run made, as a dataset."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from jupyter_guardrails.control.interface.messages import Request

MOST_OUTPUTS = 100  # of one run that are on the records


class RunOutput(BaseModel):
    """A file that a run left, as start.py found it when the run had ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = Field(min_length=1, max_length=1000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0, le=1 << 62)


class RunPublish(Request):
    """-> the publication, private to who operates the deployment. fd 0 is the file; refused unless it has the bytes that the run left."""

    op = "publications.from_run"
    timeout_s = 330.0
    deployment: str = Field(max_length=100)
    number: int = Field(ge=1)
    output: str = Field(max_length=1000)
    name: str = Field(default="", max_length=200)  # default: the dataset that the job says this output is
    description: str = Field(default="", max_length=4000)
